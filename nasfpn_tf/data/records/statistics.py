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

"""Computes statistics of a data set, to review before training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasfpn_tf.data.input.anchors import AnchorGrid
from nasfpn_tf.data.records.check import RecordSet

# COCO's bounds of the area in square pixels: up to the first small, from the second large.
SMALL, LARGE = 32**2, 96**2
PERCENTILES = (0, 1, 10, 50, 90, 99, 100)


def summarize(split: RecordSet, grid: AnchorGrid | None = None, max_boxes: int = 100) -> dict[str, Any]:
  """Figures of one split as a JSON value.

  Percentiles are lists of the values at `PERCENTILES`. Crowds are counted apart and are in no other figure of boxes,
  as they are in no training target.

  Args:
    split: what `check_records` read.
    grid: the anchors of a model, for their coverage of the boxes.
    max_boxes: boxes an image that the model's input takes.
  """
  records = split.records
  counts = np.array([len(record.boxes) for record in records])
  crowd = np.concatenate([record.is_crowd for record in records])
  boxes = np.concatenate([record.boxes for record in records])[~crowd]
  areas = np.concatenate([record.areas for record in records])[~crowd]
  sizes = np.array([record.size for record in records])
  height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
  buckets = {'small': areas < SMALL, 'medium': (areas >= SMALL) & (areas < LARGE), 'large': areas >= LARGE}
  summary = {
    'input_path': split.input_path,
    'files': split.num_files,
    'images': {
      'count': len(records),
      'empty': int((counts == 0).sum()),
      'height': _percentiles(sizes[:, 0]),
      'width': _percentiles(sizes[:, 1]),
      'boxes': _percentiles(counts),
      'max_boxes': max_boxes,
      'over_max_boxes': int((counts > max_boxes).sum()),
    },
    'boxes': {
      'count': len(boxes),
      'crowd': int(crowd.sum()),
      **{name: int(bucket.sum()) for name, bucket in buckets.items()},
      'side': _percentiles(np.sqrt(height * width)),
      'aspect_ratio': _percentiles(width / np.maximum(height, 1e-9)),
    },
    'classes': _classes(split),
    'anchors': None,
    'problems': dict(split.problems.counts),
  }
  if grid is not None:
    summary['anchors'] = _coverage(grid, boxes, np.repeat(sizes, counts, axis=0)[~crowd], buckets)
  return summary


def _classes(split: RecordSet) -> list[dict[str, Any]]:
  boxes: dict[int, int] = {}
  images: dict[int, int] = {}
  for record in split.records:
    for label, count in zip(*np.unique(record.classes[~record.is_crowd], return_counts=True), strict=True):
      boxes[int(label)] = boxes.get(int(label), 0) + int(count)
      images[int(label)] = images.get(int(label), 0) + 1
  return [
    {**label, 'boxes': boxes.get(label['label'], 0), 'images': images.get(label['label'], 0)} for label in split.labels
  ]


def _coverage(
  grid: AnchorGrid, boxes: np.ndarray, image_sizes: np.ndarray, buckets: dict[str, np.ndarray]
) -> dict[str, Any]:
  """Returns the share of boxes whose best anchor reaches the match threshold, or None without boxes."""
  best = grid.best_iou(grid.scale_to_input(boxes, image_sizes))
  covered = best >= grid.match_threshold
  groups = {'all': np.ones(len(boxes), bool), **buckets}
  return {
    'input_size': list(grid.input_size),
    'match_threshold': grid.match_threshold,
    'covered': {name: float(covered[group].mean()) if group.any() else None for name, group in groups.items()},
    'best_iou': _percentiles(best),
  }


def _percentiles(values: np.ndarray) -> Sequence[float]:
  if not len(values):
    return []
  return [round(float(value), 4) for value in np.percentile(values, PERCENTILES)]
