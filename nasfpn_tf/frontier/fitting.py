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

"""Letterboxes an image with Pillow, so that a measured process loads nothing else for it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

MEAN_COLOR = (124, 116, 104)  # Pads, as everywhere in the project; rounded.


def fit(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
  """Letterboxes a uint8 image to [height, width, 3]."""
  height, width = size
  scale = min(height / image.shape[0], width / image.shape[1])
  inner = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
  canvas = Image.new('RGB', (width, height), MEAN_COLOR)
  canvas.paste(Image.fromarray(image).resize(inner, Image.Resampling.BILINEAR))
  return np.asarray(canvas)
