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
"""Reads the parts of a data set as one: names relative to its directory, classes by their names."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

from nasfpn_tf.data.sources import coco, formats
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.problems import DataError, Problems
from nasfpn_tf.fit.dataset.part import Part


@dataclasses.dataclass(frozen=True)
class Images:
  """Annotated images of one split.

  Attributes:
    names: paths relative to the directory of the data set; absolute for images outside it.
    sizes: (width, height) of each.
    annotations: COCO annotations of each, whose category ids are those of `Dataset.categories`.
  """

  names: tuple[str, ...]
  sizes: tuple[tuple[int, int], ...]
  annotations: tuple[tuple[dict[str, Any], ...], ...]

  def __len__(self) -> int:
    return len(self.names)

  @property
  def num_boxes(self) -> int:
    """Annotations of all images."""
    return sum(map(len, self.annotations))

  def classes(self) -> list[frozenset[int]]:
    """Returns category ids in each image."""
    return [frozenset(item['category_id'] for item in items) for items in self.annotations]

  def take(self, indices: Iterable[int]) -> 'Images':
    """Returns some of the images."""
    indices = list(indices)
    columns = (self.names, self.sizes, self.annotations)
    return Images(*(tuple(column[index] for index in indices) for column in columns))


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A data set that has been read.

  Attributes:
    format: a key of `formats.FORMATS`.
    splits: images by 'train', 'val', 'test', or '' for those that no split is told for.
    categories: COCO's, those that have annotations.
    problems: what was found, and what was done about it.
  """

  format: str
  splits: dict[str, Images]
  categories: tuple[dict[str, Any], ...]
  problems: Problems


def read(root: str, parts: Sequence[Part]) -> Dataset:
  """Reads and checks all parts.

  An image that several parts of a split list is taken once; one that a part without a split lists and another split
  has, stays in the other.

  Raises:
    DataError: a part cannot be read, or no image has a box.
  """
  datasets = [_read_part(part) for part in parts]
  categories, ids = _categories(datasets)
  problems = Problems()
  rows: dict[str, dict[str, tuple]] = {}
  for part, dataset, own in zip(parts, datasets, ids, strict=True):
    problems.extend(dataset.problems)
    split = rows.setdefault(part.split, {})
    for image in dataset.images:
      path = os.path.join(part.image_dir, image['file_name'])
      if part.only is not None and os.path.normpath(path) not in part.only:
        continue
      items = [{**item, 'category_id': own[item['category_id']]} for item in dataset.annotations.get(image['id'], ())]
      split.setdefault(_name(root, path), ((image['width'], image['height']), tuple(items)))
  for name in {name for split, images in rows.items() if split for name in images}:
    rows.get('', {}).pop(name, None)
  splits = {
    split: Images(tuple(images), *(tuple(column) for column in zip(*images.values(), strict=True)))
    for split, images in rows.items()
    if images
  }
  if not any(images.num_boxes for images in splits.values()):
    raise DataError(
      f'{root}: none of the {sum(map(len, splits.values()))} images has a box; there is nothing to learn.'
    )
  return Dataset(parts[0].format, splits, categories, problems)


def is_annotated(part: Part) -> bool:
  """Tells at a glance whether any annotation is in a part; `read` tells whether it can be used."""
  if part.format == 'coco':
    return bool(coco.load_json(part.annotations).get('annotations'))
  return any(map(len, _read_part(part).annotations.values()))


def _read_part(part: Part) -> CocoDataset:
  return formats.read_dataset(part.format, part.annotations, part.image_dir, part.categories, allow_empty=True)


def _categories(datasets: Sequence[CocoDataset]) -> tuple[tuple[dict[str, Any], ...], list[dict[int, int]]]:
  """Returns the classes of all parts that have annotations, and for each part their ids by its own.

  Ids stay as they are where all parts agree on them; else the classes are numbered in the order of their names.
  """
  used: dict[str, dict[str, Any]] = {}
  agree = True
  for dataset in datasets:
    unused = {category['id'] for category in dataset.unused_categories}
    for category in dataset.categories:
      if category['id'] not in unused:
        agree &= used.setdefault(category['name'], category)['id'] == category['id']
  agree &= len({category['id'] for category in used.values()}) == len(used)
  if not agree:
    used = {name: {'id': number, 'name': name} for number, name in enumerate(sorted(used), 1)}
  ids = [{c['id']: used[c['name']]['id'] for c in dataset.categories if c['name'] in used} for dataset in datasets]
  return tuple(sorted(used.values(), key=lambda category: category['id'])), ids


def _name(root: str, path: str) -> str:
  name = os.path.relpath(path, root)
  return os.path.abspath(path) if name.startswith(os.pardir) else name.replace(os.sep, '/')
