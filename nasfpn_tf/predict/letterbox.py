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

"""Letterboxes an image without TensorFlow, whose threads a forked process does not have: `preprocess.letterbox`'s twin.

It computes in float32 what TensorFlow's bilinear resizing with half-pixel centers computes, in the same order. OpenCV
rounds 8-bit images to whole numbers on the way, and Pillow widens its filter when it shrinks: either is another input
than the one an exported file was compared on.
"""

from collections.abc import Sequence

import numpy as np

from nasfpn_tf.data.input.preprocess import MEAN


def letterbox(
  image: np.ndarray, output_size: Sequence[int], keep_aspect_ratio: bool = True
) -> tuple[np.ndarray, np.ndarray]:
  """Fits an image into the network's input at the top left.

  Args:
    image: uint8 [height, width, 3], RGB.
    output_size: height and width of the network's input.
    keep_aspect_ratio: False stretches the image instead of padding it.

  Returns:
    float32 [output_height, output_width, 3], 0 to 255, the mean color in the padding; and `image_info` float32 [4, 2],
    see `preprocess.geometry`.
  """
  size, desired = np.float32(image.shape[:2]), np.float32(output_size)
  target = np.rint(size * np.min(desired / size)) if keep_aspect_ratio else desired
  target = np.maximum(target, np.float32(1.0))  # A very long and narrow image keeps a row of pixels.
  canvas = np.empty([*output_size, 3], np.float32)
  canvas[...] = np.float32(MEAN)
  height, width = (int(side) for side in target)
  canvas[:height, :width] = resize(image, (height, width))
  return canvas, np.stack([size, desired, target / size, np.zeros(2, np.float32)])


def resize(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
  """Resizes uint8 [height, width, 3] to float32 [*size, 3] bilinearly, with half-pixel centers and no antialiasing."""
  top, bottom, down = _neighbours(image.shape[0], size[0])
  left, right, across = _neighbours(image.shape[1], size[1])
  rows, places = np.unique(np.concatenate([top, bottom]), return_inverse=True)
  strips = image[rows]
  strips = _between(np.take(strips, left, axis=1), np.take(strips, right, axis=1), across[:, np.newaxis])
  return _between(strips[places[: size[0]]], strips[places[size[0] :]], down[:, np.newaxis, np.newaxis])


def _neighbours(length: int, new_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the pixels on either side of each new one, and its fraction of the way from the first to the second."""
  scale = np.float32(length) / np.float32(new_length)
  place = (np.arange(new_length, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
  floor = np.floor(place)
  first = np.clip(floor, 0, length - 1).astype(np.intp)
  second = np.clip(np.ceil(place), 0, length - 1).astype(np.intp)
  return first, second, place - floor


def _between(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
  first = first.astype(np.float32, copy=False)
  found = second - first
  found *= weight
  found += first
  return found
