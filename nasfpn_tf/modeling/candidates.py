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

"""Selects the candidates of NMS from raw head outputs and decodes their boxes.

Levels are dictionaries {level: tensor} as in `postprocess.flatten_levels`.
"""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
from official.vision.ops import box_ops

LAST_PIXEL = (0.0, 0.0, 1.0, 1.0)  # From the last pixel inside a box to its edge.
Levels = Mapping[str, tf.Tensor]
Candidates = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


def flatten_level(
  cls_output: tf.Tensor, box_output: tf.Tensor, anchor_boxes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Flattens a level: logits [batch, num, num_classes - 1], boxes [batch, num, 4] and anchors [batch or 1, num, 4]."""
  height, width, depth = box_output.shape[1:]
  num_anchors = height * width * depth // 4
  logits = tf.reshape(cls_output, [-1, num_anchors, cls_output.shape[-1] * 4 // depth])
  boxes, anchors = (tf.reshape(part, [-1, num_anchors, 4]) for part in (box_output, anchor_boxes))
  return logits[..., 1:], boxes, anchors


def flatten(cls_outputs: Levels, box_outputs: Levels, anchor_boxes: Levels) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Joins the flat levels, finest first, in float32."""
  levels = [
    [tf.cast(part, tf.float32) for part in flatten_level(cls_outputs[level], box_outputs[level], anchor_boxes[level])]
    for level in sorted(box_outputs, key=int)
  ]
  logits, boxes, anchors = (tf.concat(parts, axis=1) for parts in zip(*levels, strict=True))
  return logits, boxes, anchors


def num_classes(cls_outputs: Levels, box_outputs: Levels) -> int:
  """Returns the number of classes of the heads, background included."""
  level = next(iter(box_outputs))
  return cls_outputs[level].shape[-1] * 4 // box_outputs[level].shape[-1]


def select(cls_outputs: Levels, box_outputs: Levels, anchor_boxes: Levels, top_k: int) -> Candidates:
  """Selects the best (anchor, class) pairs of every image, best first.

  They are among the `top_k` anchors with the highest best logits, of each level and then of all, so only these
  anchors' logits are ranked pair by pair: less than half the time of ranking all seven million pairs of 91 classes at
  640 pixels. The sigmoid is monotonic: logits are ranked, scores are for the selected only.

  Returns:
    float32 logits [batch, k], int32 classes [batch, k] from 0, encoded boxes [batch, k, 4] and anchors [batch, k, 4].
  """
  levels = []
  for level in sorted(box_outputs, key=int):
    logits, boxes, anchors = flatten_level(cls_outputs[level], box_outputs[level], anchor_boxes[level])
    if top_k < logits.shape[1]:
      _, best = tf.math.top_k(tf.reduce_max(logits, axis=-1), top_k, sorted=False)
      logits, boxes = (tf.gather(part, best, batch_dims=1) for part in (logits, boxes))
      anchors = _gather_anchors(anchors, best)
    elif anchors.shape[0] == 1:
      anchors = tf.tile(anchors, [tf.shape(boxes)[0], 1, 1])
    levels.append([tf.cast(part, tf.float32) for part in (logits, boxes, anchors)])
  logits, boxes, anchors = (tf.concat(parts, axis=1) for parts in zip(*levels, strict=True))
  if logits.shape[1] > top_k:
    _, best = tf.math.top_k(tf.reduce_max(logits, axis=-1), top_k)
    logits, boxes, anchors = (tf.gather(part, best, batch_dims=1) for part in (logits, boxes, anchors))
  num_anchors, depth = logits.shape[1:]
  logits = tf.reshape(logits, [-1, num_anchors * depth])
  logits, pairs = tf.math.top_k(logits, min(top_k, num_anchors * depth))
  index = pairs // depth
  return logits, pairs % depth, *(tf.gather(part, index, batch_dims=1) for part in (boxes, anchors))


def select_per_class(cls_outputs: Levels, box_outputs: Levels, anchor_boxes: Levels, top_k: int) -> Candidates:
  """Selects the best `top_k` anchors of every class of every image, as tensorflow/tpu does; returns as `select`.

  With 90 classes and 5,000 anchors NMS is handed 450,000 boxes, of which it looks at those above the score threshold.
  """
  logits, boxes, anchors = flatten(cls_outputs, box_outputs, anchor_boxes)
  num_anchors, depth = logits.shape[1:]
  top_k = min(top_k, num_anchors)
  logits, index = tf.math.top_k(tf.transpose(logits, [0, 2, 1]), top_k)
  logits, order = tf.math.top_k(tf.reshape(logits, [-1, depth * top_k]), depth * top_k)
  index = tf.gather(tf.reshape(index, [-1, depth * top_k]), order, batch_dims=1)
  return logits, order // top_k, tf.gather(boxes, index, batch_dims=1), _gather_anchors(anchors, index)


def select_per_level(cls_outputs: Levels, box_outputs: Levels, anchor_boxes: Levels, top_k: int) -> Candidates:
  """Selects the best `top_k` (anchor, class) pairs of every level of every image, as mmdetection does; as `select`."""
  levels = [
    select({level: cls_outputs[level]}, {level: box_outputs[level]}, {level: anchor_boxes[level]}, top_k)
    for level in sorted(box_outputs, key=int)
  ]
  logits, classes, boxes, anchors = (tf.concat(parts, axis=1) for parts in zip(*levels, strict=True))
  logits, order = tf.math.top_k(logits, logits.shape[1])
  return logits, *(tf.gather(part, order, batch_dims=1) for part in (classes, boxes, anchors))


def selection(per_class: bool, per_level: bool) -> Callable[[Levels, Levels, Levels, int], Candidates]:
  """Returns `select`, `select_per_class` or `select_per_level`.

  Raises:
    ValueError: both are wanted.
  """
  if per_class and per_level:
    raise ValueError('pre_nms_per_class and pre_nms_per_level exclude each other: set one of them to false.')
  return select_per_class if per_class else select_per_level if per_level else select


def _gather_anchors(anchors, index):
  """Gathers anchors [batch, k, 4] at `index` [batch, k] from anchors [batch or 1, num, 4]."""
  return tf.gather(anchors[0], index) if anchors.shape[0] == 1 else tf.gather(anchors, index, batch_dims=1)


def decode(
  boxes: tf.Tensor,
  anchors: tf.Tensor,
  image_shape: tf.Tensor | None,
  weights: Sequence[float] | None,
  plus_one: bool = False,
) -> tf.Tensor:
  """Decodes boxes.

  Args:
    boxes: encoded [batch, num, 4].
    anchors: [batch or 1, num, 4], yxyx in pixels of the network input.
    image_shape: [batch, 2], height and width that boxes are clipped to; None leaves them as they are.
    weights: four weights of the box coder, None for ones.
    plus_one: whether an edge is the last pixel inside, so that sides are one more than the difference of the edges
      and the last edges of an image one less than its sides (tensorflow/tpu, utils/box_utils.py).

  Returns:
    [batch, num, 4], yxyx in pixels of the network input.
  """
  if plus_one:
    boxes = box_ops.decode_boxes(boxes, anchors + LAST_PIXEL, weights=weights) - LAST_PIXEL
  else:
    boxes = box_ops.decode_boxes(boxes, anchors, weights=weights)
  if image_shape is not None:
    largest = tf.expand_dims(image_shape, axis=1)
    boxes = box_ops.clip_boxes(boxes, tf.cast(largest, boxes.dtype) - 1.0 if plus_one else largest)
  return boxes
