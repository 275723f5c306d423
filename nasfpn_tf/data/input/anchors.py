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

"""Computes exactly how well a model's anchors cover the boxes of a data set (arXiv 1708.02002, sec. 4).

An object that no anchor overlaps well enough is learnt badly or not at all; the remedy is another `anchor_size`, other
aspect ratios or a larger input.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class AnchorGrid:
  """The anchors of a one-stage detector, laid out as Model Garden's `anchor.Anchor`.

  Attributes:
    input_size: height and width of the network's input.
    min_level: finest level; its stride is 2**min_level.
    max_level: coarsest level.
    num_scales: sizes per octave.
    aspect_ratios: width / height of the anchors.
    anchor_size: side of the smallest square anchor of a level, in strides.
    match_threshold: IoU from which an anchor learns a box.
  """

  input_size: tuple[int, int]
  min_level: int = 3
  max_level: int = 7
  num_scales: int = 3
  aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
  anchor_size: float = 4.0
  match_threshold: float = 0.5

  def __post_init__(self):
    if len(self.input_size) != 2 or min(self.input_size) < 1:
      raise ValueError(f'input_size must be a height and a width in pixels, got {self.input_size}.')
    if not 0 < self.min_level <= self.max_level:
      raise ValueError(f'levels {self.min_level} to {self.max_level} are not a range of levels.')
    if self.num_scales < 1 or not self.aspect_ratios or min(self.aspect_ratios) <= 0 or self.anchor_size <= 0:
      raise ValueError(f'num_scales, aspect_ratios and anchor_size must be positive, got {self}.')

  def best_iou(self, boxes: np.ndarray) -> np.ndarray:
    """Computes the highest IoU of each box with any anchor.

    Anchors of one shape differ only in their center, and both overlap and IoU are greatest for the center nearest to
    the box's, so one anchor of each shape has to be looked at.

    Args:
      boxes: float `[n, 4]`, ymin, xmin, ymax, xmax in pixels of the network's input.

    Returns:
      float `[n]`.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    top, left, bottom, right = boxes.T
    area = (bottom - top) * (right - left)
    best = np.zeros(len(boxes))
    for level in range(self.min_level, self.max_level + 1):
      center_y = self._nearest_center((top + bottom) / 2, self.input_size[0], level)
      center_x = self._nearest_center((left + right) / 2, self.input_size[1], level)
      for scale in range(self.num_scales):
        for aspect in self.aspect_ratios:
          side = self.anchor_size * 2 ** (level + scale / self.num_scales)
          height, width = side * aspect**-0.5, side * aspect**0.5
          overlap_y = np.minimum(bottom, center_y + height / 2) - np.maximum(top, center_y - height / 2)
          overlap_x = np.minimum(right, center_x + width / 2) - np.maximum(left, center_x - width / 2)
          overlap = np.maximum(overlap_y, 0) * np.maximum(overlap_x, 0)
          best = np.maximum(best, overlap / (area + height * width - overlap))
    return best

  def scale_to_input(self, boxes: np.ndarray, image_sizes: np.ndarray) -> np.ndarray:
    """Scales boxes `[n, 4]` from pixels of images of sizes `[n, 2]` (height, width) to pixels of the input.

    Images are scaled to fit with their aspect ratio kept, as without augmentation.
    """
    scale = np.min(np.asarray(self.input_size) / np.asarray(image_sizes, np.float64).reshape(-1, 2), axis=1)
    return np.asarray(boxes, np.float64).reshape(-1, 4) * scale[:, None]

  @staticmethod
  def _nearest_center(position: np.ndarray, size: int, level: int) -> np.ndarray:
    cells = math.ceil(size / 2**level)
    stride = size / cells
    return (np.clip(np.floor(position / stride), 0, cells - 1) + 0.5) * stride
