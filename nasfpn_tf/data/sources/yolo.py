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

"""Converts YOLO's label files to the COCO value in which all formats are checked."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.data.sources import coco, images
from nasfpn_tf.data.sources.categories import read_categories, read_keypoints
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.image_files import files_below, normal_form
from nasfpn_tf.data.sources.problems import DataError, Problems
from nasfpn_tf.data.sources.text import read_text, reason


def read(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: str | os.PathLike[str] | None = None,
  allow_empty: bool = False,
) -> CocoDataset:
  """Reads YOLO labels with class names, and the shape of keypoints, from a file; see `formats.read_dataset`."""
  if categories is None:
    return read_yolo(annotations, image_dir, allow_empty=allow_empty)
  names = read_categories(categories, first_id=0)
  return read_yolo(annotations, image_dir, names, read_keypoints(categories), allow_empty)


def read_yolo(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: Sequence[Mapping[str, Any]] | None = None,
  keypoints: tuple[int, int] | None = None,
  allow_empty: bool = False,
) -> CocoDataset:
  """Reads YOLO labels: a .txt file an image, in it a line `class x_center y_center width height` a box, in 0..1.

  A line with more numbers is a polygon, and its bounding box is taken; or, where there are keypoints, a box and them.
  An image without a label file, or with an empty one, has no object; one whose label file cannot be read at all is
  left out. Coordinates are those of the upright image.

  Args:
    annotations: the directory of the label files, e.g. labels/train, or the root of a data set in YOLO's own layout.
    image_dir: the directory of the images, e.g. images/train, with the same names and subdirectories.
    categories: with ids from 0 as the lines have them, e.g. from data.yaml by `categories.read_categories`; None: from
      classes.txt in the directory of the label files.
    keypoints: 'kpt_shape' of data.yaml, points and numbers a point, for labels of poses.
    allow_empty: take a data set without any object: all of it is background.

  Raises:
    DataError: nothing there, or nothing in it to learn from.
  """
  annotations, image_dir = os.fspath(annotations), os.fspath(image_dir)
  if not os.path.isdir(annotations):
    raise DataError(f'{annotations}: no such directory of label files.')
  problems = Problems()
  directory = _label_directory(annotations, image_dir, problems)
  if categories is None:
    places = [os.path.join(place, 'classes.txt') for place in dict.fromkeys((directory, annotations))]
    names = next((place for place in places if os.path.exists(place)), None)
    if names is None:
      raise DataError(f'{annotations}: no classes.txt in it; say where the class names are, e.g. in data.yaml.')
    categories = read_categories(names, first_id=0)
  value: dict[str, Any] = {'images': [], 'annotations': [], 'categories': list(categories)}
  origins: dict[int, str] = {}
  used = set()
  label_files = {_without_extension(path): path for path in _text_files(directory)}
  listed = _list(image_dir)
  for image_id, name in enumerate(listed, 1):
    labels = os.path.join(directory, os.path.splitext(name)[0] + '.txt')
    if not os.path.exists(labels):
      labels = label_files.get(_without_extension(labels), labels)
    used.add(os.path.normpath(labels))
    try:
      width, height = images.read_size(os.path.join(image_dir, name))
    except images.ImageError as error:
      problems.add(error.kind, name, str(error))
      continue
    lines = _lines(labels, name, keypoints, problems)
    if lines is None:
      continue
    value['images'].append({'id': image_id, 'file_name': name, 'width': width, 'height': height})
    for where, numbers in lines:
      identifier = len(value['annotations']) + 1
      origins[identifier] = where
      value['annotations'].append(
        {'id': identifier, 'image_id': image_id, 'category_id': numbers[0], 'bbox': _box(numbers[1:], width, height)}
      )
  for path in label_files.values():
    if os.path.normpath(path) not in used and os.path.basename(path) != 'classes.txt':
      problems.add('unknown_image', path, f'no image of this name in {image_dir}')
  if not value['images']:
    raise DataError(f'{annotations}: none of the {len(listed)} images can be used:\n{problems.summary()}')
  return coco.check_coco(value, annotations, origins=origins, allow_empty=allow_empty, problems=problems)


def _label_directory(annotations: str, image_dir: str, problems: Problems) -> str:
  """Finds the directory of the label files: in YOLO's layout ROOT/labels/train is beside ROOT/images/train."""
  root = os.path.join(annotations, 'labels')
  if not os.path.isdir(root):
    return annotations
  below = os.path.relpath(os.path.realpath(image_dir), os.path.realpath(os.path.join(annotations, 'images')))
  directory = root if below.startswith(os.pardir) else os.path.normpath(os.path.join(root, below))
  if not os.path.isdir(directory):
    return annotations
  problems.add('label_directory_found', annotations, f'the label files are in {directory}')
  return directory


def _list(image_dir: str) -> list[str]:
  """Lists the images below the directory, relative to it, sorted."""
  names = [name for name in files_below(image_dir) if name.lower().endswith(images.EXTENSIONS)]
  if not names:
    raise DataError(f'{image_dir}: no image in it ({", ".join(images.EXTENSIONS)}).')
  return sorted(names)


def _text_files(directory: str) -> list[str]:
  return sorted(os.path.join(directory, name) for name in files_below(directory) if name.lower().endswith('.txt'))


def _without_extension(path: str) -> str:
  """Returns what tells label files apart: neither the form of Unicode nor .TXT instead of .txt."""
  return normal_form(os.path.splitext(path)[0])


def _lines(
  path: str, image: str, keypoints: tuple[int, int] | None, problems: Problems
) -> list[tuple[str, list[float]]] | None:
  """Parses (location, numbers of the box) of each readable line; None if there are lines but none can be read."""
  try:
    lines = read_text(path).splitlines()
  except FileNotFoundError:
    return []
  except (OSError, UnicodeDecodeError) as error:
    problems.add('bad_label_file', path, f'cannot be read: {reason(error)}; {image} is left out')
    return None
  found, is_bad = [], False
  for number, line in enumerate(lines, 1):
    if not line.strip():
      continue
    where = f'{path} line {number}'
    words = line.split()
    numbers = _numbers(words)
    if keypoints and len(numbers) == 5 + keypoints[0] * keypoints[1]:
      numbers = numbers[:5]
    if len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2 and not keypoints):
      found.append((where, numbers))
    else:
      is_bad = True
      problems.add('bad_label_file', where, f'{_remedy(words, keypoints)}: {line[:60]!r}')
  if is_bad and not found:
    problems.add('bad_label_file', path, f'no line of it can be read; {image} is left out')
    return None
  return found


def _numbers(words: Sequence[str]) -> list[float]:
  try:
    return [float(word) for word in words]
  except ValueError:
    return []


def _remedy(words: Sequence[str], keypoints: tuple[int, int] | None) -> str:
  """Explains an unreadable line by what other tools write."""
  form = 'not "class x y width height"'
  numbers = _numbers(words)
  if keypoints:
    return f'{form}, nor these with {keypoints[0]} keypoints of {keypoints[1]} numbers as kpt_shape says'
  if any(',' in word for word in words):
    return f'{form} (numbers are separated by spaces, with a decimal point)'
  if not numbers and len(words) >= 5 and _numbers(words[1:]):
    return f'{form} (the class is its number in the list of names, from 0)'
  if len(numbers) == 6:
    return f'{form} (a sixth number is the confidence of a prediction: labels have none)'
  if len(numbers) > 6:
    return f'{form} (with keypoints, give the data.yaml that has kpt_shape as the categories)'
  return form


def _box(numbers: Sequence[float], width: int, height: int) -> list[float]:
  """Converts a box or a polygon in 0..1 to x, y, width, height in pixels."""
  if not all(map(math.isfinite, numbers)):
    return [math.nan] * 4
  if len(numbers) == 4:
    x, y, w, h = numbers
    return [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
  left, top = min(numbers[0::2]) * width, min(numbers[1::2]) * height
  return [left, top, max(numbers[0::2]) * width - left, max(numbers[1::2]) * height - top]
