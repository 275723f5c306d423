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

"""Wraps a trained detector so that it takes files, arrays and PIL images: `nasfpn_tf.load`."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from nasfpn_tf.modeling.weights import cache, known
from nasfpn_tf.predict import reading
from nasfpn_tf.predict.at_exit import AtExit
from nasfpn_tf.predict.deadline import Deadline
from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.loading import load_predictor
from nasfpn_tf.predict.predictor import Predictor

SCORE_THRESHOLD = 0.3

AnyImage: TypeAlias = str | os.PathLike[str] | np.ndarray | Image.Image


class Detector:
  """Finds objects in image files, arrays and PIL images; safe to share between threads, as its predictor is.

  Attributes:
    predictor: the detector behind it, which takes uint8 RGB arrays and keeps every score.
    labels: {label: {'label', 'id', 'name'}}.
    score_threshold: least score of a detection where a call does not say.
  """

  def __init__(self, predictor: Predictor | AtExit | Deadline, score_threshold: float = SCORE_THRESHOLD):
    """Wraps a predictor in any form."""
    self.predictor = predictor
    self.labels: Mapping[int, Mapping[str, Any]] = predictor.labels
    self.score_threshold = _checked(score_threshold)

  def __call__(
    self, images: AnyImage | Sequence[AnyImage], *, score_threshold: float | None = None
  ) -> Detections | list[Detections]:
    """Finds objects in one image, or in each of several.

    Args:
      images: see `reading.as_image`; a list or tuple of such, or uint8 [n, height, width, 3], are several.
      score_threshold: least score of a detection; None: the detector's.

    Returns:
      The detections of one image, or a list of them in the order of `images`.

    Raises:
      ValueError: what is given is no image or cannot be read; the message names the path, or the place in the list.
    """
    threshold = self.score_threshold if score_threshold is None else _checked(score_threshold)
    if isinstance(images, list | tuple) or getattr(images, 'ndim', 0) == 4:
      return [self._detect(image, threshold, f'image {index} of the list: ') for index, image in enumerate(images)]
    return self._detect(images, threshold)

  def _detect(self, image: AnyImage, score_threshold: float, where: str = '') -> Detections:
    try:
      pixels = reading.as_image(image)
    except ValueError as error:
      raise ValueError(f'{where}{error}') from error
    return dataclasses.replace(self.predictor(pixels).above(score_threshold), source=image)


def load(
  path: str | os.PathLike[str],
  checkpoint: str | None = None,
  *,
  score_threshold: float = SCORE_THRESHOLD,
  exit_stage: int | None = None,
  deadline_ms: float | None = None,
  trust: bool = False,
  weights: str | None = None,
) -> Detector:
  """Loads a trained detector that takes image files, arrays and PIL images.

  Example:
    detector = nasfpn_tf.load('my_detector')
    found = detector('image.jpg')
    print(found.names, found.scores, found.boxes)  # ymin, xmin, ymax, xmax in pixels of the image
    found.plot().save('found.jpg')

  Args:
    path: the model_dir of a training, a SavedModel or the directory of its versions, a .tflite, or the name of a
      detector that comes with the package (`shipped.DETECTORS`).
    checkpoint: of a model_dir: prefix of a checkpoint; None: its best.
    score_threshold: least score of a detection, 0 to 1; a call may give another.
    exit_stage: of an anytime detector: run this exit; None: the last.
    deadline_ms: of an anytime detector: stop refining so that an image's boxes are there after so many milliseconds.
    trust: load a SavedModel whose graph could read or write files, too; see `artifacts.saved_model`.
    weights: 'coco': `path` is the name of a published detector, e.g. 'r50_nasfpn_7x256_640', that
      `scripts/import_weights.py` left on this machine (docs/weights.md).

  Raises:
    TypeError: `path` is neither text nor a path.
    FileNotFoundError: there is nothing of the kind at `path`, or the weights have not been imported.
    ValueError: it is there but broken or not made by this project, or an argument is out of range.
  """
  _checked(score_threshold)
  if weights is not None:
    if weights != known.COCO:
      raise ValueError(f"weights is {weights!r}: it can be 'coco'.")
    path = cache.find(str(path))
  predictor = choose_exit(load_predictor(path, checkpoint, trust), exit_stage, deadline_ms)
  return Detector(predictor, score_threshold)


def choose_exit(
  predictor: Predictor, exit_stage: int | None = None, deadline_ms: float | None = None
) -> Predictor | AtExit | Deadline:
  """Returns an anytime detector that stops at an exit or in time; any detector as it is where neither is given.

  Raises:
    ValueError: both are given, one is out of range, or the detector has no exits.
  """
  if deadline_ms is not None and exit_stage is not None:
    raise ValueError('exit_stage and deadline_ms are two ways to choose an exit: give only one.')
  if exit_stage is not None:
    return AtExit(predictor, exit_stage)
  return predictor if deadline_ms is None else Deadline(predictor, deadline_ms)


def _checked(score_threshold: float) -> float:
  if not 0.0 <= score_threshold <= 1.0:
    raise ValueError(f'score_threshold is {score_threshold}; it must be from 0 to 1.')
  return score_threshold
