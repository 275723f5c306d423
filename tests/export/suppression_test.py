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

"""Tests of suppression inside .tflite files, on raw outputs made up for the purpose."""

import dataclasses
import json
import types

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from nasfpn_tf.export import module, suppression
from nasfpn_tf.modeling import postprocess

SIZE = (64, 128)


class _Part:
  """Something with a configuration."""

  def __init__(self, **values):
    self._values = values

  def get_config(self):
    return self._values


def _model(num_classes, **options):
  options = {'pre_nms_top_k': 500, 'pre_nms_score_threshold': 0.1, **options}
  generator = postprocess.DetectionGenerator(**options)
  return types.SimpleNamespace(
    detection_generator=generator,
    head=_Part(num_classes=num_classes + 1),
    get_config=lambda: dict(min_level=3, max_level=4, num_scales=1, aspect_ratios=[1.0], anchor_size=4.0),
  )


def _raw_outputs(num_classes, seed=0):
  """Head outputs by level; logits with a background column."""
  rng = np.random.default_rng(seed)
  grids = {'3': (8, 16), '4': (4, 8)}
  logits = {level: rng.normal(-1, 1.5, (1, *grid, num_classes + 1)).astype(np.float32) for level, grid in grids.items()}
  boxes = {level: rng.normal(0, 0.5, (1, *grid, 4)).astype(np.float32) for level, grid in grids.items()}
  return logits, boxes


@pytest.mark.parametrize(
  ('num_classes', 'options'),
  [
    (1, {}),
    (3, {}),
    (90, {}),
    (3, {'max_num_detections': 7}),
    (3, {'use_class_agnostic_nms': True}),
    (3, {'soft_nms_sigma': 0.5}),
    (3, {'box_coder_weights': [10.0, 10.0, 5.0, 5.0]}),
    (3, {'box_coder_plus_one': True}),
    (3, {'pre_nms_per_class': True, 'pre_nms_top_k': 20}),
    (3, {'pre_nms_per_level': True, 'pre_nms_top_k': 10}),
    (3, {'pre_nms_per_level': True, 'pre_nms_top_k': 100}),  # More than the second level has.
  ],
)
def test_builtin_is_the_models_own(num_classes, options):
  model = _model(num_classes, **options)
  logits, boxes = _raw_outputs(num_classes)
  anchors = module.anchor_boxes(model, SIZE)
  expected = model.detection_generator(boxes, logits, anchors, image_shape=tf.constant([SIZE], tf.float32))
  flat_logits, encodings, _ = postprocess.flatten_levels(logits, boxes, anchors)
  actual = suppression.builtin(model, SIZE)(encodings, flat_logits)

  count = int(expected['num_detections'][0])
  assert count > 5
  assert list(actual['num_detections']) == [count]
  np.testing.assert_allclose(actual['detection_scores'], expected['detection_scores'], atol=1e-5)
  np.testing.assert_allclose(
    actual['detection_boxes'] * np.tile(np.float32(SIZE), 2), expected['detection_boxes'], atol=1e-3
  )
  np.testing.assert_array_equal(actual['detection_classes'][0, :count] + 1, expected['detection_classes'][0, :count])
  assert {value.dtype for value in actual.values()} == {tf.float32}


@pytest.mark.parametrize(
  'options',
  [{}, {'use_class_agnostic_nms': True}, {'soft_nms_sigma': 0.5}, {'pre_nms_per_level': True, 'pre_nms_top_k': 40}],
  ids=['by_class', 'agnostic', 'soft', 'levels'],
)
def test_boxes_without_area_do_not_hold_up_the_runtime(options):
  """Those that lie outside the image have none once they are clipped; the best one of all is such a box."""
  model = _model(2, max_num_detections=20, **options)
  logits, boxes = _raw_outputs(2)
  boxes['3'][..., :2] += 4.0  # Down and to the right by more than the anchors' size.
  logits['3'][0, -1, -3:, 1:] = [[5.0, -5.0], [4.0, 4.5], [3.0, 3.5]]
  anchors = module.anchor_boxes(model, SIZE)
  expected = model.detection_generator(boxes, logits, anchors, image_shape=tf.constant([SIZE], tf.float32))
  corners = expected['detection_boxes'][0]
  area = tf.reduce_prod(corners[:, 2:] - corners[:, :2], axis=1)
  assert np.count_nonzero(area) == expected['num_detections'][0] == np.count_nonzero(expected['detection_scores']) > 10
  raw_boxes, _ = postprocess.decode_raw(logits, boxes, anchors, tf.constant([SIZE], tf.float32))
  assert np.count_nonzero(tf.reduce_prod(raw_boxes[0, :, 2:] - raw_boxes[0, :, :2], axis=1) == 0) > 18

  flat_logits, encodings, _ = postprocess.flatten_levels(logits, boxes, anchors)
  shapes = [tf.TensorSpec(value.shape) for value in (encodings, flat_logits)]
  tail = tf.function(suppression.builtin(model, SIZE), input_signature=shapes)
  converter = tf.lite.TFLiteConverter.from_concrete_functions([tail.get_concrete_function()], tf.Module())
  interpreter = Interpreter(model_content=converter.convert())
  names = [argument.name for argument in tail.get_concrete_function().structured_input_signature[0]]
  actual = interpreter.get_signature_runner()(**dict(zip(names, (encodings, flat_logits), strict=True)))
  np.testing.assert_array_equal(actual['num_detections'], expected['num_detections'])
  np.testing.assert_allclose(actual['detection_scores'], expected['detection_scores'], atol=1e-5)
  np.testing.assert_allclose(
    actual['detection_boxes'] * np.tile(np.float32(SIZE), 2), expected['detection_boxes'], atol=1e-3
  )


def test_raw_outputs_are_handed_through():
  encodings, logits = tf.ones([1, 5, 4]), tf.zeros([1, 5, 2])
  outputs = suppression.raw(encodings, logits)
  np.testing.assert_array_equal(outputs['box_encodings'], encodings)
  np.testing.assert_array_equal(outputs['class_scores'], np.full([1, 5, 2], 0.5))


@pytest.mark.parametrize('option', ['soft_nms_sigma', 'use_class_agnostic_nms', 'box_coder_plus_one'])
def test_post_process_refuses_what_it_does_not_know(option):
  with pytest.raises(ValueError, match='use builtin'):
    suppression.post_process(_model(2, **{option: 1}), SIZE)


def test_settings_can_be_written_beside_the_file():
  """Keras tracks the lists of its layers in a type of its own, which `dataclasses.asdict` and JSON do not take."""
  settings = suppression.Settings.of(_model(2, box_coder_weights=[10.0, 10.0, 5.0, 5.0]))
  assert json.loads(json.dumps(dataclasses.asdict(settings)))['box_coder_weights'] == [10.0, 10.0, 5.0, 5.0]
