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

"""Tests of looking through written records: what is broken is found, what is in them is counted."""

import hashlib
import json
import pathlib
import struct

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.input.anchors import AnchorGrid
from nasfpn_tf.data.records import check, framing, statistics, tfrecord
from nasfpn_tf.data.sources import coco
from nasfpn_tf.data.sources.images import EncodedImage
from nasfpn_tf.data.sources.problems import DataError, Problems
from tests.data import samples

_JPEG = samples.encode(samples.pixels())


def _example(**changes):
  """The record of a sound image with one box; `changes` replaces features, None removes them."""
  labels = {3: {'label': 1, 'id': 3, 'name': 'cat'}}
  annotation = {'id': 1, 'category_id': 3, 'bbox': [4, 8, 12, 16], 'area': 150.0, 'iscrowd': 0}
  example = tfrecord.to_example(
    {'id': 7, 'file_name': 'a.jpg'}, EncodedImage(_JPEG, 'jpeg', 48, 32), [annotation], labels
  )
  features = example.features.feature
  for key, value in changes.items():
    key = 'image/' + key.replace('__', '/')
    del features[key]
    if value is not None:
      kind = {bytes: 'bytes_list', int: 'int64_list', float: 'float_list'}[type(value[0]) if value else float]
      getattr(features[key], kind).value.extend(value)
  return example.SerializeToString()


def _check(*records, known=frozenset({1, 2})):
  return [check.check_record(known, (f'record {i}', data, True)) for i, data in enumerate(records)]


def _write(directory, prefix='x', value=None, **options):
  value = value or samples.coco_value()
  if not (directory / 'images').exists():
    samples.write_images(directory / 'images', value)
  return tfrecord.write_tfrecords(value, directory / 'images', directory / prefix, 2, progress=False, **options)


def test_a_huge_image_is_not_decoded(monkeypatch):
  huge = bytearray(_JPEG)
  start = huge.index(b'\xff\xc0') + 5
  huge[start : start + 4] = (23000).to_bytes(2, 'big') * 2
  monkeypatch.setattr(check.tf.io, 'decode_image', None)
  (record,) = _check(_example(encoded=[bytes(huge)], height=[23000], width=[23000]))
  assert not record.usable and record.source_id == '7'
  assert record.findings == (
    ('corrupt_image', '529 million pixels, more than the 179 million that are read: shrink it'),
  )


def test_a_sound_record():
  (record,) = _check(_example())
  assert record.usable
  assert record.findings == ()
  assert (record.source_id, record.size) == ('7', (32, 48))
  np.testing.assert_allclose(record.boxes, [[8, 4, 24, 16]], rtol=1e-6)
  assert record.areas.tolist() == [150.0]
  assert record.digest == hashlib.sha256(_JPEG).digest()


@pytest.mark.parametrize(
  ('data', 'kind', 'message'),
  [
    (b'\x0a\xff\xff', 'bad_record', 'not a tf.train.Example'),
    (_example(encoded=None), 'bad_record', 'image/encoded is missing'),
    (_example(object__bbox__xmin=[0.1, 0.2]), 'bad_record', 'have 1, 2, 1, 1, 1 values'),
    (_example(encoded=[_JPEG[:-60]]), 'corrupt_image', ''),
    (_example(encoded=[b'not an image']), 'corrupt_image', 'not an image that can be read: its format is unknown'),
    (_example(encoded=[samples.encode(samples.pixels(), 'GIF')]), 'corrupt_image', 'GIF or WebP'),
  ],
)
def test_a_record_of_no_use_is_found(data, kind, message):
  (record,) = _check(data)
  assert not record.usable
  assert [finding[0] for finding in record.findings] == [kind]
  assert message in record.findings[0][1]


@pytest.mark.parametrize(
  ('changes', 'kind'),
  [
    ({'object__bbox__xmin': [float('nan')]}, 'bad_box'),
    ({'object__bbox__xmax': [0.0]}, 'bad_box'),
    ({'object__bbox__ymin': [-0.1]}, 'bad_box'),
    ({'object__bbox__ymax': [1.1]}, 'bad_box'),
    ({'object__class__label': [0]}, 'bad_label'),
    ({'object__class__label': [-3]}, 'bad_label'),
    ({'object__class__label': [3]}, 'bad_label'),
  ],
)
def test_a_bad_box_or_label_is_found_and_left_out(changes, kind):
  (record,) = _check(_example(**changes))
  assert record.usable
  assert [finding[0] for finding in record.findings] == [kind]
  assert len(record.boxes) == len(record.classes) == len(record.areas) == len(record.is_crowd) == 0


def test_without_a_manifest_any_label_from_one_may_be():
  (record,) = _check(_example(object__class__label=[90]), known=None)
  assert record.findings == ()


def test_another_size_than_declared_is_found():
  (record,) = _check(_example(width=[50]))
  assert record.findings[0] == ('corrupt_image', 'decodes to height, width [32, 48], not the declared [32, 50]')


def test_area_and_crowd_are_optional():
  (record,) = _check(_example(object__area=None, object__is_crowd=None))
  assert record.findings == ()
  assert record.areas == pytest.approx([12 * 16])
  assert record.is_crowd.tolist() == [False]


def test_records_without_an_id_are_used_and_no_duplicates():
  """As the tools write them whose records have a file name only; training and evaluation hash the image."""
  other = samples.encode(samples.pixels()[::-1])
  records = _check(_example(source_id=None), _example(source_id=None, encoded=[other]))
  assert all(record.usable and not record.findings and record.source_id == '' for record in records)
  problems = Problems()
  check._find_repeated(records, problems)
  assert not problems.counts
  (record,) = _check(_example(source_id=[b'1', b'2']))
  assert record.findings == (('bad_record', 'image/source_id has 2 values'),)


def test_a_sound_set_has_no_problem_and_the_right_figures(tmp_path):
  manifest = _write(tmp_path)
  found = check.check_records(str(tmp_path / 'x-*'), progress=False)
  assert len(found.problems) == 0
  assert (found.num_files, len(found.records), found.labels) == (2, 6, manifest.labels)
  summary = statistics.summarize(found, AnchorGrid((64, 96)), max_boxes=1)
  assert summary['images']['count'] == 6
  assert summary['images']['empty'] == 1
  assert summary['images']['over_max_boxes'] == 5
  assert summary['images']['height'] == [32.0] * 7
  assert summary['boxes']['count'] == 9, 'the crowd is counted apart'
  assert summary['boxes']['crowd'] == 1
  assert (summary['boxes']['small'], summary['boxes']['medium'], summary['boxes']['large']) == (9, 0, 0)
  assert [(item['name'], item['boxes'], item['images']) for item in summary['classes']] == [
    ('cat', 5, 5),
    ('dog', 4, 4),
  ]
  assert summary['anchors']['covered']['medium'] is None
  assert 0 <= summary['anchors']['covered']['small'] == summary['anchors']['covered']['all'] <= 1
  json.dumps(summary)


def test_buckets_follow_the_area_and_coverage_the_input_size(tmp_path):
  value = samples.coco_value(1, width=200, height=100)
  value['annotations'] = [
    {'id': 1, 'image_id': 10, 'category_id': 3, 'bbox': [10, 10, 80, 40], 'area': 900.0},
    {'id': 2, 'image_id': 10, 'category_id': 3, 'bbox': [0, 0, 200, 100]},
  ]
  _write(tmp_path, value=value)
  found = check.check_records(str(tmp_path / 'x-*'), progress=False)
  boxes = np.array([[10, 10, 50, 90], [0, 0, 100, 200]], np.float64)
  for size in ((100, 200), (50, 50), (400, 800)):
    grid = AnchorGrid(size, match_threshold=0.5)
    covered = grid.best_iou(boxes * min(size[0] / 100, size[1] / 200)) >= 0.5
    summary = statistics.summarize(found, grid)
    assert (summary['boxes']['small'], summary['boxes']['large']) == (1, 1)
    assert summary['anchors']['covered']['small'] == float(covered[0])
    assert summary['anchors']['covered']['large'] == float(covered[1])
    assert summary['anchors']['covered']['all'] == covered.mean()


def _rewrite(path, change):
  """Replaces record 1 of a file by `change(record)`, leaving the framing sound."""
  records = [data for data, _ in framing.read_records(path)]
  with tf.io.TFRecordWriter(str(path)) as writer:
    for index, data in enumerate(records):
      writer.write(change(data) if index == 1 else data)


def test_a_corrupt_jpeg_inside_a_record_is_found_and_named(tmp_path):
  manifest = _write(tmp_path)
  path = manifest.shard_paths[0]

  def corrupt(data):
    example = tf.train.Example.FromString(data)
    encoded = example.features.feature['image/encoded'].bytes_list
    encoded.value[0] = encoded.value[0][: len(encoded.value[0]) // 2].ljust(len(encoded.value[0]), b'\0')
    return example.SerializeToString(deterministic=True)

  _rewrite(path, corrupt)
  found = check.check_records(str(tmp_path / 'x-*'), progress=False)
  assert found.problems.counts == {'corrupt_image': 1, 'annotations_differ': 1}
  assert next(iter(found.problems)).where.startswith('x-00000-of-00002.tfrecord record 1 (source_id ')
  assert len(found.records) == 5


def test_a_flipped_bit_is_found_and_the_records_after_it_are_read(tmp_path):
  manifest = _write(tmp_path)
  path = pathlib.Path(manifest.shard_paths[0])
  data = bytearray(path.read_bytes())
  data[200] ^= 1
  path.write_bytes(data)
  found = check.check_records(str(tmp_path / 'x-*'), progress=False)
  assert found.problems.counts['bad_record'] == 1
  assert len(found.records) == 5


def test_broken_framing_is_found_and_the_other_files_are_read(tmp_path):
  manifest = _write(tmp_path)
  path = pathlib.Path(manifest.shard_paths[0])
  header = struct.pack('<Q', 2**40)
  path.write_bytes(header + struct.pack('<I', framing.masked_crc32c(header)) + bytes(50))
  found = check.check_records(str(tmp_path / 'x-*'), progress=False)
  assert found.problems.counts['broken_file'] == 1
  assert len(found.records) == 3
  path.unlink()
  found = check.check_records(str(tmp_path / 'x-*'), progress=False)
  assert 'x-00000-of-00002.tfrecord is missing' in found.problems.summary()


def test_annotations_that_differ_are_found(tmp_path):
  _write(tmp_path)
  value = samples.coco_value()
  del value['annotations'][0]
  value['images'][5]['id'] = 61
  path = samples.write_json(tmp_path / 'other.json', value)
  found = check.check_records(str(tmp_path / 'x-*'), path, progress=False)
  messages = [problem.message for problem in found.problems if problem.kind == 'annotations_differ']
  assert len(messages) == 3
  assert any('2 sound boxes, 1 in' in message for message in messages)
  assert any('source_id 60 is no image of' in message for message in messages)
  assert 'image 61 is in no usable record' in messages


def test_some_shards_of_a_set_are_not_compared_with_the_whole(tmp_path):
  manifest = _write(tmp_path)
  found = check.check_records(manifest.shard_paths[0], progress=False)
  assert len(found.problems) == 0
  assert len(found.records) == 3


def test_duplicates_and_leaks_are_found(tmp_path):
  value = samples.coco_value()
  samples.write_images(tmp_path / 'images', value)
  (tmp_path / 'images' / 'p1.jpg').write_bytes((tmp_path / 'images' / 'p0.jpg').read_bytes())
  dataset = coco.check_coco(value)
  _write(tmp_path, 'a', dataset.subset([10, 20, 30]))
  _write(tmp_path, 'b', dataset.subset([30, 40, 10]))
  first, second = (check.check_records(str(tmp_path / f'{name}-*'), progress=False) for name in 'ab')
  assert first.problems.counts == {'same_image': 1}
  assert second.problems.counts == {}
  leaks = check.find_leaks([first, second])
  assert leaks.counts == {'leak': 2}
  assert 'b-* as source_id 10' in leaks.summary()
  assert len(check.find_leaks([first])) == 0


def test_one_source_id_twice_is_found(tmp_path):
  with tf.io.TFRecordWriter(str(tmp_path / 'x.tfrecord')) as writer:
    writer.write(_example())
    writer.write(_example())
  found = check.check_records(str(tmp_path / 'x.tfrecord'), progress=False)
  assert found.problems.counts == {'duplicate_source_id': 1, 'same_image': 1}
  assert found.labels == ({'label': 1, 'id': 1, 'name': '1'},)


def test_nothing_to_read_is_an_error(tmp_path):
  with pytest.raises(DataError, match='No TFRecord file matches'):
    check.check_records(str(tmp_path / 'x-*'), progress=False)
  (tmp_path / 'x.tfrecord').write_bytes(b'nonsense')
  with pytest.raises(DataError, match='no record can be used'):
    check.check_records(str(tmp_path / 'x.tfrecord'), progress=False)
