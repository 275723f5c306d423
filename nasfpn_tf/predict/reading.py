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

"""Reads images in the form the network is trained on, from files and from memory: uint8 RGB, upright."""

import os
import re
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from nasfpn_tf.data.sources import images

_URL = re.compile(r'[a-z][a-z0-9+.-]+://', re.IGNORECASE)  # A drive such as C:\\ has one letter.


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads an image file: uint8 [height, width, 3], RGB, upright as its EXIF says.

  It is read as the readers of training data read it: of an animation the first frame, of 16 bits the upper 8, CMYK,
  palettes and gray become RGB, transparency is ignored.

  Raises:
    ImageError: it cannot be read; the message says why, without the path.
  """
  return read_first_frame(path)[0]


def read_first_frame(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
  """Returns an image as `read_image` does, and how many frames or pages its file has."""
  try:
    with open(path, 'rb') as file:
      data = file.read()
  except (OSError, ValueError) as error:  # A ValueError is a name that no file can have.
    raise images.missing(error) from error
  pixels = tf.io.decode_image(images.encode(data).data, channels=3, expand_animations=False).numpy()
  return pixels, images.count_frames(data)


def as_image(image: str | os.PathLike[str] | np.ndarray | Image.Image) -> np.ndarray:
  """Converts any representation of one image to uint8 [height, width, 3], RGB.

  Args:
    image: path of a file; a PIL image, which is treated as a file with its content; or an array of uint8 that is
      [height, width, 3] in RGB, [height, width] or [height, width, 1] in gray, or [height, width, 4] in RGBA, whose
      transparency is ignored as it is in files. (OpenCV reads BGR: give `image[..., ::-1]`.)

  Raises:
    ValueError: it is none of these or cannot be read; of a file the message names the path.
  """
  if isinstance(image, str | os.PathLike):
    path = os.fspath(image)
    check_local(path)
    try:
      return read_image(path)
    except images.ImageError as error:
      raise ValueError(f'{path}: {error}') from error
  if isinstance(image, Image.Image):
    try:
      return np.array(images.upright_rgb(image))
    except images.ImageError as error:
      raise ValueError(f'{getattr(image, "filename", "") or "the PIL image"}: {error}') from error
  return _rgb_array(np.asarray(image), type(image))


def check_local(path: str) -> None:
  """Raises a ValueError if `path` is a URL."""
  if _URL.match(path):
    raise ValueError(f'{path}: is a URL, and only local files are read: download it first and give the path.')


def _rgb_array(image: np.ndarray, given: Any) -> np.ndarray:
  is_image = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
  if image.dtype == object or not is_image or not image.size:
    name = f'an array of {image.dtype} {list(image.shape)}' if image.ndim else f'a {given.__name__}'
    raise ValueError(
      f'{name} is no image: give a path, a PIL image, or a uint8 array [height, width, 3] in RGB (also [height, width]'
      ' in gray, or RGBA), or a list of these.'
    )
  if image.dtype != np.uint8:
    raise ValueError(
      f'an image array has dtype uint8 with values from 0 to 255, not {image.dtype}: convert it, e.g. with'
      ' (255 * image).astype("uint8") where its values are from 0 to 1.'
    )
  image = image[..., np.newaxis] if image.ndim == 2 else image
  return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else np.ascontiguousarray(image[..., :3])
