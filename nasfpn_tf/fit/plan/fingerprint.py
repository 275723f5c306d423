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
"""Measures the properties of a data set that a plan needs: sizes and shapes of images and boxes, crowding,"
" symmetry, class names."""

import dataclasses
from typing import Any

import numpy as np
from scipy import stats

from nasfpn_tf.data.records.check import RecordSet
from nasfpn_tf.data.sources.problems import DataError

MAX_BOXES = 5000  # Enough for percentiles and coverage; more only take time.
_PERCENTILES = (1, 10, 50, 90, 99)
_SIGNIFICANT = 1e-3  # p value.


@dataclasses.dataclass(frozen=True)
class Fingerprint:
  """Figures of the training images; crowds are left out, as they are in no training target.

  Attributes:
    input_path: of the records.
    num_images: usable images.
    num_boxes: boxes in them.
    names: of the classes, by label.
    image_size: median height and width in pixels.
    most_boxes: in any one image.
    boxes: float `[n, 4]`, ymin, xmin, ymax, xmax in pixels, at most `MAX_BOXES` of them, evenly drawn.
    sizes: int `[n, 2]`, height and width of the image of each of `boxes`.
    crowding: 95th percentile, over boxes, of the highest IoU with another box of the same class.
    up_and_down: whether positions and sizes of boxes tell the top of the images from the bottom.
    fewest: (name, boxes) of the class with the fewest boxes.
  """

  input_path: str
  num_images: int
  num_boxes: int
  names: tuple[str, ...]
  image_size: tuple[int, int]
  most_boxes: int
  boxes: np.ndarray
  sizes: np.ndarray
  crowding: float
  up_and_down: bool
  fewest: tuple[str, int]

  def scaled_sides(self, scale: float = 1.0) -> np.ndarray:
    """Returns the square roots `[n]` of the boxes' areas in pixels, times `scale`."""
    height, width = (self.boxes[:, 2:] - self.boxes[:, :2]).T
    return np.sqrt(height * width) * scale

  def aspect_ratios(self) -> np.ndarray:
    """Returns width / height `[n]` of the boxes."""
    height, width = (self.boxes[:, 2:] - self.boxes[:, :2]).T
    return width / height

  def summary(self) -> dict[str, Any]:
    """Returns the figures as a JSON value."""
    percentiles = {
      name: [round(float(value), 3) for value in np.percentile(values, _PERCENTILES)]
      for name, values in (('box_side', self.scaled_sides()), ('aspect_ratio', self.aspect_ratios()))
    }
    return {
      'input_path': self.input_path,
      'images': self.num_images,
      'boxes': self.num_boxes,
      'classes': list(self.names),
      'image_size': list(self.image_size),
      'most_boxes': self.most_boxes,
      'percentiles': list(_PERCENTILES),
      **percentiles,
      'crowding': round(self.crowding, 3),
      'up_and_down': self.up_and_down,
      'fewest': list(self.fewest),
    }


def take(split: RecordSet) -> Fingerprint:
  """Takes the fingerprint of training records.

  Args:
    split: what `check_records` has read.

  Raises:
    DataError: there is no box to plan for.
  """
  boxes, sizes, counts, overlaps = [], [], [], []
  of_class: dict[int, int] = {}
  for record in split.records:
    kept = record.boxes[~record.is_crowd]
    classes = record.classes[~record.is_crowd]
    boxes.append(kept)
    sizes.append(np.tile(record.size, (len(kept), 1)))
    counts.append(len(kept))
    overlaps.append(_highest_overlaps(kept, classes))
    for label in classes:
      of_class[int(label)] = of_class.get(int(label), 0) + 1
  if not sum(counts):
    raise DataError(
      f'{split.input_path}: none of the {len(split.records)} images has a box; there is nothing to learn.'
    )
  boxes, sizes = np.concatenate(boxes), np.concatenate(sizes)
  up_and_down = _tells_up_from_down(boxes, sizes)
  if len(boxes) > MAX_BOXES:
    drawn = np.linspace(0, len(boxes) - 1, MAX_BOXES).astype(int)
    boxes, sizes = boxes[drawn], sizes[drawn]
  images = np.array([record.size for record in split.records])
  label_counts = [(label['name'], of_class.get(label['label'], 0)) for label in split.labels]
  return Fingerprint(
    input_path=split.input_path,
    num_images=len(split.records),
    num_boxes=sum(counts),
    names=tuple(label['name'] for label in split.labels),
    image_size=tuple(int(side) for side in np.median(images, axis=0)),
    most_boxes=max(counts),
    boxes=boxes,
    sizes=sizes,
    crowding=float(np.percentile(np.concatenate(overlaps), 95)),
    up_and_down=up_and_down,
    fewest=min(label_counts, key=lambda entry: entry[1]),
  )


def _highest_overlaps(boxes: np.ndarray, classes: np.ndarray) -> np.ndarray:
  """Computes the highest IoU `[n]` of each box with another one of its class in the same image."""
  if len(boxes) < 2:
    return np.zeros(len(boxes))
  top, bottom = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
  overlap = np.prod(np.maximum(bottom - top, 0.0), axis=2)
  area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  iou = overlap / (area[:, None] + area[None, :] - overlap)
  iou[classes[:, None] != classes[None, :]] = 0.0
  np.fill_diagonal(iou, 0.0)
  return iou.max(axis=1)


def _tells_up_from_down(boxes: np.ndarray, sizes: np.ndarray) -> bool:
  """Tells whether upper and lower halves of the images differ in the positions or sizes of boxes.

  Two-sample Kolmogorov-Smirnov tests of the boxes' vertical centers against their mirror images, and of the areas in
  either half; with few boxes nothing can be told and the answer is yes.
  """
  if len(boxes) < 50:
    return True
  center = (boxes[:, 0] + boxes[:, 2]) / 2 / sizes[:, 0]
  area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / np.prod(sizes, axis=1)
  upper, lower = area[center < 0.5], area[center >= 0.5]
  if min(len(upper), len(lower)) < 10:
    return True
  return _differ(center, 1.0 - center) or _differ(upper, lower)


def _differ(a: np.ndarray, b: np.ndarray) -> bool:
  return bool(stats.ks_2samp(a, b).pvalue < _SIGNIFICANT)
