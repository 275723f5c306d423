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

"""A weak model finds much in the padding, beside the image: nothing of that leaves an export."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.artifacts import layout, signatures, tflite_runner
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import module, saved_model, source, tflite
from nasfpn_tf.predict import load_predictor
from tests.export import samples

_SIZES = [(40, 128), (128, 40), (61, 64), (150, 149), (3, 40)]


@pytest.fixture(scope='module')
def weak(tmp_path_factory):
  """The directory of a detector that calls almost everything an object, and of its exports."""
  root = tmp_path_factory.mktemp('weak')
  everything = {'pre_nms_score_threshold': 1e-6, 'nms_iou_threshold': 0.9, 'max_num_detections': 300}
  detector = samples.make_source(anytime=False, model={**samples.ONE_PYRAMID, 'detection_generator': everything})
  images = _images()
  version = saved_model.export_saved_model(detector, str(root / 'saved_model'), images=images)
  for nms in signatures.TFLITE_NMS:
    tflite.export_tflite(detector, str(root / f'{nms}.tflite'), tflite.Options(nms=nms), images)
  (root / 'run').mkdir()
  for name in (layout.PARAMS, 'labels.json'):
    shutil.copy(os.path.join(version, name), root / 'run')
  tf.train.Checkpoint(model=detector.model, **detector.model.checkpoint_items).write(str(root / 'run' / 'ckpt-1'))
  return root


def _images():
  rng = np.random.default_rng(0)
  return [rng.integers(0, 255, (*size, 3), np.uint8) for size in _SIZES]


def _without_area(boxes):
  return np.count_nonzero(np.any(boxes[..., 2:] <= boxes[..., :2], axis=-1))


def test_the_model_itself(weak):
  """Of what it finds in the network's input, all has area; much of that lies beside the image."""
  detector = source.load(str(weak / 'run'))
  beside = 0
  for image in _images():
    pixels, image_info = preprocess.letterbox(tf.constant(image), detector.input_size, detector.keep_aspect_ratio)
    outputs = detector.model(pixels[tf.newaxis], image_shape=image_info[tf.newaxis, 1], training=False)
    count = int(outputs['num_detections'][0])
    assert count > 20 and not _without_area(outputs['detection_boxes'][0, :count].numpy())
    in_image = module.detections_in_image(outputs, image_info[tf.newaxis])
    left = int(in_image['num_detections'][0])
    assert not _without_area(in_image['detection_boxes'][0, :left].numpy())
    assert not any(np.any(in_image[f'detection_{key}'][0, left:]) for key in signatures.FIELDS)
    beside += count - left
  assert beside > 20


@pytest.mark.parametrize('name', ['run', 'saved_model', *(f'{nms}.tflite' for nms in signatures.TFLITE_NMS)])
def test_every_predictor(weak, name):
  predictor = load_predictor(str(weak / name))
  for image in _images():
    found = predictor(image)
    assert len(found.boxes) > 5 and not _without_area(found.boxes)
    assert list(found.scores) == sorted(found.scores, reverse=True)


def test_signatures_of_a_saved_model(weak):
  """As its clients call it, in batches; without what lies beside the image the others are in their order."""
  run = tf.saved_model.load(layout.latest_version(str(weak / 'saved_model'))).signatures['image_bytes']
  encoded = [tf.io.encode_png(image) for image in _images()]
  outputs = run(inputs=tf.stack(encoded))
  for row, image in enumerate(_images()):
    found = signatures.detections_of(outputs, row)
    assert not _without_area(found['boxes']) and (found['boxes'] <= np.tile(image.shape[:2], 2)).all()
    assert list(found['scores']) == sorted(found['scores'], reverse=True) and found['scores'].min() > 0
    count = len(found['scores'])
    assert not any(np.any(outputs[f'detection_{key}'][row, count:]) for key in signatures.FIELDS)


def test_a_tflite_itself(weak):
  runner = tflite_runner.TFLiteRunner(str(weak / 'builtin.tflite'))
  size = source.load(str(weak / 'run')).input_size
  for seed in range(5):
    pixels = np.random.default_rng(seed).uniform(0, 255, (1, *size, 3)).astype(np.float32)
    found = signatures.detections_of(runner.run(inputs=pixels))
    assert len(found['boxes']) > 20 and not _without_area(found['boxes'])
