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

"""YOLO's label files -> the COCO value that all formats are checked as."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.data.sources import coco, images
from nasfpn_tf.data.sources.categories import read_categories
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.problems import DataError, Problems

_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def read_yolo(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: Sequence[Mapping[str, Any]] | None = None,
) -> CocoDataset:
  """Reads YOLO labels: a .txt file a picture, in it a line `class x_center y_center width height` a box, in 0..1.

  A line with more numbers is a polygon, and its bounding box is taken. A picture without a label file, or with an empty
  one, has no object. Coordinates are those of the upright picture.

  Args:
    annotations: the directory of the label files, e.g. labels/train.
    image_dir: the directory of the pictures, e.g. images/train, with the same names and subdirectories.
    categories: with ids from 0 as the lines have them, e.g. from data.yaml by `categories.read_categories`; None: from
      classes.txt in the directory of the label files.

  Raises:
    DataError: nothing there, or nothing in it to learn from.
  """
  annotations, image_dir = os.fspath(annotations), os.fspath(image_dir)
  if not os.path.isdir(annotations):
    raise DataError(f'{annotations}: no such directory of label files.')
  if categories is None:
    names = os.path.join(annotations, 'classes.txt')
    if not os.path.exists(names):
      raise DataError(f'{annotations}: no classes.txt in it; say where the class names are, e.g. in data.yaml.')
    categories = read_categories(names, first_id=0)
  problems = Problems()
  value: dict[str, Any] = {'images': [], 'annotations': [], 'categories': list(categories)}
  origins: dict[int, str] = {}
  used = set()
  for image_id, name in enumerate(_list(image_dir), 1):
    labels = os.path.join(annotations, os.path.splitext(name)[0] + '.txt')
    used.add(os.path.normpath(labels))
    try:
      width, height = images.read_size(os.path.join(image_dir, name))
    except images.ImageError as error:
      problems.add(error.kind, name, str(error))
      continue
    value['images'].append({'id': image_id, 'file_name': name, 'width': width, 'height': height})
    for where, numbers in _lines(labels, problems):
      identifier = len(value['annotations']) + 1
      origins[identifier] = where
      value['annotations'].append(
        {'id': identifier, 'image_id': image_id, 'category_id': numbers[0], 'bbox': _box(numbers[1:], width, height)}
      )
  for path in _text_files(annotations):
    if os.path.normpath(path) not in used and os.path.basename(path) != 'classes.txt':
      problems.add('unknown_image', path, f'no picture of this name in {image_dir}')
  dataset = coco.check_coco(value, annotations, origins=origins)
  dataset.problems.extend(problems)
  return dataset


def _list(image_dir: str) -> list[str]:
  """Pictures below the directory, relative to it, sorted."""
  names = [
    os.path.relpath(os.path.join(directory, file), image_dir)
    for directory, _, files in os.walk(image_dir)
    for file in files
    if file.lower().endswith(_EXTENSIONS)
  ]
  if not names:
    raise DataError(f'{image_dir}: no picture in it.')
  return sorted(names)


def _text_files(directory: str) -> list[str]:
  found = [os.path.join(parent, file) for parent, _, files in os.walk(directory) for file in files]
  return sorted(path for path in found if path.endswith('.txt'))


def _lines(path: str, problems: Problems) -> list[tuple[str, list[float]]]:
  """(where, numbers) of each readable line."""
  try:
    with open(path, encoding='utf-8') as file:
      lines = file.read().splitlines()
  except FileNotFoundError:
    return []
  except (OSError, UnicodeDecodeError) as error:
    problems.add('bad_label_file', path, f'cannot be read: {error}')
    return []
  found = []
  for number, line in enumerate(lines, 1):
    if not line.strip():
      continue
    try:
      numbers = [float(word) for word in line.split()]
    except ValueError:
      numbers = []
    if len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2):
      found.append((f'{path} line {number}', numbers))
    else:
      problems.add('bad_label_file', f'{path} line {number}', f'not "class x y width height": {line[:60]!r}')
  return found


def _box(numbers: Sequence[float], width: int, height: int) -> list[float]:
  """x, y, width, height in pixels, of a box or a polygon in 0..1."""
  if not all(map(math.isfinite, numbers)):
    return [math.nan] * 4
  if len(numbers) == 4:
    x, y, w, h = numbers
    return [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
  left, top = min(numbers[0::2]) * width, min(numbers[1::2]) * height
  return [left, top, max(numbers[0::2]) * width - left, max(numbers[1::2]) * height - top]
