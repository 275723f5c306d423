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

"""Matches anchors to ground truth: the targets on which a RetinaNet is trained."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from official.vision.ops import anchor

from nasfpn_tf.data.input.overlaps import AnchorOverlaps, Pairs

BACKGROUND = -1  # Class target of an anchor that no box claims, as in Model Garden.
_EPSILON = 1e-8


def _first(values: tf.Tensor, segments: tf.Tensor, num_segments: tf.Tensor | int) -> tf.Tensor:
  """Returns the smallest value of each segment, or the largest integer for an empty segment."""
  return tf.math.unsorted_segment_min(values, segments, num_segments)


def _filled(value: int | float, places: tf.Tensor, values: tf.Tensor, size: tf.Tensor | int) -> tf.Tensor:
  """Returns a vector of `size` that has `values` at `places` and `value` elsewhere."""
  return tf.tensor_scatter_nd_update(tf.fill([size], value), places[:, tf.newaxis], values)


class AnchorLabeler:
  """Assigns ground-truth boxes to anchors.

  The rule and the arithmetic are those of Model Garden's `anchor.AnchorLabeler`: an anchor belongs to the box of the
  highest IoU when that reaches `match_threshold`, is ignored from `unmatched_threshold` up to there, and is background
  below; every box also claims its best anchor. Only claimed anchors are encoded, so the box targets of the others are
  zero (Model Garden encodes an empty box there; their weight is zero in both).

  Attributes:
    anchor_boxes: {level: float32 numpy array `[height_l, width_l, anchors_per_location * 4]`}, in input pixels, yxyx.
    num_anchors: number of anchors over all levels.
  """

  def __init__(
    self,
    output_size: Sequence[int],
    min_level: int = 3,
    max_level: int = 7,
    num_scales: int = 3,
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    anchor_size: float = 4.0,
    match_threshold: float = 0.5,
    unmatched_threshold: float = 0.5,
    box_coder_weights: Sequence[float] | None = None,
    box_coder_plus_one: bool = False,
  ):
    """Generates the anchors.

    Args:
      output_size: height and width of the network's input, multiples of `2**max_level`.
      min_level: finest level of the pyramid.
      max_level: coarsest level of the pyramid.
      num_scales: scales per octave.
      aspect_ratios: width / height of the anchors.
      anchor_size: side of the base anchor in strides of its level.
      match_threshold: IoU from which an anchor is positive.
      unmatched_threshold: IoU below which an anchor is background; in between it is ignored.
      box_coder_weights: four factors on the encoded (y, x, height, width), or None.
      box_coder_plus_one: whether sides are one more than the difference of the edges (tensorflow/tpu).

    Raises:
      ValueError: the thresholds are not ordered, or `box_coder_weights` are not four positive numbers.
    """
    if not 0.0 < unmatched_threshold <= match_threshold <= 1.0:
      raise ValueError(
        f'need 0 < unmatched_threshold <= match_threshold <= 1, got {unmatched_threshold} and {match_threshold}'
      )
    if box_coder_weights and (len(box_coder_weights) != 4 or min(box_coder_weights) <= 0):
      raise ValueError(f'box_coder_weights must be four positive numbers, got {list(box_coder_weights)}')
    generate = anchor.build_anchor_generator(min_level, max_level, num_scales, list(aspect_ratios), anchor_size)
    with tf.init_scope():
      self.anchor_boxes = {level: boxes.numpy() for level, boxes in generate(tuple(output_size)).items()}
    flat = np.concatenate([boxes.reshape(-1, 4) for boxes in self.anchor_boxes.values()])
    self.num_anchors = len(flat)
    self._anchors = flat
    self._overlaps = AnchorOverlaps(self.anchor_boxes)
    self._match_threshold = match_threshold
    self._unmatched_threshold = unmatched_threshold
    self._box_coder_weights = tuple(box_coder_weights) if box_coder_weights else None
    self._last_pixel = np.float32([0, 0, 1, 1]) * np.float32(box_coder_plus_one)

  def __call__(self, boxes: tf.Tensor, classes: tf.Tensor) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
    """Labels the anchors of one image.

    Args:
      boxes: float32 `[num_boxes, 4]`, yxyx in input pixels, none of them empty; num_boxes may be 0.
      classes: integers `[num_boxes]`, from 1.

    Returns:
      As `label_batch`, without the batch dimension.
    """
    labels = self.label_batch(boxes, classes, tf.zeros([tf.shape(boxes)[0]], tf.int32), 1)
    return tf.nest.map_structure(lambda batch: batch[0], labels)

  def label_batch(
    self, boxes: tf.Tensor, classes: tf.Tensor, images: tf.Tensor, batch_size: tf.Tensor | int
  ) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
    """Labels the anchors of a batch of images at once; their boxes follow one another.

    Few anchors overlap a box enough to matter, so everything is decided on those, and the labels of all anchors are
    written once, into the batch.

    Args:
      boxes: float32 `[num_boxes, 4]`, yxyx in input pixels, none of them empty; num_boxes may be 0.
      classes: integers `[num_boxes]`, from 1.
      images: int32 `[num_boxes]`, the place in the batch of the image that a box belongs to.
      batch_size: number of images.

    Returns:
      'cls_targets': {level: int32 `[batch, height_l, width_l, anchors_per_location]`}, BACKGROUND where nothing is.
      'box_targets': {level: float32 `[batch, height_l, width_l, anchors_per_location * 4]`}.
      'cls_weights': float32 `[batch, num_anchors]`, 0 for ignored anchors. 'box_weights': the same, 1 for positive
        anchors.
    """
    num_boxes = tf.shape(boxes)[0]
    pairs = self._overlaps(boxes, self._unmatched_threshold)
    # `anchors`: those of any image that can be claimed, [num_candidates], numbered over the batch.
    anchors, place = tf.unique(
      tf.concat(
        [
          tf.gather(images, pairs.box) * self.num_anchors + pairs.anchor,
          images * self.num_anchors + self._best_anchors(pairs, num_boxes),
        ],
        axis=0,
      )
    )
    num_candidates, num_pairs = tf.size(anchors), tf.size(pairs.box)
    place, best_place = place[:num_pairs], place[num_pairs:]

    best_iou = tf.math.unsorted_segment_max(pairs.iou, place, num_candidates)  # Negative without a pair.
    is_closest = tf.equal(pairs.iou, tf.gather(best_iou, place))
    closest = _first(tf.boolean_mask(pairs.box, is_closest), tf.boolean_mask(place, is_closest), num_candidates)
    # The first box whose best anchor this is; num_boxes or more if there is none.
    claimant = _first(tf.range(num_boxes), best_place, num_candidates)
    is_forced = claimant < num_boxes
    is_positive = is_forced | (best_iou >= self._match_threshold)
    matched = tf.boolean_mask(tf.where(is_forced, claimant, closest), is_positive)
    is_ignored = ~is_positive & (best_iou >= self._unmatched_threshold)

    positives = tf.boolean_mask(anchors, is_positive)
    image, anchor_index = positives // self.num_anchors, positives % self.num_anchors
    codes = self._encode(tf.gather(boxes, matched), tf.gather(self._anchors, anchor_index))
    cls_targets, box_targets = self._by_level(
      image, anchor_index, tf.gather(tf.cast(classes, tf.int32), matched), codes, batch_size
    )
    shape = [batch_size, self.num_anchors]
    size = batch_size * self.num_anchors
    ignored = tf.boolean_mask(anchors, is_ignored)
    return {
      'cls_targets': cls_targets,
      'box_targets': box_targets,
      'cls_weights': tf.reshape(_filled(1.0, ignored, tf.zeros_like(ignored, tf.float32), size), shape),
      'box_weights': tf.reshape(_filled(0.0, positives, tf.ones_like(positives, tf.float32), size), shape),
    }

  def _best_anchors(self, pairs: Pairs, num_boxes: tf.Tensor) -> tf.Tensor:
    """Returns the anchor of the highest IoU with each box, the first of several, int32 `[num_boxes]`."""
    best_iou = tf.math.unsorted_segment_max(pairs.iou, pairs.box, num_boxes)
    is_best = tf.equal(pairs.iou, tf.gather(best_iou, pairs.box))
    best_anchor = _first(tf.boolean_mask(pairs.anchor, is_best), tf.boolean_mask(pairs.box, is_best), num_boxes)
    # A box that overlaps no anchor claims the very first one, as in Model Garden.
    return tf.where(best_anchor < self.num_anchors, best_anchor, 0)

  def _encode(self, boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Encodes `boxes` relative to `anchors` as in Faster R-CNN: (ty, tx, th, tw) `[n, 4]`."""
    boxes, anchors = boxes + self._last_pixel, anchors + self._last_pixel
    anchor_sizes = anchors[:, 2:] - anchors[:, :2]
    sizes = boxes[:, 2:] - boxes[:, :2]
    anchor_centers = anchors[:, :2] + anchor_sizes / 2.0
    centers = boxes[:, :2] + sizes / 2.0
    anchor_sizes += _EPSILON
    sizes += _EPSILON
    codes = tf.concat([(centers - anchor_centers) / anchor_sizes, tf.math.log(sizes / anchor_sizes)], axis=1)
    return codes if self._box_coder_weights is None else codes * tf.constant(self._box_coder_weights)

  def _by_level(
    self, image: tf.Tensor, anchor_index: tf.Tensor, classes: tf.Tensor, codes: tf.Tensor, batch_size: tf.Tensor | int
  ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Writes class `[n]` and code `[n, 4]` of the positive anchors into the targets of their levels."""
    cls_targets, box_targets, start = {}, {}, 0
    for level, boxes in self.anchor_boxes.items():
      height, width, depth = boxes.shape
      count = boxes.size // 4
      here = tf.where((anchor_index >= start) & (anchor_index < start + count))[:, 0]
      places = tf.gather(image * count + anchor_index - start, here)
      size = batch_size * count
      cls_targets[level] = tf.reshape(
        _filled(BACKGROUND, places, tf.gather(classes, here), size), [batch_size, height, width, depth // 4]
      )
      box_targets[level] = tf.reshape(
        tf.scatter_nd(places[:, tf.newaxis], tf.gather(codes, here), [size, 4]), [batch_size, height, width, depth]
      )
      start += count
    return cls_targets, box_targets
