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

"""Defines the detections of one image."""

import dataclasses
import os
from typing import Any

import numpy as np
from PIL import Image

from nasfpn_tf.predict import drawing, reading


@dataclasses.dataclass(frozen=True)
class Detections:
  """What was found in one image, best first.

  Attributes:
    boxes: float32 [n, 4], ymin, xmin, ymax, xmax in pixels of the image.
    scores: float32 [n].
    classes: int32 [n], labels, from 1.
    names: n names.
    exit_stage: exit of an anytime detector that was stopped at it; None: the detector ran as a whole.
    source: the image they are from, as a `Detector` was given it: a path, an array or a PIL image; None: not kept.
  """

  boxes: np.ndarray
  scores: np.ndarray
  classes: np.ndarray
  names: tuple[str, ...]
  exit_stage: int | None = None
  source: Any = dataclasses.field(default=None, repr=False, compare=False)

  def __len__(self) -> int:
    return len(self.scores)

  def above(self, score_threshold: float) -> 'Detections':
    """Returns those with a score of at least `score_threshold`."""
    keep = np.flatnonzero(self.scores >= score_threshold)
    return dataclasses.replace(
      self,
      boxes=self.boxes[keep],
      scores=self.scores[keep],
      classes=self.classes[keep],
      names=tuple(self.names[i] for i in keep),
    )

  def captions(self) -> list[str]:
    """Returns name and score of each, as they are drawn."""
    return [f'{name} {score:.2f}' for name, score in zip(self.names, self.scores, strict=True)]

  def plot(self, image: str | os.PathLike[str] | np.ndarray | Image.Image | None = None) -> Image.Image:
    """Draws boxes, names and scores on the image; the best detection is on top.

    Args:
      image: what to draw on; None: `source`, which is read again where it is a file.

    Returns:
      A new RGB image of the same size; `.save('found.jpg')` writes it, `.show()` opens it.

    Raises:
      ValueError: there is no image to draw on, or it cannot be read.
    """
    image = self.source if image is None else image
    if image is None:
      raise ValueError('These detections do not contain their image: pass plot() the image to draw on.')
    return drawing.annotate(reading.as_image(image), self.boxes, self.classes, self.captions(), self.scores)
