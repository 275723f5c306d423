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

"""Tests of the anchor coverage against Model Garden's anchors, listed."""

import numpy as np
import pytest
from official.vision.ops import anchor

from nasfpn_tf.data.input.anchors import AnchorGrid


def _best_iou_of_all(boxes, anchors):
  top_left = np.maximum(boxes[:, None, :2], anchors[:, :2])
  bottom_right = np.minimum(boxes[:, None, 2:], anchors[:, 2:])
  overlap = np.prod(np.maximum(bottom_right - top_left, 0), axis=-1)
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)[:, None] + np.prod(anchors[:, 2:] - anchors[:, :2], axis=-1)
  return (overlap / (areas - overlap)).max(axis=1)


@pytest.mark.parametrize(
  ('size', 'levels', 'num_scales', 'aspects', 'anchor_size'),
  [((192, 256), (3, 7), 3, (0.5, 1.0, 2.0), 4.0), ((100, 60), (2, 5), 1, (0.7,), 1.5)],
)
def test_best_iou_is_that_of_all_of_model_gardens_anchors(size, levels, num_scales, aspects, anchor_size):
  rng = np.random.default_rng(0)
  centers, sides = rng.uniform(0, 1, (300, 2)) * size, np.exp(rng.uniform(1, 5.5, (300, 2)))
  boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
  per_level = anchor.Anchor(*levels, num_scales, list(aspects), anchor_size, size).multilevel_boxes
  anchors = np.concatenate([boxes_of_level.numpy().reshape(-1, 4) for boxes_of_level in per_level.values()])
  best = AnchorGrid(size, *levels, num_scales, aspects, anchor_size).best_iou(boxes)
  np.testing.assert_allclose(best, _best_iou_of_all(boxes, anchors), atol=1e-5)


def test_an_anchor_covers_itself():
  grid = AnchorGrid((256, 256), anchor_size=4.0)
  assert grid.best_iou([[0, 0, 0, 0]]) == 0
  np.testing.assert_allclose(grid.best_iou([[8 - 16 + 4, 4 - 16, 8 + 16 + 4, 4 + 16]]), 1.0)


def test_images_are_scaled_to_fit():
  grid = AnchorGrid((100, 200))
  boxes = grid.scale_to_input([[10, 20, 30, 40], [10, 20, 30, 40]], [[50, 50], [400, 100]])
  np.testing.assert_allclose(boxes, [[20, 40, 60, 80], [2.5, 5, 7.5, 10]])


@pytest.mark.parametrize(
  'wrong',
  [
    {'input_size': (256,)},
    {'input_size': (0, 10)},
    {'min_level': 5, 'max_level': 4},
    {'num_scales': 0},
    {'aspect_ratios': ()},
    {'aspect_ratios': (1.0, -1.0)},
    {'anchor_size': 0.0},
  ],
)
def test_senseless_anchors_are_refused(wrong):
  with pytest.raises(ValueError, match=r'must be|not a range'):
    AnchorGrid(**{'input_size': (256, 256), **wrong})
