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

"""Checks COCO's list of images: their ids, their files, their sizes."""

import collections
from collections.abc import Callable, Mapping
from typing import Any

from nasfpn_tf.data.sources.annotations import integer, is_text, short
from nasfpn_tf.data.sources.image_files import ImageDirectory
from nasfpn_tf.data.sources.problems import DataError, Problems


def number_ids(value: Mapping[str, Any], source: str, problems: Problems) -> Mapping[str, Any]:
  """Returns the value with numbers for image ids where all of them are text, such as 'img_0001'."""
  items = [item for item in value['images'] if isinstance(item, Mapping)]
  ids = [item.get('id') for item in items]
  if not ids or not all(is_text(identifier) for identifier in ids) or any(integer(i) is not None for i in ids):
    return value
  numbers = {identifier: number for number, identifier in enumerate(dict.fromkeys(ids), 1)}
  problems.add('image_ids_numbered', source, f'{short(ids[0])} is 1, and so on to {len(numbers)}')
  images = [{**item, 'id': numbers[item['id']], 'original_id': item['id']} for item in items]
  annotations = [
    {**item, 'image_id': numbers[item['image_id']]}
    if isinstance(item, Mapping) and isinstance(item.get('image_id'), str) and item['image_id'] in numbers
    else item
    for item in value['annotations']
  ]
  return {**value, 'images': images, 'annotations': annotations}


def find_files(items: list[Any], directory: ImageDirectory) -> dict[str, str]:
  """Returns {listed name: file} where they differ; no file stands for two names."""
  names = {item['file_name'] for item in items if isinstance(item, Mapping) and is_text(item.get('file_name'))}
  files = {name: directory.find(name) for name in names}
  taken = collections.Counter(files.values())
  return {name: file for name, file in files.items() if file != name and taken[file] == 1}


def check(
  items: list[Any],
  found: Mapping[str, str],
  image_size: Callable[[str], tuple[int, int]] | None,
  problems: Problems,
) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
  """Returns the usable entries by id, and the reasons for ids that cannot be used because several images have them."""
  images: dict[int, dict[str, Any]] = {}
  left_out: dict[int, str] = {}
  names: dict[str, int] = {}
  claims = _claims(items)
  for index, item in enumerate(items):
    where = f'images[{index}]'
    identifier = integer(item.get('id')) if isinstance(item, Mapping) else None
    if identifier is None:
      problems.add('bad_image_entry', where, f'no integer id: {short(item)}')
      continue
    name = item.get('file_name')
    if not is_text(name):
      problems.add('bad_image_entry', where, f'image {identifier} has no file_name: {short(name)}')
      continue
    where = f'image {identifier} ({name})'
    if len(claims[identifier]) > 1:
      others = ', '.join(other for other in claims[identifier] if other != name)
      problems.add('duplicate_image', where, f'id {identifier} is also that of {others[:200]}: give each its own id')
      left_out[identifier] = f'is that of several images ({", ".join(claims[identifier])[:200]})'
      continue
    if identifier in images:
      problems.add('duplicate_image', where, 'is listed twice')
      continue
    if name in found:
      problems.add('image_found', where, f'the file is {found[name]}')
      name = found[name]
    size = _size(item, name, where, image_size, problems)
    if size is None:
      continue
    if name in names:
      problems.add('image_file_repeated', where, f'is also image {names[name]}')
    names.setdefault(name, identifier)
    images[identifier] = {'id': identifier, 'file_name': name, 'width': size[0], 'height': size[1]}
    if 'original_id' in item:
      images[identifier]['original_id'] = item['original_id']
  return images, left_out


def _claims(items: list[Any]) -> dict[int, list[str]]:
  """Returns the distinct file names of each image id."""
  claims: dict[int, list[str]] = {}
  for item in items:
    identifier = integer(item.get('id')) if isinstance(item, Mapping) else None
    if identifier is not None and is_text(item.get('file_name')):
      names = claims.setdefault(identifier, [])
      if item['file_name'] not in names:
        names.append(item['file_name'])
  return claims


def _size(
  item: Mapping[str, Any],
  name: str,
  where: str,
  image_size: Callable[[str], tuple[int, int]] | None,
  problems: Problems,
) -> tuple[int, int] | None:
  """Returns width and height as listed, or from the file if they are missing or not positive; None without either."""
  listed = [item.get('width'), item.get('height')]
  width, height = map(integer, listed)
  if width is not None and height is not None and width >= 1 and height >= 1:
    return width, height
  if image_size is None:
    problems.add('bad_image_entry', where, f'width {short(listed[0])}, height {short(listed[1])}')
    return None
  try:
    width, height = image_size(name)
  except DataError as error:
    problems.add('bad_image_entry', where, str(error))
    return None
  problems.add('image_size_filled', where, f'{width}x{height}')
  return width, height
