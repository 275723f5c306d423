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

"""Computes what COCO's twelve metrics do not show: precision over recall, confused categories, and the worst images."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasfpn_tf.report import overlays
from nasfpn_tf.training.evaluation import CocoEvaluator

SCORE_THRESHOLD = 0.3
_MIN_IOU = 0.5
_MOST = 20  # Categories in the confusion matrix.
_OTHER, _NOTHING = 'others', 'nothing'


@dataclasses.dataclass(frozen=True)
class ImageResult:
  """One image of the validation split.

  Attributes:
    image_id: as in the annotations.
    f1: of its boxes at `SCORE_THRESHOLD` and IoU 0.5.
    truth: ground truth, crowds left out.
    predictions: those above the threshold.
  """

  image_id: int
  f1: float
  truth: Sequence[overlays.Box]
  predictions: Sequence[overlays.Box]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
  """The results of one evaluation.

  Attributes:
    recall: the recalls at which precision is given.
    precision: by name ('IoU 0.50', ...), the mean over the categories.
    precision_of: by category, at IoU 0.5.
    names: rows and columns of `confusion`, the last of them for nothing.
    confusion: `[true, detected]` counts at `SCORE_THRESHOLD` and IoU 0.5, whatever the category.
    images: every image with an object or a detection, the best first.
  """

  recall: Sequence[float]
  precision: Mapping[str, Sequence[float]]
  precision_of: Mapping[str, Sequence[float]]
  names: Sequence[str]
  confusion: np.ndarray
  images: Sequence[ImageResult]

  def to_json(self) -> dict[str, Any]:
    """Returns the curves, the matrix and the images' F1 as a JSON value."""
    return {
      'score_threshold': SCORE_THRESHOLD,
      'iou': _MIN_IOU,
      'recall': list(self.recall),
      'precision': {key: list(value) for key, value in self.precision.items()},
      'precision_of': {key: list(value) for key, value in self.precision_of.items()},
      'confusion': {'names': list(self.names), 'counts': self.confusion.tolist()},
      'images': [{'image_id': image.image_id, 'f1': image.f1} for image in self.images],
    }


def diagnose(evaluator: CocoEvaluator) -> Diagnosis:
  """Analyzes an evaluation; call it after `evaluator.evaluate`."""
  coco, names = evaluator.matched, evaluator.category_names
  recall = [round(float(value), 4) for value in coco.params.recThrs]
  precision = np.asarray(coco.eval['precision'])[:, :, :, 0, -1]  # [IoU, recall, category].
  used = [k for k in range(precision.shape[2]) if (precision[:, :, k] > -1).any()]
  curves = {}
  for wanted in (0.5, 0.75, 0.9):
    index = int(np.argmin(np.abs(np.asarray(coco.params.iouThrs) - wanted)))
    curves[f'IoU {wanted:.2f}'] = precision[index][:, used].mean(axis=1).round(5).tolist()
  of_category = {names[coco.params.catIds[k]]: precision[0][:, k].round(5).tolist() for k in used}
  truth, predictions = _by_image(evaluator, names)
  images = [_image_result(image_id, truth[image_id], predictions[image_id]) for image_id in {**truth, **predictions}]
  images.sort(key=lambda image: (-image.f1, image.image_id))
  return Diagnosis(recall, curves, of_category, *_confusion(images), images)


def _by_image(evaluator: CocoEvaluator, names: Mapping[int, str]):
  truth, predictions = collections.defaultdict(list), collections.defaultdict(list)
  for box in evaluator.boxes:
    if box['image_id'] in evaluator.seen and not box['iscrowd']:
      truth[box['image_id']].append(overlays.Box(tuple(box['bbox']), names[box['category_id']]))
  for found in evaluator.detections():
    if found['score'] >= SCORE_THRESHOLD:
      box = overlays.Box(tuple(found['bbox']), names[found['category_id']], found['score'])
      predictions[found['image_id']].append(box)
  return truth, predictions


def _image_result(image_id: int, truth: list[overlays.Box], predictions: list[overlays.Box]) -> ImageResult:
  kinds = collections.Counter(box.kind for box in overlays.judge(truth, predictions, _MIN_IOU))
  f1 = 2 * kinds['good'] / max(2 * kinds['good'] + kinds['bad'] + kinds['missed'], 1)
  return ImageResult(image_id, round(f1, 4), truth, predictions)


def _confusion(images: Sequence[ImageResult]) -> tuple[list[str], np.ndarray]:
  """Names and counts: the best overlap first, each object and each prediction once, whatever their categories."""
  frequent = collections.Counter(box.name for image in images for box in (*image.truth, *image.predictions))
  names = [name for name, _ in frequent.most_common(_MOST)]
  if len(frequent) > _MOST:
    names.append(_OTHER)
  names.append(_NOTHING)
  place = {name: index for index, name in enumerate(names[:-1])}
  counts = np.zeros([len(names)] * 2, np.int64)
  other, nothing = len(names) - 2, len(names) - 1
  for image in images:
    pairs = [
      (overlays.iou(a.bbox, b.bbox), i, j) for i, a in enumerate(image.truth) for j, b in enumerate(image.predictions)
    ]
    free, unused = set(range(len(image.truth))), set(range(len(image.predictions)))
    for overlap, i, j in sorted(pairs, reverse=True):
      if overlap >= _MIN_IOU and i in free and j in unused:
        free.remove(i)
        unused.remove(j)
        counts[place.get(image.truth[i].name, other), place.get(image.predictions[j].name, other)] += 1
    for i in free:
      counts[place.get(image.truth[i].name, other), nothing] += 1
    for j in unused:
      counts[nothing, place.get(image.predictions[j].name, other)] += 1
  return names, counts
