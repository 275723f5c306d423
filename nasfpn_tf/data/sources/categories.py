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

"""Class names in a fixed order, from whichever file a user has them in."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import yaml

from nasfpn_tf.data.sources.problems import DataError


class Label(TypedDict):
  """One class: the model's `label` (from 1), the user's category `id`, and its `name`."""

  label: int
  id: int
  name: str


def read_categories(path: str | os.PathLike[str], first_id: int = 1) -> list[dict[str, Any]]:
  """COCO categories `{'id', 'name'}` from a file.

  Args:
    path: a text file with one name a line; a YOLO data.yaml with 'names'; a COCO JSON; or the manifest of records that
      are written already, so that another split gets the same labels.
    first_id: id of the first name where the file has names only; YOLO counts from 0, VOC's classes have no numbers.

  Raises:
    DataError: no such file, or no names in it.
  """
  path = os.fspath(path)
  try:
    with open(path, encoding='utf-8') as file:
      text = file.read()
    if path.endswith('.json'):
      value = json.loads(text)
    elif path.endswith(('.yaml', '.yml')):
      value = yaml.safe_load(text)
    else:
      value = {'names': [line.strip() for line in text.splitlines() if line.strip()]}
  except OSError as error:
    raise DataError(f'{path}: cannot be read: {error.strerror}.') from error
  except (ValueError, yaml.YAMLError) as error:
    raise DataError(f'{path}: cannot be read: {" ".join(str(error).split())}.') from error
  categories = _categories(value, first_id) if isinstance(value, Mapping) else []
  if not categories:
    raise DataError(f"{path}: no class names; wanted: lines of text, 'names' (YAML), 'categories' or 'labels' (JSON).")
  names = [category['name'] for category in categories]
  for name in names:
    if names.count(name) > 1:
      raise DataError(f'{path}: the class name {name!r} is there twice.')
  return categories


def _categories(value: Mapping[str, Any], first_id: int) -> list[dict[str, Any]]:
  for key in ('categories', 'labels'):
    items = value.get(key)
    if isinstance(items, list) and all(isinstance(item, Mapping) and {'id', 'name'} <= item.keys() for item in items):
      return [{'id': item['id'], 'name': str(item['name'])} for item in items]
  names = value.get('names')
  if isinstance(names, Mapping):
    return [{'id': identifier, 'name': str(name)} for identifier, name in sorted(names.items())]
  if isinstance(names, Sequence) and not isinstance(names, str):
    return [{'id': first_id + index, 'name': str(name)} for index, name in enumerate(names)]
  return []
