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

"""Reads class names in a fixed order from any of the usual files."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import yaml

from nasfpn_tf.config import safe_yaml
from nasfpn_tf.data.sources.annotations import integer, short
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.data.sources.text import read_text, reason


class Label(TypedDict):
  """One class: the model's `label` (from 1), the user's category `id`, and its `name`."""

  label: int
  id: int
  name: str


def read_categories(path: str | os.PathLike[str], first_id: int = 1) -> list[dict[str, Any]]:
  """Reads COCO categories `{'id', 'name'}` from a file.

  Args:
    path: a text file with one name a line; a YOLO data.yaml with 'names'; a COCO JSON; or the manifest of records that
      are written already, so that another split gets the same labels.
    first_id: id of the first name where the file has names only; YOLO counts from 0, VOC's classes have no numbers.

  Raises:
    DataError: no such file, or no names in it.
  """
  path = os.fspath(path)
  value = _read(path)
  categories = _categories(path, value, first_id) if isinstance(value, Mapping) else []
  if not categories:
    raise DataError(
      f"{path}: no class names found; expected lines of text, 'names' (YAML), 'categories' or 'labels' (JSON)."
    )
  for key in ('name', 'id'):
    values = [category[key] for category in categories]
    for item in values:
      if values.count(item) > 1:
        raise DataError(f'{path}: the class {key} {item!r} occurs twice.')
  return categories


def read_keypoints(path: str | os.PathLike[str]) -> tuple[int, int] | None:
  """Returns 'kpt_shape' of a YOLO data.yaml, points and numbers a point; None where it has none.

  Raises:
    DataError: the file cannot be read, or kpt_shape is not two whole numbers.
  """
  path = os.fspath(path)
  value = _read(path)
  shape = value.get('kpt_shape') if isinstance(value, Mapping) else None
  if shape is None:
    return None
  numbers = [integer(item) for item in shape] if isinstance(shape, list) else []
  if len(numbers) != 2 or None in numbers or numbers[0] < 1 or numbers[1] not in (2, 3):
    raise DataError(f'{path}: kpt_shape must be [points, 2] or [points, 3].')
  return numbers[0], numbers[1]


def _read(path: str) -> Any:
  try:
    text = read_text(path)
    extension = os.path.splitext(path)[1].lower()
    if extension == '.json':
      return json.loads(text)
    if extension in ('.yaml', '.yml'):
      return safe_yaml.load(text, text_keys=False)
    return {'names': [line.strip() for line in text.splitlines() if line.strip()]}
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(f'{path}: cannot be read: {reason(error)}.') from error
  except (ValueError, RecursionError, yaml.YAMLError) as error:
    raise DataError(f'{path}: cannot be read: {" ".join(str(error).split())}.') from error


def _categories(path: str, value: Mapping[str, Any], first_id: int) -> list[dict[str, Any]]:
  for key in ('categories', 'labels'):
    items = value.get(key)
    if isinstance(items, list) and all(isinstance(item, Mapping) and {'id', 'name'} <= item.keys() for item in items):
      return [_category(path, item['id'], item['name']) for item in items]
  names = value.get('names')
  if isinstance(names, Mapping):
    return sorted((_category(path, key, name) for key, name in names.items()), key=lambda category: category['id'])
  if isinstance(names, Sequence) and not isinstance(names, str):
    return [_category(path, first_id + index, name) for index, name in enumerate(names)]
  return []


def _category(path: str, identifier: Any, name: Any) -> dict[str, Any]:
  # A value that is no scalar is not shown: YAML's aliases can make a small file mean gigabytes of text.
  if not isinstance(name, str | int | float):
    raise DataError(f'{path}: the class name of {_shown(identifier)} must be text, not {type(name).__name__}.')
  if integer(identifier) is None:
    raise DataError(f'{path}: the class {str(name)[:80]!r} has the id {_shown(identifier)}, not a whole number.')
  return {'id': integer(identifier), 'name': str(name)}


def _shown(value: Any) -> str:
  """Returns a number or text as it is, of anything else its type."""
  return short(value) if isinstance(value, str | int | float) else type(value).__name__
