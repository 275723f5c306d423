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

"""The pairs are those that all IoUs, computed one by one, say."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.ops import anchor

from nasfpn_tf.data.input.overlaps import AnchorOverlaps
from tests.data import synthetic

SIZE = (128, 256)


def grid(**settings):
  settings = {'num_scales': 3, 'aspect_ratios': [0.5, 1.0, 2.0], 'anchor_size': 4.0, **settings}
  boxes = anchor.build_anchor_generator(min_level=3, max_level=7, **settings)(SIZE)
  return {level: boxes.numpy() for level, boxes in boxes.items()}


def all_ious(boxes, anchors):
  corners = boxes[:, np.newaxis].astype(np.float64), anchors[np.newaxis].astype(np.float64)
  sides = [np.minimum(corners[0][..., i + 2], corners[1][..., i + 2]) for i in (0, 1)]
  sides = [np.maximum(side - np.maximum(corners[0][..., i], corners[1][..., i]), 0) for i, side in enumerate(sides)]
  areas = [np.prod(corner[..., 2:] - corner[..., :2], axis=-1) for corner in corners]
  intersection = sides[0] * sides[1]
  return intersection / (areas[0] + areas[1] - intersection)


@pytest.mark.parametrize('min_iou', [0.05, 0.4, 0.9])
def test_no_pair_that_matters_is_missing(min_iou):
  anchors = grid()
  boxes = synthetic.random_boxes(40, 7) * np.float32([*SIZE, *SIZE])
  pairs = AnchorOverlaps(anchors)(tf.constant(boxes), min_iou)
  expected = all_ious(boxes, np.concatenate([level.reshape(-1, 4) for level in anchors.values()]))
  found = np.zeros_like(expected)
  found[pairs.box, pairs.anchor] = pairs.iou
  needed = (expected >= min_iou) | (expected >= expected.max(axis=1, keepdims=True) - 1e-7)
  np.testing.assert_allclose(found[needed], expected[needed], rtol=1e-5)
  assert len(pairs.iou) == np.count_nonzero(found)  # Each pair once, and none without overlap.
  # What a side alone cannot rule out is little beside all pairs.
  assert len(pairs.iou) < (0.5 if min_iou < 0.1 else 0.05) * expected.size


def test_a_box_between_anchors_has_no_pairs():
  anchors = grid(num_scales=1, aspect_ratios=[1.0], anchor_size=0.5)
  boxes = tf.constant([[0.0, 0.0, 1.0, 1.0], [2.0, 2.0, 6.0, 6.0]])  # Anchors of 4 px are 8 px apart.
  pairs = AnchorOverlaps(anchors)(boxes, 0.5)
  np.testing.assert_array_equal(pairs.box, [1])
  np.testing.assert_array_equal(pairs.iou, [1.0])


def test_no_boxes():
  pairs = AnchorOverlaps(grid())(tf.zeros([0, 4]), 0.5)
  assert [len(values) for values in pairs] == [0, 0, 0]


def test_anchors_that_are_no_grid():
  anchors = grid()
  anchors['4'][2, 3, 5] += 1.0
  with pytest.raises(ValueError, match='level 4 do not form a grid'):
    AnchorOverlaps(anchors)
