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

"""Generates the embedded data set: real handwritten digits on real photographs, as COCO JSON and JPEG.

Everything in it comes with the installed packages: the digits are scikit-learn's (1797 samples of 8x8 by 43 writers,
from the UCI repository), the photographs those of `photographs.py`. The splits share neither a sample nor a piece of a
photograph: a fifth of the samples of each digit and two fifths of each photograph are for validation alone.
"""

import concurrent.futures
import dataclasses
import functools
import io
import json
import math
import multiprocessing
import os
import shutil
from collections.abc import Iterator

import numpy as np
from PIL import Image
from sklearn import datasets

from nasfpn_tf import processor, whole_file
from nasfpn_tf.data.progress import track
from nasfpn_tf.data.sources import photographs

Box = tuple[int, int, int, int]  # x, y, width, height in pixels.

_SETTINGS = 'settings.json'
_FORMAT = 2  # Of the images: raised when the same settings would draw others.
_SPLITS = ('train', 'val')
_VAL_SAMPLES = 0.2
_MARGIN = 2  # Cells of empty paper around the 8x8 samples, so that no stroke is cut.
_MIN_CONTRAST = 45.0  # Between a digit and the mean of what it covers, in luma of 0..255.
_MAX_COVERED = 0.1  # Of the smaller box of two.
_INK = 0.38  # Value at the edge of a stroke, 0..1.
_ABOVE_HALF = [0] * 128 + [255] * 128
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclasses.dataclass(frozen=True)
class DigitsSettings:
  """Settings that determine the images.

  Attributes:
    num_train: training images.
    num_val: validation images.
    seed: of every draw.
    image_size: side of the square images in pixels.
    min_size: least longer side of a digit's box in pixels.
    max_size: greatest longer side; sizes are log-uniform in between.
    max_digits: a validation image has 1 to this many digits.
    min_train_digits: a training image has at least so many, as far as there is room.
    max_train_digits: and at most so many. More digits teach more in the same time.
  """

  num_train: int = 8000
  num_val: int = 500
  seed: int = 0
  image_size: int = 256
  min_size: int = 12
  max_size: int = 160
  max_digits: int = 6
  min_train_digits: int = 1
  max_train_digits: int = 6

  def __post_init__(self):
    if min(self.num_train, self.num_val, self.max_digits) < 1:
      raise ValueError('num_train, num_val and max_digits must be at least 1')
    if not 8 <= self.min_size < self.max_size <= 0.75 * self.image_size:
      raise ValueError(
        f'image_size is {self.image_size}, digits are {self.min_size} to {self.max_size} pixels: digits must be at'
        ' least 8 pixels, in ascending order, and at most 3/4 of image_size'
      )
    if not 1 <= self.min_train_digits <= self.max_train_digits:
      raise ValueError(
        f'min_train_digits is {self.min_train_digits} and max_train_digits {self.max_train_digits}: they must be at'
        ' least 1, in ascending order'
      )


@dataclasses.dataclass(frozen=True)
class DigitsPaths:
  """Paths of a data set: directories of images, and COCO JSON files."""

  train_images: str
  train_annotations: str
  val_images: str
  val_annotations: str


def make_digits(
  output_dir: str,
  num_train: int = 8000,
  num_val: int = 500,
  seed: int = 0,
  image_size: int = 256,
  num_processes: int | None = None,
  progress: bool = True,
  min_train_digits: int = 1,
  max_train_digits: int = 6,
) -> DigitsPaths:
  """Generates the data set, unless it already exists with the same settings.

  The images depend on nothing but the settings. They are made beside `output_dir` and moved there when the last one
  is written, so a directory of that name is always whole.

  Args:
    output_dir: gets `train/*.jpg`, `val/*.jpg`, `train.json`, `val.json` and the settings.
    num_train: training images.
    num_val: validation images.
    seed: of every draw.
    image_size: side of the square images in pixels.
    num_processes: that draw side by side; None is one for each CPU this process may use.
    progress: show it on stderr.
    min_train_digits: of a training image; see `DigitsSettings`.
    max_train_digits: of a training image.

  Raises:
    ValueError: unusable settings.
    FileExistsError: `output_dir` holds something else than such a data set.
  """
  settings = DigitsSettings(
    num_train, num_val, seed, image_size, min_train_digits=min_train_digits, max_train_digits=max_train_digits
  )
  output_dir = os.path.abspath(output_dir)
  if _is_made(output_dir, settings):
    return _paths(output_dir)
  if os.path.isdir(output_dir) and os.listdir(output_dir) and not os.path.exists(os.path.join(output_dir, _SETTINGS)):
    raise FileExistsError(f'{output_dir} contains other files than the digits: choose another directory')

  partial = f'{output_dir}.partial'
  shutil.rmtree(partial, ignore_errors=True)
  for split in _SPLITS:
    os.makedirs(os.path.join(partial, split))
  num_processes = num_processes or processor.num_cores()
  images = {split: [] for split in _SPLITS}
  annotations = {split: [] for split in _SPLITS}
  jobs = [(settings, partial, index) for index in range(num_train + num_val)]
  for index, digits in enumerate(track(_map(_write_image, jobs, num_processes), len(jobs), 'digits: images', progress)):
    split, name = _image_name(settings, index)
    images[split].append({'id': index + 1, 'file_name': name, 'width': image_size, 'height': image_size})
    for digit, (x, y, width, height) in digits:
      annotations[split].append(
        {
          'id': len(annotations[split]) + 1,
          'image_id': index + 1,
          'category_id': digit + 1,
          'bbox': [x, y, width, height],
          'area': width * height,
          'iscrowd': 0,
        }
      )
  categories = [{'id': digit + 1, 'name': str(digit), 'supercategory': 'digit'} for digit in range(10)]
  for split in _SPLITS:
    content = {'images': images[split], 'annotations': annotations[split], 'categories': categories}
    _write_json(os.path.join(partial, f'{split}.json'), content)
  _write_json(os.path.join(partial, _SETTINGS), _identity(settings))
  shutil.rmtree(output_dir, ignore_errors=True)
  os.replace(partial, output_dir)
  return _paths(output_dir)


def _paths(output_dir: str) -> DigitsPaths:
  return DigitsPaths(*(os.path.join(output_dir, name) for name in ('train', 'train.json', 'val', 'val.json')))


def _identity(settings: DigitsSettings) -> dict:
  return {'format': _FORMAT, **dataclasses.asdict(settings)}


def _is_made(output_dir: str, settings: DigitsSettings) -> bool:
  """Tells whether the directory holds the complete data set of these settings."""
  try:
    with open(os.path.join(output_dir, _SETTINGS), encoding='utf-8') as file:
      if json.load(file) != _identity(settings):
        return False
    counts = [len(os.listdir(os.path.join(output_dir, split))) for split in _SPLITS]
  except (OSError, ValueError):
    return False
  annotated = all(os.path.exists(os.path.join(output_dir, f'{split}.json')) for split in _SPLITS)
  return annotated and counts == [settings.num_train, settings.num_val]


def _write_json(path: str, content: dict) -> None:
  whole_file.write_text(path, json.dumps(content))


def _image_name(settings: DigitsSettings, index: int) -> tuple[str, str]:
  """Returns the split and file name of an image by its index; the training images come first."""
  return _SPLITS[index >= settings.num_train], f'{index + 1:06d}.jpg'


def _map(function, jobs: list, num_processes: int) -> Iterator:
  """Maps over the jobs in order, in several processes if that is worth starting them."""
  if num_processes < 2 or len(jobs) < 200:
    yield from map(function, jobs)
    return
  # Forking a process in which TensorFlow runs its threads can hang it.
  context = multiprocessing.get_context('forkserver')
  context.set_forkserver_preload([__name__])
  with concurrent.futures.ProcessPoolExecutor(num_processes, mp_context=context) as pool:
    yield from pool.map(function, jobs, chunksize=50)


def _write_image(job: tuple[DigitsSettings, str, int]) -> list[tuple[int, Box]]:
  settings, directory, index = job
  split, name = _image_name(settings, index)
  image, digits = draw_image(settings, index)
  path = os.path.join(directory, split, name)
  encoded = io.BytesIO()  # Pillow's own writing does not tell why it fails.
  image.save(encoded, 'JPEG', quality=90)
  with whole_file.naming(path), open(path, 'wb') as file:
    file.write(encoded.getvalue())
  return digits


def draw_image(settings: DigitsSettings, index: int) -> tuple[Image.Image, list[tuple[int, Box]]]:
  """Draws one image.

  Args:
    settings: of the data set.
    index: of the image, from 0; those from `num_train` on are validation.

  Returns:
    The image, and its digits: each the digit and its box (x, y, width, height) in whole pixels, the tight bounds of
    where it covers more than half.
  """
  split, _ = _image_name(settings, index)
  rng = np.random.default_rng([settings.seed, index])
  image = photographs.background(rng, split, settings.image_size)
  digits = []
  fewest, most = (1, settings.max_digits) if split == 'val' else (settings.min_train_digits, settings.max_train_digits)
  count = fewest + rng.integers(most - fewest + 1)
  # What is drawn may be a pixel off.
  log_sizes = rng.uniform(math.log(settings.min_size + 1), math.log(settings.max_size - 1), count)
  for size in np.exp(np.sort(log_sizes)[::-1]):
    digit, mask = _handwriting(rng, split, size)
    box = _free_place(rng, mask, [box for _, box in digits], settings.image_size)
    if box is None:
      continue
    _paste(rng, image, mask, box)
    digits.append((digit, box))
  return image, digits


@functools.cache
def samples_of(split: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns the handwritten samples of a split: uint8 images `[n, 12, 12]`, ink 255, paper 0; and the digits `[n]`."""
  digits = datasets.load_digits()
  is_val = np.zeros(len(digits.target), bool)
  rng = np.random.default_rng(1797)  # The same split of the samples for every seed.
  for digit in range(10):
    members = rng.permutation(np.flatnonzero(digits.target == digit))
    is_val[members[: round(_VAL_SAMPLES * len(members))]] = True
  chosen = is_val if split == 'val' else ~is_val
  images = np.round(digits.images[chosen] * (255 / 16)).astype(np.uint8)
  return np.pad(images, [(0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)]), digits.target[chosen]


def _handwriting(rng: np.random.Generator, split: str, size: float) -> tuple[int, Image.Image]:
  """Draws a slightly rotated and slanted sample of the split: the digit, and its mask of `size` pixels, cropped."""
  images, digits = samples_of(split)
  sample = rng.integers(len(digits))
  angle, slant, stretch = rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), math.exp(rng.uniform(-0.15, 0.15))
  cosine, sine = math.cos(angle), math.sin(angle)
  # From pixels of the mask to cells of the sample, but for the scale.
  turn = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[stretch, slant], [0.0, 1.0 / stretch]])
  source = Image.fromarray(images[sample])
  edge = np.clip((np.arange(256) / 255 - _INK) * rng.uniform(3.0, 8.0) + 0.5, 0, 1) * 255
  edge = edge.astype(np.uint8).tolist()

  def draw(pixels_per_cell: float) -> tuple[Image.Image, tuple[int, int, int, int]]:
    center = 4 + _MARGIN
    side = math.ceil(2.4 * center * pixels_per_cell)
    matrix = turn / pixels_per_cell
    offset = center - matrix @ np.full(2, side / 2)
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    mask = source.transform((side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC).point(edge)
    return mask, mask.point(_ABOVE_HALF).getbbox()

  pixels_per_cell = 4.0
  for _ in range(4):  # The first shows how long the turned sample is; it grows a little less than in proportion.
    mask, (left, top, right, bottom) = draw(pixels_per_cell)
    length = max(right - left, bottom - top)
    if abs(length - size) <= 1:
      break
    pixels_per_cell *= size / length
  return int(digits[sample]), mask.crop((left, top, right, bottom))


def _free_place(rng: np.random.Generator, mask: Image.Image, boxes: list[Box], image_size: int) -> Box | None:
  """Draws a box (x, y, width, height) for the mask that hides no other digit; None after 20 attempts."""
  width, height = mask.size
  for _ in range(20):
    x, y = int(rng.integers(image_size - width + 1)), int(rng.integers(image_size - height + 1))
    if all(_covered((x, y, width, height), box) <= _MAX_COVERED for box in boxes):
      return x, y, width, height
  return None


def _covered(a: Box, b: Box) -> float:
  """Computes the intersection of two boxes as a share of the smaller one."""
  width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
  height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
  return max(width, 0) * max(height, 0) / min(a[2] * a[3], b[2] * b[3])


def _paste(rng: np.random.Generator, image: Image.Image, mask: Image.Image, box: Box) -> None:
  """Writes the digit in a random color that stands out from what it covers."""
  x, y, width, height = box
  covered = np.asarray(image.crop((x, y, x + width, y + height)).resize((1, 1), Image.Resampling.BOX), float)[0, 0]
  while True:
    colour = rng.uniform(0, 255, 3)
    if abs((colour - covered) @ _LUMA) >= _MIN_CONTRAST:
      break
  opacity = rng.uniform(0.8, 1.0)
  image.paste(tuple(int(c) for c in colour), (x, y), mask.point((np.arange(256) * opacity).astype(np.uint8).tolist()))
