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

"""Finds the pairs of box and anchor that overlap enough, without computing all pairs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Bounds are this much looser than the arithmetic says: rounding must not lose a pair.
_SLACK = 1e-5


class Pairs(NamedTuple):
  """Pairs of a box and an anchor, ordered by box.

  Attributes:
    box: int32 `[num_pairs]`, index of the box.
    anchor: int32 `[num_pairs]`, index of the anchor over all levels.
    iou: float32 `[num_pairs]`, their intersection over union.
  """

  box: tf.Tensor
  anchor: tf.Tensor
  iou: tf.Tensor


class AnchorOverlaps:
  """Intersection over union of boxes and a grid of anchors, for those pairs only that can decide a label.

  The anchors of one shape (a level, a scale and an aspect ratio) form a grid: their vertical sides depend on the row
  alone, their horizontal ones on the column alone. Of a pair whose IoU is t or more, the heights overlap in t or more
  of the larger height, and so do the widths. Whole rows and columns are thus ruled out by one-dimensional overlaps:
  the work grows with the sides of the grids and with the pairs that remain, not with boxes times anchors.
  """

  def __init__(self, anchor_boxes: Mapping[str, np.ndarray]):
    """Takes the grids.

    Args:
      anchor_boxes: {level: float32 `[height_l, width_l, anchors_per_location * 4]`}, yxyx.

    Raises:
      ValueError: the sides of a level's anchors are not those of a grid.
    """
    grids = [boxes.reshape(*boxes.shape[:2], -1, 4) for boxes in anchor_boxes.values()]
    sides, first, strides = [], [], []
    longest = max(max(grid.shape[:2]) for grid in grids)
    num_anchors = 0
    for level, grid in zip(anchor_boxes, grids, strict=True):
      height, width, per_location = grid.shape[:3]
      vertical, horizontal = grid[:, :1, :, 0::2], grid[:1, :, :, 1::2]
      if (grid[..., 0::2] != vertical).any() or (grid[..., 1::2] != horizontal).any():
        raise ValueError(f'the anchors of level {level} do not form a grid: sides differ within a row or a column.')
      for axis in (vertical[:, 0], horizontal[0]):
        # Positions that a shorter side lacks overlap nothing.
        sides.append(np.pad(axis, [[0, longest - len(axis)], [0, 0], [0, 0]], constant_values=np.float32(-1e9)))
      first += [num_anchors + shape for shape in range(per_location)]
      strides += [(width * per_location, per_location)] * per_location
      num_anchors += height * width * per_location
    # [2 for vertical and horizontal, number of shapes, longest]
    axes = np.stack([np.concatenate(sides[axis::2], axis=1) for axis in (0, 1)])
    self._low, self._high = (np.ascontiguousarray(axes[..., end].transpose(0, 2, 1)) for end in (0, 1))
    self._sizes = (self._high - self._low)[:, :, :1]
    self._first, self._strides = np.int32(first), np.int32(strides)
    self._anchors = np.concatenate([grid.reshape(-1, 4) for grid in grids])
    self._areas = (self._anchors[:, 2] - self._anchors[:, 0]) * (self._anchors[:, 3] - self._anchors[:, 1])

  def __call__(self, boxes: tf.Tensor, min_iou: float) -> Pairs:
    """Finds all pairs with an IoU of at least `min_iou`, and the pairs of every box with its best anchors.

    Pairs of less may be among them. A box that overlaps no anchor has none.

    Args:
      boxes: float32 `[num_boxes, 4]`, yxyx, none of them empty.
      min_iou: the least IoU of interest, in (0, 1].
    """
    # [num_boxes, 2, 1, 1]: vertical and horizontal.
    low, high = boxes[:, :2, tf.newaxis, tf.newaxis], boxes[:, 2:, tf.newaxis, tf.newaxis]
    sizes = high - low
    overlap = tf.minimum(high, self._high) - tf.maximum(low, self._low)  # [num_boxes, 2, shapes, longest]
    longest = tf.nn.relu(tf.reduce_max(overlap, axis=3, keepdims=True))
    # Within a shape the best anchor has the longest overlap along both axes.
    intersection = longest[:, 0] * longest[:, 1]
    union = sizes[:, 0] * sizes[:, 1] + self._sizes[0] * self._sizes[1] - intersection
    best = tf.reduce_max(intersection / union, axis=1)  # [num_boxes, 1]
    # Above 0, so that what does not overlap stays out.
    needed = tf.maximum(tf.minimum(best, min_iou) * (1.0 - _SLACK), 1e-30)[:, tf.newaxis, tf.newaxis]
    is_enough = overlap >= needed * tf.maximum(sizes, self._sizes)
    rows = tf.where(is_enough[:, 0])  # Each a box, a shape and a row of its grid.
    cells = tf.where(tf.gather_nd(is_enough[:, 1], rows[:, :2]))  # Each a place in `rows` and a column.
    rows = tf.gather(tf.cast(rows, tf.int32), cells[:, 0])
    box, shape = rows[:, 0], rows[:, 1]
    places = tf.stack([rows[:, 2], tf.cast(cells[:, 1], tf.int32)], axis=1)
    anchor = tf.gather(self._first, shape) + tf.reduce_sum(places * tf.gather(self._strides, shape), axis=1)
    return Pairs(box, anchor, self._iou(boxes, box, anchor))

  def _iou(self, boxes: tf.Tensor, box: tf.Tensor, anchor: tf.Tensor) -> tf.Tensor:
    """Computes the IoU `[num_pairs]` with the same arithmetic as Model Garden."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    sides, anchor_sides = tf.gather(boxes, box), tf.gather(self._anchors, anchor)
    overlap = tf.minimum(sides[:, 2:], anchor_sides[:, 2:]) - tf.maximum(sides[:, :2], anchor_sides[:, :2])
    intersection = tf.reduce_prod(tf.nn.relu(overlap), axis=1)
    return intersection / (tf.gather(areas, box) + tf.gather(self._areas, anchor) - intersection)
