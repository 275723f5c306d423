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

"""Tests of making files aside and giving them their names at once, whenever the program dies."""

import json
import os

import pytest

from nasfpn_tf.data.records import staging as staging_lib
from nasfpn_tf.data.records.staging import Staging
from nasfpn_tf.data.sources.problems import DataError


def _make(staging, content, num_shards=2):
  """A set of records with the prefix 'x' in the staging directory."""
  names = [f'x-{i:05d}-of-{num_shards:05d}.tfrecord' for i in range(num_shards)]
  shards = [{'file': name, 'num_records': 1, 'num_bytes': len(content)} for name in names]
  manifest = {
    'format': 1,
    'num_records': num_shards,
    'num_classes': 2,
    'labels': [],
    'label_scheme': 'contiguous',
    'shards': shards,
  }
  for name in names:
    with open(staging.path(name), 'w') as file:
      file.write(content)
  with open(staging.path('x.manifest.json'), 'w') as file:
    json.dump(manifest, file)
  return {*names, 'x.manifest.json'}


def _write(prefix, content, num_shards=2):
  with Staging(prefix) as staging:
    staging.check_replaceable(prefix)
    names = _make(staging, content, num_shards)
    staging.commit([prefix])
  return names


def _names(directory):
  return {path.name for path in directory.iterdir()}


def test_commit_replaces_the_old_set_whole(tmp_path):
  prefix = str(tmp_path / 'x')
  _write(prefix, 'old', num_shards=5)
  (tmp_path / 'unrelated.txt').write_text('stays')
  names = _write(prefix, 'new')
  assert _names(tmp_path) == names | {'unrelated.txt'}
  assert (tmp_path / 'x-00000-of-00002.tfrecord').read_text() == 'new'


def test_an_exception_leaves_the_old_set_and_nothing_else(tmp_path):
  prefix = str(tmp_path / 'x')
  names = _write(prefix, 'old')
  with pytest.raises(RuntimeError), Staging(prefix) as staging:
    _make(staging, 'new')
    raise RuntimeError
  assert _names(tmp_path) == names
  assert (tmp_path / 'x-00000-of-00002.tfrecord').read_text() == 'old'


@pytest.mark.parametrize('after', range(4))
def test_death_while_names_are_given_leaves_no_manifest_and_is_cleared(tmp_path, monkeypatch, after):
  prefix = str(tmp_path / 'x')
  _write(prefix, 'old', num_shards=3)
  replaced = []

  def dying_replace(source, target):
    if len(replaced) == after:
      raise KeyboardInterrupt
    replaced.append(target)
    os.rename(source, target)

  staging = Staging(prefix).__enter__()
  _make(staging, 'new', num_shards=4)
  with monkeypatch.context() as patch:
    patch.setattr(staging_lib.os, 'replace', dying_replace)
    with pytest.raises(KeyboardInterrupt):
      staging.commit([prefix])
  staging._lock.close()  # As the death of the process would.
  assert 'x.manifest.json' not in _names(tmp_path)
  assert not any('of-00003' in name for name in _names(tmp_path))
  names = _write(prefix, 'newest')
  assert _names(tmp_path) == names


@pytest.mark.parametrize('after', range(4))
def test_death_while_the_old_set_is_removed_leaves_no_manifest_without_its_shards(tmp_path, monkeypatch, after):
  prefix = str(tmp_path / 'x')
  old = _write(prefix, 'old')
  removed = []

  def dying_remove(path):
    if len(removed) == after:
      raise KeyboardInterrupt
    removed.append(path)
    os.unlink(path)

  staging = Staging(prefix).__enter__()
  _make(staging, 'new', num_shards=4)
  with monkeypatch.context() as patch:
    patch.setattr(staging_lib.os, 'remove', dying_remove)
    with pytest.raises(KeyboardInterrupt):
      staging.commit([prefix])
  staging._lock.close()
  if 'x.manifest.json' in _names(tmp_path):
    assert old <= _names(tmp_path)
  names = _write(prefix, 'newest')
  assert _names(tmp_path) == names


def test_leftovers_of_a_dead_run_are_cleared(tmp_path):
  leftover = tmp_path / '.x.partial'
  leftover.mkdir()
  (leftover / 'x-00000-of-00008.tfrecord').write_bytes(b'half a rec')
  (leftover / 'commit.json').write_text('{"torn')
  names = _write(str(tmp_path / 'x'), 'new')
  assert _names(tmp_path) == names


def test_two_writers_of_one_set_do_not_meet(tmp_path):
  prefix = str(tmp_path / 'x')
  with Staging(prefix), Staging(str(tmp_path / 'y')):
    with pytest.raises(DataError, match='another process is writing these records now'), Staging(prefix):
      pass
    assert (tmp_path / '.x.partial').is_dir(), "the refused one does not clear the other's files"


def test_files_of_someone_else_are_refused(tmp_path):
  prefix = str(tmp_path / 'x')
  (tmp_path / 'x-00000-of-00009.tfrecord').write_bytes(b'')
  (tmp_path / 'x-y-00000-of-00009.tfrecord').write_bytes(b'')
  with Staging(prefix) as staging, pytest.raises(DataError, match=r'x-00000-of-00009\.tfrecord is in the way'):
    staging.check_replaceable(prefix)


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path):
  prefix = str(tmp_path / 'x')
  (tmp_path / 'x.manifest.json').write_text('?')
  (tmp_path / 'x-00000-of-00009.tfrecord').write_bytes(b'')
  with Staging(prefix) as staging, pytest.raises(DataError, match=r'x\.manifest\.json: not JSON'):
    staging.check_replaceable(prefix)


def test_a_manifest_cannot_point_outside_its_directory(tmp_path):
  (tmp_path / 'out').mkdir()
  (tmp_path / 'victim').write_text('stays')
  prefix = str(tmp_path / 'out' / 'x')
  _write(prefix, 'old')
  path = tmp_path / 'out' / 'x.manifest.json'
  value = json.loads(path.read_text())
  value['shards'][0]['file'] = '../victim'
  path.write_text(json.dumps(value))
  os.remove(tmp_path / 'out' / 'x-00000-of-00002.tfrecord')
  _write(prefix, 'new')
  assert (tmp_path / 'victim').read_text() == 'stays'


@pytest.mark.parametrize('prefix', ['gs://bucket/x', '/proc/nothing/x'])
def test_a_place_that_cannot_be_written_is_an_error(prefix):
  with pytest.raises(DataError, match=r'local disk|cannot be written'), Staging(prefix):
    pass


def test_a_directory_is_no_prefix(tmp_path):
  with pytest.raises(DataError, match='give a prefix'):
    Staging(f'{tmp_path}/')
