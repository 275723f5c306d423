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

"""Tests of writing records: Model Garden reads them, they say what the annotations say, nothing half-written stays."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from official.vision.dataloaders import tf_example_decoder
from PIL import Image

from nasfpn_tf.data.records import framing, tfrecord
from nasfpn_tf.data.records.manifest import Manifest, find_manifest
from nasfpn_tf.data.sources.problems import DataError
from tests import testing
from tests.data import samples


def _write(directory, value=None, prefix='out/train', **options):
  value = samples.coco_value() if value is None else value
  image_dir = directory / 'images'
  if not image_dir.exists():
    samples.write_images(image_dir, value)
  options.setdefault('num_shards', 2)
  return tfrecord.write_tfrecords(value, image_dir, directory / prefix, progress=False, **options)


def _decode(manifest):
  """What Model Garden's decoder makes of each record, by source_id."""
  decoder = tf_example_decoder.TfExampleDecoder()
  records = tf.data.TFRecordDataset(manifest.shard_paths)
  decoded = [tf.nest.map_structure(lambda x: x.numpy(), decoder.decode(record)) for record in records]
  return {int(item['source_id']): item for item in decoded}


def _files(directory):
  return sorted(path.name for path in directory.rglob('*') if path.is_file())


def test_model_gardens_decoder_reads_what_the_annotations_say(tmp_path):
  value = samples.coco_value()
  manifest = _write(tmp_path, value)
  shards = sorted((tmp_path / 'out').glob('train-0000?-of-00002.tfrecord'))
  assert len(shards) == 2
  assert manifest.to_dict() == {
    'format': 1,
    'num_records': 6,
    'num_classes': 3,
    'labels': [{'label': 1, 'id': 3, 'name': 'cat'}, {'label': 2, 'id': 8, 'name': 'dog'}],
    'label_scheme': 'contiguous',
    'shards': [
      {'file': s.file, 'num_records': 3, 'num_bytes': os.path.getsize(tmp_path / 'out' / s.file)}
      for s in manifest.shards
    ],
    'problems': {},
  }
  decoded = _decode(manifest)
  assert sorted(decoded) == [10, 20, 30, 40, 50, 60]
  for image in value['images']:
    items = [item for item in value['annotations'] if item['image_id'] == image['id']]
    record = decoded[image['id']]
    jpeg = (tmp_path / 'images' / image['file_name']).read_bytes()
    np.testing.assert_array_equal(record['image'], tf.io.decode_jpeg(jpeg, channels=3))
    assert (record['height'], record['width']) == (32, 48)
    x, y, w, h = np.array([item['bbox'] for item in items]).reshape(-1, 4).T
    np.testing.assert_allclose(
      record['groundtruth_boxes'], np.stack([y / 32, x / 48, (y + h) / 32, (x + w) / 48], axis=-1), rtol=1e-6
    )
    assert record['groundtruth_classes'].tolist() == [{3: 1, 8: 2}[item['category_id']] for item in items]
    assert record['groundtruth_is_crowd'].tolist() == [bool(item['iscrowd']) for item in items]
    assert record['groundtruth_area'].tolist() == [item['area'] for item in items]
  assert json.loads(pathlib.Path(manifest.annotations_path).read_text())['annotations'] == value['annotations']


def test_record_carries_the_other_keys_of_model_gardens_builder(tmp_path):
  manifest = _write(tmp_path, num_shards=1)
  data, _ = next(framing.read_records(manifest.shard_paths[0]))
  features = tf.train.Example.FromString(data).features.feature
  identifier = int(features['image/source_id'].bytes_list.value[0])
  assert features['image/filename'].bytes_list.value[0].decode() == f'p{identifier // 10 - 1}.jpg'
  assert features['image/format'].bytes_list.value[0] == b'jpeg'
  assert len(features['image/key/sha256'].bytes_list.value[0]) == 64
  assert set(features['image/object/class/text'].bytes_list.value) <= {b'cat', b'dog'}


def test_labels_may_be_the_category_ids(tmp_path):
  manifest = _write(tmp_path, labels='category_id')
  assert (manifest.num_classes, manifest.label_scheme) == (9, 'category_id')
  assert {int(label) for item in _decode(manifest).values() for label in item['groundtruth_classes']} == {3, 8}


def test_same_input_same_bytes_whatever_the_threads(tmp_path):
  for prefix, workers in (('a/x', 1), ('b/x', 4)):
    _write(tmp_path, prefix=prefix, num_workers=workers, holdout_images=2)
  for path in (tmp_path / 'a').iterdir():
    assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes(), path.name


def test_shards_are_a_random_sample_and_no_more_than_images(tmp_path):
  manifest = _write(tmp_path, num_shards=100)
  assert [shard.num_records for shard in manifest.shards] == [1] * 6
  order = [int(next(iter(_decode(_only(manifest, index))))) for index in range(6)]
  assert order != sorted(order)
  assert framing.check_files(manifest.shard_paths, data=True) == 6
  with pytest.raises(ValueError, match='num_shards must be at least 1'):
    _write(tmp_path, num_shards=0)


def _only(manifest, index):
  return Manifest(1, 3, manifest.labels, manifest.shards[index : index + 1], path=manifest.path)


def test_held_out_images_make_a_set_of_their_own(tmp_path):
  manifest = _write(tmp_path, holdout_images=2, seed=5)
  held_out = find_manifest(str(tmp_path / 'out/train_holdout-*'))
  assert (manifest.num_records, held_out.num_records) == (4, 2)
  assert held_out.labels == manifest.labels
  ids, others = set(_decode(manifest)), set(_decode(held_out))
  assert ids | others == {10, 20, 30, 40, 50, 60}
  written = json.loads(pathlib.Path(held_out.annotations_path).read_text())
  assert {image['id'] for image in written['images']} == others
  with pytest.raises(DataError, match='held out by an earlier run'):
    _write(tmp_path)


def test_unusable_images_are_left_out_and_listed_by_file(tmp_path):
  value = samples.coco_value()
  directory = samples.write_images(tmp_path / 'images', value)
  (directory / 'p0.jpg').unlink()
  (directory / 'p1.jpg').write_bytes((directory / 'p1.jpg').read_bytes()[:-50])
  (directory / 'p2.jpg').write_bytes(samples.encode(samples.pixels(20, 20)))
  (directory / 'p3.jpg').write_bytes(samples.encode(Image.fromarray(samples.pixels()).convert('CMYK')))
  manifest = _write(tmp_path, value)
  assert sorted(_decode(manifest)) == [40, 50, 60]
  assert manifest.problems == {
    'image_missing': 1,
    'image_unreadable': 1,
    'image_size_mismatch': 1,
    'image_transcoded': 1,
  }
  listed = pathlib.Path(manifest.prefix + '.problems.txt').read_text()
  for part in (
    'image 10 (p0.jpg): cannot be read: No such file',
    'image 20 (p1.jpg): truncated',
    'image 30 (p2.jpg): is 20x20',
  ):
    assert part in listed
  written = json.loads(pathlib.Path(manifest.annotations_path).read_text())
  assert [image['id'] for image in written['images']] == [40, 50, 60]
  assert {item['image_id'] for item in written['annotations']} == {40, 50, 60}
  text = tfrecord.describe(manifest)
  assert '3 images in 2 files' in text
  assert '1 image_missing, dropped' in text


def test_strict_writes_nothing_and_keeps_the_old_set(tmp_path):
  value = samples.coco_value()
  _write(tmp_path, value)
  before = {path: path.read_bytes() for path in (tmp_path / 'out').iterdir()}
  (tmp_path / 'images' / 'p0.jpg').unlink()
  with pytest.raises(DataError, match=r'1 problems, which --strict makes errors:\n  image 10 \(p0\.jpg\)'):
    _write(tmp_path, value, strict=True)
  value['annotations'][0]['bbox'] = [0, 0, 500, 10]
  with pytest.raises(DataError, match='box_clipped'):
    _write(tmp_path, value, strict=True)
  assert {path: path.read_bytes() for path in (tmp_path / 'out').iterdir()} == before


def test_no_usable_image_is_an_error(tmp_path):
  (tmp_path / 'images').mkdir()
  with pytest.raises(DataError, match='none of the 6 images can be used'):
    _write(tmp_path)
  assert _files(tmp_path) == []


def test_many_boxes_are_written_and_noted(tmp_path):
  value = samples.coco_value(2)
  value['annotations'] += [
    {'id': 100 + i, 'image_id': 10, 'category_id': 3, 'bbox': [i % 40, i // 40, 2, 2 + i % 5], 'iscrowd': 0}
    for i in range(150)
  ]
  manifest = _write(tmp_path, value, strict=True)
  assert manifest.problems == {'many_boxes': 1}
  assert len(_decode(manifest)[10]['groundtruth_boxes']) == 152


def test_a_rotated_image_is_written_upright(tmp_path):
  value = samples.coco_value(2, width=32, height=48)
  directory = samples.write_images(tmp_path / 'images', value)
  (directory / 'p0.jpg').write_bytes(samples.encode(samples.pixels(48, 32), orientation=6))
  manifest = _write(tmp_path, value)
  record = _decode(manifest)[10]
  assert record['image'].shape == (48, 32, 3)
  assert (record['height'], record['width']) == (48, 32)
  assert manifest.problems == {'image_rotated': 1}


def test_a_smaller_set_replaces_a_larger_one_whole(tmp_path):
  _write(tmp_path, num_shards=5)
  manifest = _write(tmp_path, num_shards=2)
  names = {'train.manifest.json', 'train.annotations.json', *(shard.file for shard in manifest.shards)}
  assert set(_files(tmp_path / 'out')) == names


def test_shards_of_someone_else_are_not_touched(tmp_path):
  (tmp_path / 'out').mkdir()
  stray = tmp_path / 'out' / 'train-00000-of-00256.tfrecord'
  stray.write_bytes(b'precious')
  with pytest.raises(DataError, match=r'train-00000-of-00256\.tfrecord is in the way'):
    _write(tmp_path)
  assert _files(tmp_path / 'out') == [stray.name]
  assert stray.read_bytes() == b'precious'


_INTERRUPTED = """
import sys
import nasfpn_tf
from nasfpn_tf.data.records import tfrecord
images = [{'id': i + 1, 'file_name': 'p.jpg', 'width': 320, 'height': 240} for i in range(100000)]
annotations = [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9]}]
value = {'images': images, 'annotations': annotations, 'categories': [{'id': 1, 'name': 'x'}]}
tfrecord.write_tfrecords(value, sys.argv[1], sys.argv[2], num_shards=1000, progress=False)
"""


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(tfrecord, '_encode_file', interrupt)
  with pytest.raises(KeyboardInterrupt):
    _write(tmp_path)
  assert list((tmp_path / 'out').iterdir()) == []


def test_a_killed_run_leaves_no_shard_and_the_next_one_clears_up(tmp_path):
  images = samples.write_images(tmp_path / 'images', {'images': [{'file_name': 'p.jpg', 'width': 320, 'height': 240}]})
  out = tmp_path / 'out'
  command = [sys.executable, '-c', _INTERRUPTED, str(images), str(out / 'train')]
  process = subprocess.Popen(command, cwd=testing.repo_root(), stderr=subprocess.DEVNULL)
  try:
    deadline = time.monotonic() + 120
    while not (out / '.train.partial' / 'train-00001-of-01000.tfrecord').exists():
      assert process.poll() is None, 'ended before it could be interrupted'
      assert time.monotonic() < deadline
      time.sleep(0.02)
    with pytest.raises(DataError, match='another process is writing these records'):
      _write(tmp_path / 'other', prefix='../out/train')
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
  finally:
    process.kill()
  assert [path.name for path in out.glob('*') if path.is_file()] == []
  manifest = _write(tmp_path / 'other', prefix='../out/train')
  assert sorted(path.name for path in out.iterdir()) == sorted(
    ['train.annotations.json', 'train.manifest.json', *(shard.file for shard in manifest.shards)]
  )


_MEMORY = """
import sys
import nasfpn_tf
from nasfpn_tf.data.records import tfrecord
def resident():
  with open('/proc/self/status') as status:
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmHWM'))
def write(count):
  images = [{'id': i + 1, 'file_name': 'p.jpg', 'width': 240, 'height': 240} for i in range(count)]
  annotations = [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9]}]
  value = {'images': images, 'annotations': annotations, 'categories': [{'id': 1, 'name': 'x'}]}
  manifest = tfrecord.write_tfrecords(value, sys.argv[1], sys.argv[2], progress=False)
  return sum(shard.num_bytes for shard in manifest.shards) / 2**20
write(200)
before = resident()
print(write(2000), resident() - before)
"""


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='reads peak memory from /proc')
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
  (tmp_path / 'p.jpg').write_bytes(
    samples.encode(np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8), quality=95)
  )
  command = [sys.executable, '-c', _MEMORY, str(tmp_path), str(tmp_path / 'out')]
  output = subprocess.run(command, cwd=testing.repo_root(), check=True, capture_output=True, text=True).stdout
  written_mb, growth_mb = map(float, output.split())
  assert written_mb > 120
  assert growth_mb < written_mb / 4


def test_real_data_round_trip(tmp_path):
  bccd = testing.shared_data('bccd')
  value = json.loads((bccd / 'annotations' / 'instances_test.json').read_text())
  value['images'] = value['images'][:6]
  kept = {image['id'] for image in value['images']}
  value['annotations'] = [item for item in value['annotations'] if item['image_id'] in kept]
  manifest = tfrecord.write_tfrecords(value, bccd / 'images', tmp_path / 'test', strict=True, progress=False)
  assert (manifest.num_records, manifest.num_classes) == (6, 4)
  decoded = _decode(manifest)
  for image in value['images']:
    record = decoded[image['id']]
    boxes = record['groundtruth_boxes'] * [480, 640, 480, 640]
    expected = [item['bbox'] for item in value['annotations'] if item['image_id'] == image['id']]
    x, y, w, h = np.array(expected).T
    np.testing.assert_allclose(boxes, np.stack([y, x, y + h, x + w], axis=-1), atol=1e-3)
    assert record['image'].shape == (480, 640, 3)


def test_real_coco_with_crowds_round_trip(tmp_path):
  coco_mini = testing.shared_data('coco_mini')
  value = json.loads((coco_mini / 'annotations' / 'instances_val.json').read_text())
  crowded = {item['image_id'] for item in value['annotations'] if item['iscrowd']}
  value['images'] = [image for image in value['images'] if image['id'] in crowded][:4]
  value['annotations'] = [
    item for item in value['annotations'] if item['image_id'] in {image['id'] for image in value['images']}
  ]
  manifest = tfrecord.write_tfrecords(
    value, coco_mini / 'images', tmp_path / 'val', labels='category_id', strict=True, progress=False
  )
  assert manifest.num_classes == 91
  for identifier, record in _decode(manifest).items():
    items = [item for item in value['annotations'] if item['image_id'] == identifier]
    assert record['groundtruth_is_crowd'].sum() == sum(item['iscrowd'] for item in items) > 0
    assert record['groundtruth_classes'].tolist() == [item['category_id'] for item in items]
    np.testing.assert_allclose(record['groundtruth_area'], [item['area'] for item in items], rtol=1e-6)
