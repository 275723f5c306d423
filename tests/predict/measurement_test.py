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

"""Metrics, time and size of a detector, with a predictor that reads the answers from the ground truth."""

import json

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.data.sources import digits
from nasfpn_tf.predict import Detections, measurement


class _Oracle:
  """Knows the images by their pixels, and answers with their ground truth."""

  def __init__(self, labels, answers):
    self.labels = {entry['label']: entry for entry in labels}
    self._answers = answers

  def __call__(self, image):
    boxes, classes = self._answers[image.tobytes()]
    return Detections(boxes, np.full(len(boxes), 0.9, np.float32), classes, ('',) * len(boxes))


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  """Five validation images as records, their annotations, and the predictor that knows them."""
  directory = tmp_path_factory.mktemp('measurement')
  paths = digits.make_digits(str(directory / 'pictures'), num_train=1, num_val=5, num_processes=1, progress=False)
  prefix = str(directory / 'val')
  manifest = tfrecord.write_tfrecords(paths.val_annotations, paths.val_images, prefix, 1, 'contiguous')
  with open(f'{prefix}.annotations.json', encoding='utf-8') as file:
    truth = json.load(file)
  label_of = {entry['id']: entry['label'] for entry in manifest.labels}
  answers = {}
  for image in truth['images']:
    pixels = tf.io.decode_jpeg(tf.io.read_file(f'{paths.val_images}/{image["file_name"]}')).numpy()
    mine = [a for a in truth['annotations'] if a['image_id'] == image['id']]
    boxes = np.array([[y, x, y + h, x + w] for x, y, w, h in (a['bbox'] for a in mine)], np.float32)
    answers[pixels.tobytes()] = boxes, np.array([label_of[a['category_id']] for a in mine], np.int32)
  return prefix, _Oracle(manifest.labels, answers)


def test_measures_every_image_once(records, tmp_path):
  prefix, predictor = records
  model = tmp_path / 'detector.tflite'
  model.write_bytes(b'x' * 1234)
  result = measurement.measure(predictor, str(model), prefix)
  assert result['AP'] == result['AP50'] == pytest.approx(1.0)
  assert all(value == pytest.approx(1.0) for value in result['per_category'].values())
  assert result['num_images'] == 5 and result['size_bytes'] == 1234
  assert result['latency_ms'] > 0 and result['threads'] >= 1
  json.dumps(result)  # It goes into a file.


def test_the_first_images_do_not_count_for_the_time(records, tmp_path, monkeypatch):
  prefix, predictor = records
  model = tmp_path / 'detector.tflite'
  model.touch()
  # 9, 9 and 9 seconds for the images that warm up, then 1 and 3.
  ticks = iter(np.cumsum([0, 9, 0, 9, 0, 9, 0, 1, 0, 3]).tolist())
  monkeypatch.setattr(measurement.time, 'perf_counter', lambda: next(ticks))
  assert measurement.measure(predictor, str(model), prefix)['latency_ms'] == 2000.0


def test_size_of_a_saved_model_is_that_of_all_its_files(tmp_path):
  (tmp_path / 'variables').mkdir()
  (tmp_path / 'saved_model.pb').write_bytes(b'12345')
  (tmp_path / 'params.yaml').write_bytes(b'1')
  (tmp_path / 'variables' / 'variables.index').write_bytes(b'678')
  assert measurement.size_bytes(str(tmp_path)) == 9


def test_size_of_a_model_dir_is_that_of_its_weights(tmp_path):
  class Model(tf.Module):
    def __init__(self):
      super().__init__()
      self.kernel = tf.Variable(tf.zeros([3, 3, 2, 4]))
      self.count = tf.Variable(tf.zeros([5], tf.float16))

  backbone, optimizer = Model(), tf.Module()
  optimizer.momentum = tf.Variable(tf.zeros([100]))
  (tmp_path / 'params.yaml').touch()
  checkpoint = tf.train.Checkpoint(backbone=backbone, optimizer=optimizer, global_step=tf.Variable(7, dtype=tf.int64))
  checkpoint.write(str(tmp_path / 'ckpt-7'))
  assert measurement.size_bytes(str(tmp_path)) == 3 * 3 * 2 * 4 * 4 + 5 * 2
  other = tmp_path / 'other'
  other.mkdir()
  (other / 'params.yaml').touch()
  assert measurement.size_bytes(str(other), str(tmp_path / 'ckpt-7')) == 3 * 3 * 2 * 4 * 4 + 5 * 2
