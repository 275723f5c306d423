# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Tests of the manifest and of finding it and its shards by a pattern."""

import json

import pytest

from nasfpn_tf.data.records import manifest as manifest_lib
from nasfpn_tf.data.records.manifest import Label, Manifest, Shard


def _write(directory, name='train', labels=(('cat', 3), ('dog', 8)), num_shards=2):
  shards = tuple(Shard(f'{name}-{i:05d}-of-{num_shards:05d}.tfrecord', 1, 4) for i in range(num_shards))
  for shard in shards:
    (directory / shard.file).write_bytes(b'data')
  value = Manifest(
    num_records=num_shards,
    num_classes=len(labels) + 1,
    labels=tuple(Label(label=i, id=id, name=text) for i, (text, id) in enumerate(labels, 1)),
    shards=shards,
  )
  (directory / f'{name}.manifest.json').write_text(json.dumps(value.to_dict()))
  (directory / f'{name}.annotations.json').write_text('{}')
  return value


def test_round_trip_and_paths(tmp_path):
  written = _write(tmp_path)
  loaded = Manifest.load(tmp_path / 'train.manifest.json')
  assert loaded.to_dict() == written.to_dict()
  assert loaded.annotations_path == str(tmp_path / 'train.annotations.json')
  assert loaded.shard_paths == tuple(str(tmp_path / shard.file) for shard in written.shards)
  assert loaded.shard('train-00001-of-00002.tfrecord') == written.shards[1]
  assert loaded.shard('other.tfrecord') is None


@pytest.mark.parametrize(
  'pattern',
  [
    'train',
    'train*',
    'train-*',
    'train-*.tfrecord',
    'train-0000*',
    'train-?????-of-00002.tfrecord',
    'train-00000-of-*',
    'train-00001-of-00002.tfrecord',
    'train-*, train-00000*',
  ],
)
def test_find_manifest_by_any_pattern(tmp_path, pattern):
  _write(tmp_path)
  _write(tmp_path, 'train_holdout')
  pattern = ','.join(str(tmp_path / part.strip()) for part in pattern.split(','))
  assert manifest_lib.find_manifest(pattern).prefix == str(tmp_path / 'train')


def test_a_prefix_may_end_in_digits(tmp_path):
  _write(tmp_path, 'run-2024')
  assert manifest_lib.find_manifest(str(tmp_path / 'run-2024*')).prefix == str(tmp_path / 'run-2024')


@pytest.mark.parametrize('nothing', [None, '', [], 'absent-*', 'absent/train'])
def test_no_manifest_is_none(nothing):
  assert manifest_lib.find_manifest(nothing) is None


def test_sets_with_different_labels_do_not_mix(tmp_path):
  _write(tmp_path, 'a')
  _write(tmp_path, 'b')
  _write(tmp_path, 'c', labels=(('cow', 1),))
  both = [str(tmp_path / 'a-*'), str(tmp_path / 'b-*')]
  assert [manifest.prefix for manifest in manifest_lib.find_manifests(both)] == [str(tmp_path / name) for name in 'ab']
  assert manifest_lib.find_manifest(both).prefix == str(tmp_path / 'a')
  with pytest.raises(ValueError, match=r'a\.manifest\.json and .*c\.manifest\.json give different labels'):
    manifest_lib.find_manifest([str(tmp_path / 'a-*'), str(tmp_path / 'c-*')])


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('{', 'not JSON'),
    ('[]', 'not a manifest'),
    ('{"format": 2}', 'format 2 is not 1'),
    ('{"format": 1, "num_records": 1}', "the key 'num_classes' is missing"),
    ('{"format": 1, "num_records": "many", "num_classes": 2}', 'not a manifest'),
  ],
)
def test_a_broken_manifest_is_named(tmp_path, text, message):
  path = tmp_path / 'train.manifest.json'
  path.write_text(text)
  with pytest.raises(ValueError, match=message) as error:
    manifest_lib.find_manifest(str(tmp_path / 'train-*'))
  assert str(path) in str(error.value)


@pytest.mark.parametrize('pattern', ['train', 'train*', 'train-*'])
def test_match_shards_takes_only_the_shards_of_the_set(tmp_path, pattern):
  written = _write(tmp_path)
  _write(tmp_path, 'train_holdout')
  expected = [str(tmp_path / shard.file) for shard in written.shards]
  assert manifest_lib.match_shards(str(tmp_path / pattern)) == expected


@pytest.mark.parametrize('pattern', ['train', 'train*', 'train-*', 'train-0000[1]-of-00002.tfrecord'])
def test_marks_in_the_name_of_a_directory_are_letters(tmp_path, pattern):
  directory = tmp_path / 'a [1]' / 'b*c?'
  directory.mkdir(parents=True)
  written = _write(directory)
  expected = [str(directory / shard.file) for shard in written.shards]
  assert manifest_lib.match_shards(str(directory / pattern)) == (expected[1:] if '[1]' in pattern else expected)
  assert manifest_lib.find_manifest(str(directory / pattern)).prefix == str(directory / 'train')


def test_marks_that_are_not_those_of_a_directory_are_a_pattern(tmp_path):
  (tmp_path / 'a1').mkdir()
  written = _write(tmp_path / 'a1')
  assert manifest_lib.match_shards(str(tmp_path / 'a[12]' / 'train-*')) == [
    str(tmp_path / 'a1' / shard.file) for shard in written.shards
  ]


def test_match_shards_without_a_manifest(tmp_path):
  for name in ('x-1.tfrecord', 'x-2.tfrecord', 'x.json'):
    (tmp_path / name).write_bytes(b'')
  assert manifest_lib.match_shards(str(tmp_path / 'x*')) == [str(tmp_path / f'x-{i}.tfrecord') for i in (1, 2)]
  assert manifest_lib.match_shards(str(tmp_path / 'x-2.tfrecord')) == [str(tmp_path / 'x-2.tfrecord')]
  with pytest.raises(FileNotFoundError, match='y-'):
    manifest_lib.match_shards(str(tmp_path / 'y-*'))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda value: value['shards'].pop(1), r'it does not list x-00001-of-00003\.tfrecord'),
    (lambda value: value['shards'].append(value['shards'][0]), r'it lists x-00000-of-00003\.tfrecord twice'),
    (lambda value: value.update(num_records=500), 'num_records is 500, but its 3 shards have 6 records'),
    (lambda value: value['shards'][2].update(num_records=1), 'num_records is 6, but its 3 shards have 5 records'),
    (lambda value: value.update(num_records=float('inf')), 'Infinity is not a JSON number'),
  ],
)
def test_a_manifest_whose_totals_do_not_add_up_is_refused(tmp_path, change, message):
  shards = tuple(Shard(f'x-{i:05d}-of-00003.tfrecord', 2, 10) for i in range(3))
  value = Manifest(6, 2, (Label(label=1, id=1, name='a'),), shards).to_dict()
  Manifest.from_dict(value)
  change(value)
  path = tmp_path / 'x.manifest.json'
  path.write_text(json.dumps(value))
  with pytest.raises(ValueError, match=message) as error:
    Manifest.load(str(path))
  assert str(path) in str(error.value)
