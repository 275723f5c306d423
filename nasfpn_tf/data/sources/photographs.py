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

"""Crops backgrounds of the embedded data set from photographs that come with the installed packages.

They are scikit-learn's two sample images and the portrait among matplotlib's sample data. The splits share no piece of
them: two fifths of each photograph, at its left or its right border, are for validation alone.
"""

import functools
import math
import os

import matplotlib
import numpy as np
from PIL import Image, ImageFilter
from sklearn import datasets

# Columns of each photograph that validation has to itself, as shares of the width: the temple, half the flower and the
# half of the portrait with the plainer background, which makes the two splits about equally busy.
_VAL_COLUMNS = ((0.0, 0.4), (0.0, 0.4), (0.6, 1.0))
_MIN_CROP = 96  # Least side of a background in pixels of the photograph.
_COMPOSED = 0.3  # Share of the training backgrounds that are put together from pieces.
_BLURRED = 0.3
_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def background(rng: np.random.Generator, split: str, image_size: int) -> Image.Image:
  """Draws a background from the split's parts of the photographs.

  Args:
    rng: of every choice.
    split: 'train' or 'val'. Validation's are pieces of photographs, mirrored or not, under random light; training's are
      also turned, put together from several pieces, recolored and blurred, as there are only three photographs.
    image_size: side in pixels.
  """
  piece = _piece(rng, split, image_size)
  if split == 'train':
    if rng.random() < _COMPOSED:
      # The outline of a third piece divides the first two: shapes that a detector must not take for digits.
      outline = _piece(rng, split, image_size).convert('L')
      threshold = int(np.median(np.asarray(outline)))
      mask = outline.point([0] * threshold + [255] * (256 - threshold)).filter(ImageFilter.GaussianBlur(1))
      piece = Image.composite(piece, _piece(rng, split, image_size), mask)
    piece = _vary(rng, piece)
  if rng.random() < 0.5:
    piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
  gain, shift = rng.uniform(0.6, 1.2), rng.uniform(-25, 25)
  table = np.clip((np.arange(256) - 128) * gain + 128 + shift, 0, 255).astype(np.uint8)
  return piece.point(np.tile(table, 3).tolist())


def _piece(rng: np.random.Generator, split: str, image_size: int) -> Image.Image:
  """Crops a random square from the split's part of a photograph and resizes it."""
  choice = rng.integers(len(_VAL_COLUMNS))
  photograph, (val_left, val_right) = _photographs()[choice], _VAL_COLUMNS[choice]
  shares = (val_left, val_right) if split == 'val' else (val_right % 1.0, val_left or 1.0)
  left, right = (round(photograph.width * share) for share in shares)
  side = math.exp(rng.uniform(math.log(_MIN_CROP), math.log(min(right - left, photograph.height))))
  x, y = rng.uniform(left, right - side), rng.uniform(0, photograph.height - side)
  return photograph.resize((image_size, image_size), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))


def _vary(rng: np.random.Generator, piece: Image.Image) -> Image.Image:
  """Turns the piece, mixes its colors anew and blurs it or not: three photographs are few to learn from."""
  turn = rng.integers(5)
  if turn < len(_TURNS):
    piece = piece.transpose(_TURNS[turn])
  # Rows sum to 1, so that gray stays gray.
  mixture = np.eye(3)[rng.permutation(3)] + rng.normal(0.0, 0.25, (3, 3))
  mixture /= mixture.sum(axis=1, keepdims=True)
  piece = piece.convert('RGB', tuple(float(x) for x in np.pad(mixture, [(0, 0), (0, 1)]).ravel()))
  if rng.random() < _BLURRED:
    piece = piece.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5)))
  return piece


@functools.cache
def _photographs() -> tuple[Image.Image, ...]:
  samples = [Image.fromarray(array) for array in datasets.load_sample_images().images]
  portrait = os.path.join(matplotlib.get_data_path(), 'sample_data', 'grace_hopper.jpg')
  with Image.open(portrait) as image:
    return (*samples, image.convert('RGB'))
