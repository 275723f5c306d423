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

"""Adds NMS to a .tflite: from raw outputs to detections, in two ways.

`builtin` repeats the model's own post-processing for one image in builtin operators: the same candidates, the same
clipping, the same boxes. `post_process` is the custom operator TFLite_Detection_PostProcess, for runtimes and
accelerators that want it. It suppresses before it clips, takes every candidate, and its multi-threaded kernel leaves a
class out: with T threads, the class of label T + 1 is never found if there are more than T classes
(https://github.com/tensorflow/tensorflow/issues/56058, still so in ai-edge-litert 2.3.0).

Either gives `detection_boxes` [1, N, 4] (yxyx, 1 = the network's input), `detection_classes` [1, N] (labels - 1),
`detection_scores` [1, N] and `num_detections` [1], all float32.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from official.vision.ops import box_ops

from nasfpn_tf.artifacts.signatures import TFLITE_DETECTIONS
from nasfpn_tf.export import metadata, module

_NOT_IN_POST_PROCESS = ('soft_nms_sigma', 'use_class_agnostic_nms', 'box_coder_plus_one')
Tail = Callable[[tf.Tensor, tf.Tensor], Mapping[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Settings:
  """The post-processing of a model, as its DetectionGenerator has it.

  Attributes:
    num_classes: without background.
    score_threshold: detections of this score or less are dropped.
    iou_threshold: a box that overlaps a better one of its class by more is dropped.
    max_detections: kept of an image.
    pre_nms_top_k: (anchor, class) pairs that are looked at; `post_process` looks at all.
    box_coder_weights: four weights, None for ones.
    soft_nms_sigma: 0 for hard NMS.
    use_class_agnostic_nms: whether NMS acts across classes.
    box_coder_plus_one: whether the last pixel of a box counts as inside, see `modeling.candidates.decode`.
    pre_nms_per_class: whether `pre_nms_top_k` anchors of every class are looked at instead.
    pre_nms_per_level: whether `pre_nms_top_k` pairs of every level are looked at instead.
  """

  num_classes: int
  score_threshold: float
  iou_threshold: float
  max_detections: int
  pre_nms_top_k: int
  box_coder_weights: Sequence[float] | None = None
  soft_nms_sigma: float = 0.0
  use_class_agnostic_nms: bool = False
  box_coder_plus_one: bool = False
  pre_nms_per_class: bool = False
  pre_nms_per_level: bool = False

  @classmethod
  def of(cls, model: Any) -> 'Settings':
    """Reads the settings of a detector."""
    options = model.detection_generator.get_config()
    weights = options.get('box_coder_weights')  # A list that Keras tracks, which no JSON file takes.
    return cls(
      num_classes=int(model.head.get_config()['num_classes']) - 1,
      score_threshold=float(options['pre_nms_score_threshold']),
      iou_threshold=float(options['nms_iou_threshold']),
      max_detections=int(options['max_num_detections']),
      pre_nms_top_k=int(options['pre_nms_top_k']),
      box_coder_weights=None if weights is None else [float(weight) for weight in weights],
      soft_nms_sigma=float(options.get('soft_nms_sigma') or 0.0),
      use_class_agnostic_nms=bool(options.get('use_class_agnostic_nms')),
      box_coder_plus_one=bool(options.get('box_coder_plus_one')),
      pre_nms_per_class=bool(options.get('pre_nms_per_class')),
      pre_nms_per_level=bool(options.get('pre_nms_per_level')),
    )


def raw(box_encodings: tf.Tensor, class_logits: tf.Tensor) -> dict[str, tf.Tensor]:
  """Skips NMS: `box_encodings` [1, num_anchors, 4] and `class_scores` [1, num_anchors, num_classes]."""
  return {'box_encodings': box_encodings, 'class_scores': tf.sigmoid(class_logits)}


def builtin(model: Any, input_size: Sequence[int]) -> Tail:
  """Returns the function from `box_encodings` and `class_logits` of an image to detections, in builtin operators."""
  settings = Settings.of(model)
  anchors_at, level_sizes = _anchor_function(model, input_size)
  num_anchors = sum(level_sizes)
  size = np.tile(np.asarray(input_size, np.float32), 2)
  last_pixel = np.float32([0, 0, 1, 1]) * np.float32(settings.box_coder_plus_one)
  largest = size - np.float32(settings.box_coder_plus_one)

  def tail(box_encodings, class_logits):
    # With all sides given, so that a file whose input was resized to several images does not load.
    logits = tf.reshape(class_logits, [num_anchors, settings.num_classes])
    logits, classes, index = _candidates(logits, level_sizes, settings)
    scores = tf.sigmoid(logits)
    encodings = tf.gather(tf.reshape(box_encodings, [num_anchors, 4]), index)
    anchors = anchors_at(index)
    if settings.box_coder_plus_one:
      anchors += np.float32([0.5, 0.5, 1, 1])  # Center and sides.
    boxes = _decode(encodings, anchors, settings.box_coder_weights)
    boxes = tf.clip_by_value(boxes - last_pixel if settings.box_coder_plus_one else boxes, 0.0, largest)
    sides = boxes[:, 2:] - boxes[:, :2]
    # Without area it is no detection, as in the model. A selection of scores would be quantized in an int8 file.
    scores *= tf.cast(tf.minimum(sides[:, 0], sides[:, 1]) > 0.0, tf.float32)
    apart = boxes if settings.use_class_agnostic_nms else boxes + _tile_of(classes, settings.num_classes, size)
    kept, scores, count = _non_max_suppression(_with_area(apart, index, classes), scores, settings)
    number = settings.max_detections
    valid = tf.cast(tf.range(number) < count, tf.float32)
    boxes = tf.gather(boxes / size, kept) * tf.reshape(valid, [number, 1])
    classes = tf.cast(tf.gather(classes, kept), tf.float32) * valid
    outputs = (
      tf.reshape(boxes, [1, number, 4]),
      tf.reshape(classes, [1, number]),
      tf.reshape(scores * valid, [1, number]),
      tf.cast(tf.reshape(count, [1]), tf.float32),
    )
    return dict(zip(TFLITE_DETECTIONS, outputs, strict=True))

  return tail


def post_process(model: Any, input_size: Sequence[int]) -> Tail:
  """Returns the function that the converter replaces by TFLite_Detection_PostProcess with the model's settings.

  Raises:
    ValueError: the model's post-processing has no counterpart there.
  """
  settings = Settings.of(model)
  unknown = [key for key in _NOT_IN_POST_PROCESS if getattr(settings, key)]
  if unknown:
    raise ValueError(f'{metadata.POST_PROCESS} does not support {", ".join(unknown)}: use builtin.')
  y_scale, x_scale, h_scale, w_scale = settings.box_coder_weights or [1.0] * 4
  attributes = {
    'max_detections': ('i', settings.max_detections),
    'max_classes_per_detection': ('i', 1),
    # Class by class, as the model does it; the fast variant keeps one class a box.
    'use_regular_nms': ('b', 'true'),
    'detections_per_class': ('i', settings.max_detections),
    'nms_score_threshold': ('f', settings.score_threshold),
    'nms_iou_threshold': ('f', settings.iou_threshold),
    'y_scale': ('f', y_scale),
    'x_scale': ('f', x_scale),
    'h_scale': ('f', h_scale),
    'w_scale': ('f', w_scale),
    'num_classes': ('i', settings.num_classes),
  }
  implements = f'name: "{metadata.POST_PROCESS}" ' + ' '.join(
    f'attr {{ key: "{key}" value {{ {kind}: {value} }} }}' for key, (kind, value) in attributes.items()
  )
  anchors = (_center_size_anchors(model, input_size) / np.tile(input_size, 2)).astype(np.float32)

  @tf.function(experimental_implements=implements)
  def operator(box_encodings, class_scores, anchors):
    del box_encodings, class_scores, anchors  # What the operator is given.
    return tuple(tf.constant(0.0, name=name) for name in TFLITE_DETECTIONS)

  def tail(box_encodings, class_logits):
    outputs = operator(box_encodings, tf.sigmoid(class_logits), tf.constant(anchors))
    return dict(zip(TFLITE_DETECTIONS, outputs, strict=True))

  return tail


def _candidates(
  logits: tf.Tensor, level_sizes: Sequence[int], settings: Settings
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns logits, classes from 0 and anchors of the candidates, [num] each, from logits [num_anchors, classes]."""
  num_anchors, num_classes = logits.shape
  if settings.pre_nms_per_class:
    top_k = min(settings.pre_nms_top_k, num_anchors)
    best, index = tf.math.top_k(tf.transpose(logits), top_k)
    classes = np.repeat(np.arange(num_classes, dtype=np.int32), top_k)
    return tf.reshape(best, [num_classes * top_k]), tf.constant(classes), tf.reshape(index, [num_classes * top_k])
  logits, best, pairs, start = tf.reshape(logits, [num_anchors * num_classes]), [], [], 0
  for size in level_sizes if settings.pre_nms_per_level else [num_anchors]:
    num_pairs = size * num_classes
    values, index = tf.math.top_k(logits[start : start + num_pairs], min(settings.pre_nms_top_k, num_pairs))
    best.append(values)
    pairs.append(index + start)
    start += num_pairs
  best, pairs = (tf.concat(parts, axis=0) for parts in (best, pairs))
  return best, tf.math.floormod(pairs, num_classes), tf.math.floordiv(pairs, num_classes)


def _non_max_suppression(boxes, scores, settings):
  """Returns the indices [max_detections] of the kept boxes, their scores and their number."""
  options = {
    'boxes': boxes,
    'scores': scores,
    'max_output_size': settings.max_detections,
    'iou_threshold': settings.iou_threshold,
    'score_threshold': settings.score_threshold,
    'pad_to_max_output_size': True,
  }
  if settings.soft_nms_sigma:
    # TensorFlow's soft NMS knows no threshold of overlap; LiteRT's drops what is above it.
    options['iou_threshold'] = 1.0
    kept, scores, count = tf.raw_ops.NonMaxSuppressionV5(**options, soft_nms_sigma=settings.soft_nms_sigma)
  else:
    kept, count = tf.raw_ops.NonMaxSuppressionV4(**options)
    scores = tf.gather(scores, kept)
  # The operator's shape is not static where the converter looks.
  return tf.reshape(kept, [settings.max_detections]), tf.reshape(scores, [settings.max_detections]), count


def _tile_of(classes: tf.Tensor, num_classes: int, size: np.ndarray) -> tf.Tensor:
  """Returns offsets [num, 4] that separate boxes of different classes: every class gets a tile of a square grid.

  In a row of tiles the last of 90 classes would lie 90 images away, where float32 rounds corners to 1/100 pixel.
  """
  side = int(np.ceil(np.sqrt(num_classes)))
  row, column = tf.math.floordiv(classes, side), tf.math.floormod(classes, side)
  return tf.cast(tf.stack([row, column, row, column], axis=1), tf.float32) * (float(size.max()) + 1.0)


def _with_area(boxes: tf.Tensor, index: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
  """Replaces every box without area in [num, 4] by a unit box outside the image, one for each anchor and class.

  LiteRT's operator tells by the overlap with itself that it has kept a box, so it keeps one without area for ever. Such
  a box has no score either, unless it lost its area when its class was moved apart; by itself it overlaps nothing.
  """
  sides = boxes[:, 2:] - boxes[:, :2]
  own = -2.0 * tf.cast(tf.stack([index, classes, index, classes], axis=1), tf.float32) - [2.0, 2.0, 1.0, 1.0]
  return tf.where(sides[:, :1] * sides[:, 1:] > 0.0, boxes, own)


def _decode(encodings: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float] | None) -> tf.Tensor:
  """Decodes like `box_ops.decode_boxes`, but for anchors of `_center_size_anchors` and in fewer operators."""
  if weights:
    encodings = encodings / np.asarray(weights, np.float32)
  centers = encodings[:, :2] * anchors[:, 2:] + anchors[:, :2]
  half = tf.exp(tf.minimum(encodings[:, 2:], box_ops.BBOX_XFORM_CLIP)) * anchors[:, 2:] * 0.5
  return tf.concat([centers - half, centers + half], axis=1)


def _anchor_function(model: Any, input_size: Sequence[int]) -> tuple[Callable[[tf.Tensor], tf.Tensor], list[int]]:
  """Returns a function that computes anchors from their indices, and the number of anchors of each level.

  A table of all anchors would be as large as many a network's weights, and the converter would quantize it with them.
  Anchors repeat from cell to cell, so tables of one cell a level do.

  Returns:
    A function from numbers int32 [num] to [num, 4]: y and x of the center, height, width, in pixels of the input.

  Raises:
    ValueError: the input is no multiple of the coarsest stride.
  """
  levels = [boxes.numpy()[0] for _, boxes in sorted(module.anchor_boxes(model, input_size).items(), key=_level_number)]
  kinds = levels[0].shape[-1] // 4
  cells = [_center_size(level[0, 0].reshape(-1, 4)) for level in levels]
  sizes = np.concatenate([cell[:, 2:] for cell in cells])
  strides = np.array([2 * cell[0, :2] for cell in cells])  # The first cell's center lies half a stride inside.
  widths = np.array([level.shape[1] for level in levels], np.int32)
  counts = [level.size // 4 for level in levels]
  first = np.cumsum([0, *counts[:-1]]).astype(np.int32)

  def anchors_at(index):
    level = tf.reduce_sum(tf.cast(index[:, tf.newaxis] >= first[1:], tf.int32), axis=1)
    inside = index - tf.gather(first, level)
    cell, kind = tf.math.floordiv(inside, kinds), tf.math.floormod(inside, kinds)
    width = tf.gather(widths, level)
    place = tf.stack([tf.math.floordiv(cell, width), tf.math.floormod(cell, width)], axis=1)
    centers = (tf.cast(place, tf.float32) + 0.5) * tf.gather(strides, level)
    return tf.concat([centers, tf.gather(sizes, level * kinds + kind)], axis=1)

  everything = _center_size_anchors(model, input_size)
  if not np.allclose(anchors_at(tf.range(len(everything))), everything, rtol=0, atol=1e-3):
    raise ValueError(f'Input size {list(input_size)}: anchors do not repeat from cell to cell.')
  return anchors_at, counts


def _center_size_anchors(model: Any, input_size: Sequence[int]) -> np.ndarray:
  """Computes all anchors, float32 [num_anchors, 4]: y and x of the center, height, width, in pixels of the input."""
  levels = sorted(module.anchor_boxes(model, input_size).items(), key=_level_number)
  return _center_size(np.concatenate([boxes.numpy().reshape(-1, 4) for _, boxes in levels]))


def _center_size(corners: np.ndarray) -> np.ndarray:
  low, high = corners[:, :2], corners[:, 2:]
  return np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)


def _level_number(item: tuple[str, Any]) -> int:
  return int(item[0])
