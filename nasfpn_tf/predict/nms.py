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

"""Computes detections from raw outputs without TensorFlow: `postprocess.generate_detections` in NumPy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_MOST_SCALES = 100
_LARGEST_LOG_SIDE = np.float32(np.log(1000.0 / 16.0))  # As `box_ops.BBOX_XFORM_CLIP`.


def anchor_boxes(options: Mapping[str, Any], input_size: Sequence[int]) -> list[np.ndarray]:
  """Returns the anchors as Model Garden's generator lays them out, finest level first.

  Args:
    options: `min_level`, `max_level`, `num_scales`, `aspect_ratios` and `anchor_size`.
    input_size: height and width of the network's input.

  Returns:
    float32 [num_anchors, 4] of each level, yxyx in pixels of the input.

  Raises:
    ValueError: more scales than any detector has.
  """
  if options['num_scales'] > _MOST_SCALES:
    raise ValueError(f'num_scales is {options["num_scales"]}, above {_MOST_SCALES}')
  ratios = np.sqrt(np.float32(options['aspect_ratios']))
  scales = np.float32([2 ** (i / options['num_scales']) for i in range(options['num_scales'])])
  levels = []
  for level in range(options['min_level'], options['max_level'] + 1):
    stride = 2**level
    sides = np.float32(stride * options['anchor_size']) * scales[:, np.newaxis]
    half = 0.5 * np.stack([sides / ratios, sides * ratios], axis=-1).reshape(-1, 2)
    y, x = (stride * (np.arange(-(-side // stride), dtype=np.float32) + 0.5) for side in input_size)
    centers = np.stack(np.meshgrid(y, x, indexing='ij'), axis=-1)[:, :, np.newaxis]
    levels.append(np.concatenate([centers - half, centers + half], axis=-1).reshape(-1, 4).astype(np.float32))
  return levels


def generate_detections(
  box_encodings: np.ndarray,
  class_scores: np.ndarray,
  anchors: Sequence[np.ndarray],
  input_size: Sequence[int],
  options: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Selects candidates, decodes their boxes and applies NMS.

  Args:
    box_encodings: float32 [num_anchors, 4].
    class_scores: float32 [num_anchors, num_classes], without background.
    anchors: float32 [num_anchors, 4] of each level, yxyx in pixels of the input.
    input_size: height and width that boxes are clipped to.
    options: of the fields of `export.suppression.Settings`.

  Returns:
    Boxes [n, 4] (yxyx in pixels of the input), scores [n] and classes int32 [n] (from 1), best first.
  """
  pairs = np.flatnonzero(class_scores.reshape(-1) > options['score_threshold'])
  scores = class_scores.reshape(-1)[pairs]
  best = np.argsort(-scores, kind='stable')
  index, classes = np.divmod(pairs[best], class_scores.shape[1])
  if options.get('pre_nms_per_class'):  # Not in the files of former versions.
    chosen = _rank(classes) < options['pre_nms_top_k']
  elif options.get('pre_nms_per_level'):
    ends = np.cumsum([len(level) for level in anchors])
    chosen = _rank(np.searchsorted(ends, index, side='right')) < options['pre_nms_top_k']
  else:
    chosen = np.s_[: options['pre_nms_top_k']]
  best, index, classes = best[chosen], index[chosen], classes[chosen]
  anchors = np.concatenate(anchors)
  last_pixel = np.float32([0, 0, 1, 1]) * np.float32(bool(options.get('box_coder_plus_one')))
  boxes = _decode(box_encodings[index], anchors[index] + last_pixel, options['box_coder_weights']) - last_pixel
  boxes = np.clip(boxes, 0, np.float32([*input_size, *input_size]) - last_pixel[-1])
  has_area = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)  # Outside the image there is none after clipping.
  boxes, classes, best = boxes[has_area], classes[has_area], best[has_area]
  apart = np.zeros_like(classes) if options['use_class_agnostic_nms'] else classes
  kept, scores = _suppress(boxes, scores[best], apart, options)
  return boxes[kept], scores, classes[kept].astype(np.int32) + 1


def _rank(groups: np.ndarray) -> np.ndarray:
  """Returns how many of the same group, a class or a level, come before each."""
  order = np.argsort(groups, kind='stable')
  first = np.searchsorted(groups[order], groups[order])
  rank = np.empty_like(order)
  rank[order] = np.arange(len(order)) - first
  return rank


def _decode(encodings: np.ndarray, anchors: np.ndarray, weights: Sequence[float] | None) -> np.ndarray:
  if weights:
    encodings = encodings / np.float32(weights)
  sides = anchors[:, 2:] - anchors[:, :2]
  centers = encodings[:, :2] * sides + anchors[:, :2] + np.float32(0.5) * sides
  sides = np.exp(np.minimum(encodings[:, 2:], _LARGEST_LOG_SIDE)) * sides
  low = centers - np.float32(0.5) * sides
  return np.concatenate([low, low + sides], axis=1)


def _suppress(
  boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, options: Mapping[str, Any]
) -> tuple[list[int], np.ndarray]:
  """Returns the indices of the kept boxes, best first, and their scores, as lowered by soft-NMS."""
  scores, sigma = scores.copy(), options['soft_nms_sigma']
  area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  kept, kept_scores = [], []
  while len(kept) < options['max_detections'] and scores.size:
    i = int(np.argmax(scores))
    if not scores[i] > options['score_threshold']:
      break
    kept.append(i)
    kept_scores.append(scores[i])
    corner = np.minimum(boxes[i, 2:], boxes[:, 2:]) - np.maximum(boxes[i, :2], boxes[:, :2])
    shared = np.prod(np.maximum(corner, 0), axis=1)
    overlap = shared / (area[i] + area - shared)
    overlap[classes != classes[i]] = 0
    if sigma:
      scores *= np.exp(np.float32(-0.5 / sigma) * overlap * overlap)
    scores[overlap > options['iou_threshold']] = 0
    scores[i] = 0
  return kept, np.float32(kept_scores)
