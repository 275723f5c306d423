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

"""NMS without TensorFlow gives what NMS with it gives."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.ops import anchor

from nasfpn_tf.modeling import postprocess
from nasfpn_tf.predict import nms

_ANCHORS = {'min_level': 3, 'max_level': 6, 'num_scales': 2, 'aspect_ratios': [0.5, 1.0, 2.0], 'anchor_size': 3.0}
_OPTIONS = {
  'score_threshold': 0.05,
  'iou_threshold': 0.5,
  'max_detections': 40,
  'pre_nms_top_k': 300,
  'box_coder_weights': None,
  'soft_nms_sigma': 0.0,
  'use_class_agnostic_nms': False,
}
_SIZE = (128, 192)


def _generator(size):
  return anchor.build_anchor_generator(**_ANCHORS)(size)


@pytest.mark.parametrize('size', [(128, 192), (64, 64)])
def test_anchors_are_model_gardens(size):
  for actual, expected in zip(nms.anchor_boxes(_ANCHORS, size), _generator(size).values(), strict=True):
    np.testing.assert_allclose(actual, expected.numpy().reshape(-1, 4), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'soft_nms_sigma': 0.3},
    {'use_class_agnostic_nms': True},
    {'box_coder_weights': [10.0, 10.0, 5.0, 5.0]},
    {'max_detections': 3},
    {'box_coder_plus_one': True},
    {'pre_nms_per_class': True, 'pre_nms_top_k': 20},
    {'pre_nms_per_level': True, 'pre_nms_top_k': 10},
    {'pre_nms_top_k': 20, 'iou_threshold': 0.2},
    {'score_threshold': 0.999},
  ],
)
def test_same_as_with_tensorflow(options):
  options = {**_OPTIONS, **options}
  rng = np.random.default_rng(3)
  anchors = nms.anchor_boxes(_ANCHORS, _SIZE)
  ends = np.cumsum([len(level) for level in anchors])
  encodings = rng.normal(0, 0.7, [ends[-1], 4]).astype(np.float32)
  logits = rng.normal(-4, 2, [ends[-1], 3]).astype(np.float32)
  padded = np.pad(logits, [(0, 0), (1, 0)])  # Column 0 is the background.
  levels = np.split(padded, ends[:-1]), np.split(encodings, ends[:-1]), anchors
  expected = postprocess.generate_detections(
    *({str(i): tf.constant(level[np.newaxis, :, np.newaxis]) for i, level in enumerate(part)} for part in levels),
    image_shape=tf.constant([_SIZE], tf.float32),
    pre_nms_top_k=options['pre_nms_top_k'],
    pre_nms_score_threshold=options['score_threshold'],
    nms_iou_threshold=options['iou_threshold'],
    max_num_detections=options['max_detections'],
    box_coder_weights=options['box_coder_weights'],
    soft_nms_sigma=options['soft_nms_sigma'],
    use_class_agnostic_nms=options['use_class_agnostic_nms'],
    box_coder_plus_one=options.get('box_coder_plus_one', False),
    pre_nms_per_class=options.get('pre_nms_per_class', False),
    pre_nms_per_level=options.get('pre_nms_per_level', False),
  )
  count = int(expected['num_detections'][0])
  assert bool(count) == (options['score_threshold'] < 0.99)
  boxes, scores, classes = nms.generate_detections(encodings, tf.sigmoid(logits).numpy(), anchors, _SIZE, options)
  np.testing.assert_array_equal(classes, expected['detection_classes'][0, :count])
  np.testing.assert_allclose(scores, expected['detection_scores'][0, :count], rtol=0, atol=1e-6)
  np.testing.assert_allclose(boxes, expected['detection_boxes'][0, :count], rtol=0, atol=1e-3)


def test_boxes_without_area_are_no_detections():
  anchors = [np.array([[8, 8, 16, 16], [8, 8, 16, 16]], np.float32)]
  encodings = np.array([[50, 0, 0, 0], [0, 0, 0, 0]], np.float32)  # The first is clipped to the lower edge.
  scores = np.array([[0.9], [0.8]], np.float32)
  for sigma in (0.0, 0.5):
    found = nms.generate_detections(encodings, scores, anchors, (64, 64), {**_OPTIONS, 'soft_nms_sigma': sigma})
    assert found[0].tolist() == [[8, 8, 16, 16]] and found[1].tolist() == [np.float32(0.8)]
