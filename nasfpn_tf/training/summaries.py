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

"""Draws images with detections for TensorBoard."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from nasfpn_tf.data.input import preprocess

NUM_IMAGES = 8
MIN_SCORE = 0.3
_TRUTH, _DETECTION = (255, 209, 102), (75, 227, 161)


class DetectionImages:
  """Keeps the first images of an evaluation and writes them with the objects (yellow) and the detections (green)."""

  def __init__(self, names: Mapping[int, str] | None = None):
    """Takes the names of the labels; a label without one is shown as its number."""
    self._names = dict(names or {})
    self.reset()

  def reset(self) -> None:
    """Forgets all images."""
    self._drawn: list[np.ndarray] = []

  def add(
    self, images: np.ndarray, groundtruths: Mapping[str, np.ndarray], detections: Mapping[str, np.ndarray]
  ) -> None:
    """Draws the images of a batch until there are `NUM_IMAGES`.

    Args:
      images: `[batch, height, width, 3]`, normalized, as the network gets them.
      groundtruths: `boxes` `[batch, n, 4]` in the original's pixels, `classes` `[batch, n]`, -1 where there is none.
      detections: `image_info`, `boxes`, `scores`, `classes`, `num_detections`, as for the evaluator.
    """
    for i in range(min(len(images), NUM_IMAGES - len(self._drawn))):
      pixels = np.asarray(images[i], np.float32) * preprocess.STDDEV + preprocess.MEAN
      canvas = Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
      draw = ImageDraw.Draw(canvas)
      info, labels = detections['image_info'][i], groundtruths['classes'][i]
      truth = groundtruths['boxes'][i] * np.tile(info[2], 2) - np.tile(info[3], 2)
      for box, label in zip(truth[labels >= 0], labels[labels >= 0], strict=True):
        self._box(draw, box, self._name(label), _TRUTH)
      shown = np.arange(len(detections['scores'][i])) < detections['num_detections'][i]
      shown &= detections['scores'][i] >= MIN_SCORE
      for j in np.flatnonzero(shown):
        text = f'{self._name(detections["classes"][i, j])} {detections["scores"][i, j]:.2f}'
        self._box(draw, detections['boxes'][i, j], text, _DETECTION)
      self._drawn.append(np.asarray(canvas))

  def write(self) -> None:
    """Writes the images as a summary, if there is a default writer."""
    if self._drawn:
      tf.summary.image('detections', np.stack(self._drawn), max_outputs=NUM_IMAGES)

  def _name(self, label: float) -> str:
    return self._names.get(int(label), str(int(label)))

  def _box(self, draw: ImageDraw.ImageDraw, box: Sequence[float], text: str, color: tuple[int, int, int]) -> None:
    ymin, xmin, ymax, xmax = (float(side) for side in box)
    if not all(np.isfinite((ymin, xmin, ymax, xmax))) or ymax < ymin or xmax < xmin:
      return
    draw.rectangle((xmin, ymin, xmax, ymax), outline=color)
    draw.text((xmin + 2, ymin + 1), text, fill=color)
