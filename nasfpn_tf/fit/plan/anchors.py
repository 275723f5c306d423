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
"""Searches anchors that cover the boxes of a data set: base size, shapes and scales, with as few anchors as needed."""

import dataclasses
import warnings

import numpy as np
from sklearn import cluster

from nasfpn_tf.data.input.anchors import AnchorGrid

SIZES = (1.0, 1.5, 2.0, 3.0, 4.0)  # In strides.
LONG_SIZES = (6.0, 8.0)  # An anchor of 4 strides and proportions 20:1 is narrower than one: most boxes lie between two.
COVERED = 0.95  # Below it, `LONG_SIZES` are tried, too.
NUM_SHAPES = (1, 3, 5, 7)
NUM_SCALES = 3  # Sizes an octave, as RetinaNet (arXiv 1708.02002, sec. 4).
ENOUGH = 0.01  # Coverage that a further pair of shapes has to add.


@dataclasses.dataclass(frozen=True)
class Anchors:
  """Anchors and how well they cover.

  Attributes:
    grid: the anchors.
    coverage: share of the boxes whose best anchor has an IoU of `grid.match_threshold` or more.
    mean_iou: mean IoU of the boxes with their best anchors.
  """

  grid: AnchorGrid
  coverage: float
  mean_iou: float


def rate(grid: AnchorGrid, boxes: np.ndarray, sizes: np.ndarray) -> Anchors:
  """Says how well anchors cover boxes `[n, 4]` in pixels of images of `sizes` `[n, 2]`."""
  best = grid.best_iou(grid.scale_to_input(boxes, sizes))
  return Anchors(grid, float((best >= grid.match_threshold).mean()), float(best.mean()))


def choose(
  input_size: tuple[int, int], min_level: int, max_level: int, boxes: np.ndarray, sizes: np.ndarray
) -> Anchors:
  """Chooses anchors for boxes.

  For each number of shapes the shapes are the cluster centers of the boxes' aspect ratios, on a logarithmic scale; the
  base size is the one with the highest mean IoU of those that cover as many boxes as any. The least number of shapes is
  taken whose coverage is within `ENOUGH` of the best. `LONG_SIZES` are considered where `SIZES` leave boxes uncovered.

  Args:
    input_size: height and width of the network's input.
    min_level: finest level.
    max_level: coarsest level.
    boxes: `[n, 4]`, ymin, xmin, ymax, xmax in pixels.
    sizes: `[n, 2]`, height and width of the image of each box.
  """
  chosen = _choose(SIZES, input_size, min_level, max_level, boxes, sizes)
  if chosen.coverage >= COVERED:
    return chosen
  return _choose((*SIZES, *LONG_SIZES), input_size, min_level, max_level, boxes, sizes)


def _choose(base_sizes, input_size, min_level, max_level, boxes, sizes) -> Anchors:
  height, width = (boxes[:, 2:] - boxes[:, :2]).T
  found = []
  for num_shapes in NUM_SHAPES:
    shapes = _shapes(width / height, num_shapes)
    candidates = [
      rate(AnchorGrid(input_size, min_level, max_level, NUM_SCALES, shapes, size), boxes, sizes) for size in base_sizes
    ]
    most = max(anchors.coverage for anchors in candidates)
    able = [anchors for anchors in candidates if anchors.coverage >= most - ENOUGH / 2]
    found.append(max(able, key=lambda anchors: round(anchors.mean_iou, 3)))
  best = max(anchors.coverage for anchors in found)
  return next(anchors for anchors in found if anchors.coverage >= best - ENOUGH)


def _shapes(aspect_ratios: np.ndarray, number: int) -> tuple[float, ...]:
  """Clusters on a logarithmic scale into `number` centers, initialized at quantiles and so deterministic."""
  values = np.log(aspect_ratios)[:, None]
  number = min(number, len(np.unique(values)))
  begin = np.quantile(values, (np.arange(number) + 0.5) / number)[:, None]
  with warnings.catch_warnings():
    # joblib warns on machines that do not say how many physical cores they have, such as a minimal container.
    warnings.filterwarnings('ignore', message='Could not find the number of physical cores')
    centers = cluster.KMeans(number, init=begin, n_init=1).fit(values).cluster_centers_
  return tuple(sorted({round(float(np.exp(center)), 2) for (center,) in centers}))
