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

"""Reads and checks COCO JSON: lists every problem, and corrects those that can be corrected.

pycocotools silently accepts NaN boxes, duplicate ids and annotations of unknown images, so everything is checked here,
once, before a record is written. VOC and YOLO become the same JSON value and go through the same checks.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nasfpn_tf.data.sources import image_entries
from nasfpn_tf.data.sources.annotations import AnnotationChecker, integer, is_text, short
from nasfpn_tf.data.sources.categories import Label, read_categories
from nasfpn_tf.data.sources.image_files import ImageDirectory
from nasfpn_tf.data.sources.problems import DataError, Problems
from nasfpn_tf.data.sources.text import read_text

LABEL_SCHEMES = ('contiguous', 'category_id')


@dataclasses.dataclass(frozen=True)
class CocoDataset:
  """A checked data set: every value has its type, every reference its target, every box area inside its image.

  Attributes:
    images: `{'id', 'file_name', 'width', 'height'}`, in the order of the file.
    annotations: of each image id, `{'id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd'}`; bbox is x, y, width,
      height in pixels.
    categories: `{'id', 'name', ...}` in the order of their ids.
    problems: what was found, and what was done about it.
    info: the file's own 'info'.
  """

  images: tuple[dict[str, Any], ...]
  annotations: Mapping[int, list[dict[str, Any]]]
  categories: tuple[dict[str, Any], ...]
  problems: Problems
  info: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def num_annotations(self) -> int:
    """Boxes in all images, crowds included."""
    return sum(map(len, self.annotations.values()))

  def labels(self, scheme: str = 'contiguous') -> tuple[Label, ...]:
    """Returns the classes that a model learns.

    Args:
      scheme: 'contiguous': labels 1..K in the order of the category ids; 'category_id': the ids themselves, as COCO's
        own models with 91 classes have them.

    Raises:
      DataError: with 'category_id', an id that cannot be a label because 0 is the background.
    """
    if scheme not in LABEL_SCHEMES:
      raise ValueError(f'labels must be one of {", ".join(LABEL_SCHEMES)}, got {scheme!r}.')
    if scheme == 'category_id' and self.categories[0]['id'] < 1:
      raise DataError(
        f'category id {self.categories[0]["id"]} ({self.categories[0]["name"]}) cannot be a label, 0 is the '
        'background: use contiguous labels.'
      )
    return tuple(
      Label(label=category['id'] if scheme == 'category_id' else index, id=category['id'], name=category['name'])
      for index, category in enumerate(self.categories, 1)
    )

  def subset(self, image_ids: Iterable[int]) -> 'CocoDataset':
    """Returns a copy with these images only and an empty list of problems."""
    kept = set(image_ids)
    return dataclasses.replace(
      self,
      images=tuple(image for image in self.images if image['id'] in kept),
      annotations={key: value for key, value in self.annotations.items() if key in kept},
      problems=Problems(),
    )

  @property
  def unused_categories(self) -> tuple[dict[str, Any], ...]:
    """Categories without annotations; a model still learns a class for each."""
    used = {item['category_id'] for items in self.annotations.values() for item in items}
    return tuple(category for category in self.categories if category['id'] not in used)

  def without_unused_categories(self) -> 'CocoDataset':
    """Returns a copy without unused categories, unless none would be left."""
    unused = {category['id'] for category in self.unused_categories}
    kept = tuple(category for category in self.categories if category['id'] not in unused)
    return dataclasses.replace(self, categories=kept or self.categories)

  def to_json(self) -> dict[str, Any]:
    """Returns the data set as a COCO JSON value."""
    return {
      'info': dict(self.info),
      'images': list(self.images),
      'annotations': [item for image in self.images for item in self.annotations.get(image['id'], ())],
      'categories': list(self.categories),
    }


def read_coco(
  path: str | os.PathLike[str], image_dir: str | os.PathLike[str] | None = None, allow_empty: bool = False
) -> CocoDataset:
  """Reads and checks a COCO JSON file; see `check_coco`.

  Raises:
    DataError: no such file, not JSON, or nothing in it to learn from.
  """
  path = os.fspath(path)
  return check_coco(load_json(path), path, image_dir=image_dir, allow_empty=allow_empty)


def read(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: str | os.PathLike[str] | None = None,
  allow_empty: bool = False,
) -> CocoDataset:
  """Reads a COCO JSON file whose labels may be those of another split; see `formats.read_dataset`."""
  value = load_json(annotations)
  if categories and isinstance(value, Mapping):
    value = {**value, 'categories': _shared_categories(value, annotations, categories)}
  return check_coco(value, os.fspath(annotations), image_dir=image_dir, allow_empty=allow_empty)


def load_json(path: str | os.PathLike[str]) -> Any:
  """Reads the JSON value of a file without polygons, which detection does not need and which take most memory.

  Only annotations without a box keep theirs.
  """
  path = os.fspath(path)
  try:
    return json.loads(read_text(path), object_hook=_drop_segmentation)
  except FileNotFoundError as error:
    raise DataError(f'{path}: no such annotation file.') from error
  except OSError as error:
    raise DataError(f'{path}: cannot be read: {error.strerror}.') from error
  except UnicodeDecodeError as error:
    raise DataError(f'{path}: not JSON: not UTF-8 text.') from error
  except (ValueError, RecursionError) as error:
    raise DataError(f'{path}: not JSON: {error}.') from error


def check_coco(
  value: Any,
  source: str = 'annotations',
  image_size: Callable[[str], tuple[int, int]] | None = None,
  origins: Mapping[int, str] | None = None,
  allow_empty: bool = False,
  image_dir: str | os.PathLike[str] | None = None,
  problems: Problems | None = None,
) -> CocoDataset:
  """Checks a COCO JSON value.

  Args:
    value: what a COCO instances file holds: 'images', 'annotations' and 'categories'.
    source: what messages call it: the file's path.
    image_size: file name -> (width, height), for images that are listed without them; may raise `DataError`. None:
      from the files in `image_dir`.
    origins: where an annotation id comes from, for messages, where it is not from a COCO file.
    allow_empty: accept a file without any annotation (background, images to predict).
    image_dir: directory of the images; names that differ from its files in a prefix or slashes alone are put right.
    problems: what the reader of another format has met already; it comes first.

  Returns:
    the data set; what was wrong with single records is in its `problems`.

  Raises:
    DataError: the value as a whole is of no use: missing lists, no usable category, image or annotation.
  """
  if not isinstance(value, Mapping):
    raise DataError(f'{source}: not COCO JSON: an object was expected, not {type(value).__name__}.')
  if allow_empty:
    value = {'annotations': [], **value}
  for key in ('images', 'annotations', 'categories'):
    if not isinstance(value.get(key), list):
      found = f'is {type(value[key]).__name__}, not a list' if key in value else 'is missing'
      raise DataError(f'{source}: not a COCO instances file: {key!r} {found}.')
  problems = Problems() if problems is None else problems
  directory = None if image_dir is None else ImageDirectory(image_dir)
  if image_size is None and directory is not None:
    image_size = directory.size
  categories = _check_categories(value['categories'], source, problems)
  value = image_entries.number_ids(value, source, problems)
  found = image_entries.find_files(value['images'], directory) if directory else {}
  images, left_out = image_entries.check(value['images'], found, image_size, problems)
  if not images:
    first = next((f': {problem}' for problem in problems), '')
    raise DataError(f'{source}: no usable image among the {len(value["images"])} listed{first}.')
  if not value['annotations'] and (not allow_empty or problems.num_serious):
    if problems.num_serious:
      remedy = f'do they belong to these images?\n{problems.summary()}'
    else:
      remedy = '--allow_empty accepts images without any object.'
    raise DataError(f'{source}: no annotation at all: there is nothing to learn (images: {len(images)}); {remedy}')
  checker = AnnotationChecker(images, {category['id'] for category in categories}, origins or {}, problems, left_out)
  for index, item in enumerate(value['annotations']):
    checker.check(index, item)
  checker.finish()
  if value['annotations'] and not any(checker.annotations.values()):
    raise DataError(f'{source}: none of the {len(value["annotations"])} annotations can be used:\n{problems.summary()}')
  info = value.get('info')
  return CocoDataset(
    images=tuple(images.values()),
    annotations=checker.annotations,
    categories=categories,
    problems=problems,
    info=info if isinstance(info, Mapping) else {},
  )


def shuffled(images: Iterable[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
  """Shuffles images in an order that depends only on the seed and each image's id, not on the order of the file."""
  return sorted(images, key=lambda image: hashlib.sha256(f'{seed}:{image["id"]}'.encode()).digest())


def split_holdout(dataset: CocoDataset, num_images: int, seed: int = 0) -> tuple[CocoDataset, CocoDataset]:
  """Holds out `num_images` images, the same ones on every machine; returns (the rest, the held-out ones).

  An architecture search measures its children on images that neither training nor the final test sees (arXiv
  1904.07392, sec. 4.1).

  Raises:
    DataError: not at least one image would be left on either side.
  """
  if not 0 < num_images < len(dataset.images):
    raise DataError(f'cannot hold out {num_images} of {len(dataset.images)} images.')
  ids = [image['id'] for image in shuffled(dataset.images, seed)]
  return dataset.subset(ids[num_images:]), dataset.subset(ids[:num_images])


def _drop_segmentation(value: dict[str, Any]) -> dict[str, Any]:
  if value.get('bbox'):
    value.pop('segmentation', None)
  return value


def _shared_categories(
  value: Mapping[str, Any], annotations: str | os.PathLike[str], path: str | os.PathLike[str]
) -> list[dict[str, Any]]:
  """Reads the categories of the file `path`; a `DataError` if the COCO value lists others."""
  categories = read_categories(path)
  names = {category['id']: category['name'] for category in categories}
  listed = value.get('categories')
  for item in listed if isinstance(listed, list) else ():
    if isinstance(item, Mapping) and names.get(integer(item.get('id'))) != item.get('name'):
      raise DataError(
        f'{annotations}: category {short(item.get("id"))} ({short(item.get("name"))}) is not in {path} under this id.'
      )
  return categories


def _check_categories(items: list[Any], source: str, problems: Problems) -> tuple[dict[str, Any], ...]:
  categories: dict[int, dict[str, Any]] = {}
  for index, item in enumerate(items):
    identifier = integer(item.get('id')) if isinstance(item, Mapping) else None
    if identifier is None:
      raise DataError(
        f'{source}: categories[{index}] has no integer id: {short(item)}. Number the categories from 1, and give their'
        ' numbers as category_id of the annotations.'
      )
    name = item.get('name')
    if not is_text(name):
      problems.add('category_name_filled', f'categories[{index}]', f'category {identifier} is called {identifier}')
      name = str(identifier)
    if identifier in categories:
      if categories[identifier]['name'] != name:
        raise DataError(
          f'{source}: category id {identifier} means both {categories[identifier]["name"]!r} and {name!r}.'
        )
      continue
    categories[identifier] = {**item, 'id': identifier, 'name': name}
  if not categories:
    raise DataError(f'{source}: it lists no category.')
  return tuple(categories[identifier] for identifier in sorted(categories))
