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

"""Pascal VOC's XML -> the COCO value that all formats are checked as."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from nasfpn_tf.data.sources import coco, images
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.problems import DataError, Problems

_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.JPG', '.JPEG', '.PNG', '.bmp', '.webp', '.tif', '.tiff')


def read_voc(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: Sequence[Mapping[str, Any]] | None = None,
) -> CocoDataset:
  """Reads Pascal VOC annotations.

  Corners count pixels from 1, both included (VOC2012 development kit), so xmin..xmax becomes x = xmin - 1 and
  width = xmax - xmin + 1. Objects marked difficult become crowds: neither a target in training nor a miss or a false
  alarm in evaluation.

  Args:
    annotations: a directory of .xml files, or a list of names such as ImageSets/Main/train.txt, whose .xml files are
      in ../../Annotations from it.
    image_dir: where the pictures are, e.g. JPEGImages.
    categories: as COCO's; None: every name in the directory of .xml files, in alphabetical order, from 1, so that all
      lists of one directory get the same labels.

  Raises:
    DataError: nothing there, or nothing in it to learn from.
  """
  annotations, image_dir = os.fspath(annotations), os.fspath(image_dir)
  directory, stems = _list(annotations)
  problems = Problems()
  trees = {stem: _parse(directory, stem, problems) for stem in stems}
  if categories is None:
    categories = _all_categories(directory, trees)
  ids = {category['name']: category['id'] for category in categories}
  value: dict[str, Any] = {'images': [], 'annotations': [], 'categories': list(categories)}
  origins: dict[int, str] = {}
  for image_id, (stem, root) in enumerate(trees.items(), 1):
    if root is None:
      continue
    file = os.path.join(directory, stem + '.xml')
    entry = {'id': image_id, 'file_name': _find_image(image_dir, stem, root.findtext('filename'))}
    size = [root.findtext(f'size/{key}', '').strip() for key in ('width', 'height')]
    if all(text.isdigit() and int(text) > 0 for text in size):
      entry.update(width=int(size[0]), height=int(size[1]))
    value['images'].append(entry)
    for number, item in enumerate(root.iter('object'), 1):
      where = f'{file} object {number}'
      name = item.findtext('name', '').strip()
      if name not in ids:
        problems.add('unknown_category', where, f'class {name!r} is not listed')
        continue
      box = _box(item)
      if box is None:
        problems.add('bad_annotation', where, 'bndbox needs the numbers xmin, ymin, xmax, ymax')
        continue
      identifier = len(value['annotations']) + 1
      origins[identifier] = where
      difficult = item.findtext('difficult', '0').strip() == '1'
      value['annotations'].append(
        {'id': identifier, 'image_id': image_id, 'category_id': ids[name], 'bbox': box, 'iscrowd': int(difficult)}
      )
  dataset = coco.check_coco(value, annotations, lambda name: images.read_size(os.path.join(image_dir, name)), origins)
  dataset.problems.extend(problems)
  return dataset


def _list(annotations: str) -> tuple[str, list[str]]:
  """The directory of the .xml files, and which of them are meant, without '.xml'."""
  if os.path.isdir(annotations):
    stems = sorted(name.removesuffix('.xml') for name in os.listdir(annotations) if name.endswith('.xml'))
    if not stems:
      raise DataError(f'{annotations}: no .xml file in it.')
    return annotations, stems
  try:
    with open(annotations, encoding='utf-8') as file:
      lines = [line.split() for line in file if line.strip()]
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(f'{annotations}: neither a directory of .xml files nor a list of names: {error}.') from error
  directory = os.path.normpath(os.path.join(os.path.dirname(annotations), '..', '..', 'Annotations'))
  if not os.path.isdir(directory):
    raise DataError(f'{annotations}: its .xml files should be in {directory}, which is no directory.')
  # ImageSets/Main/<class>_train.txt has a second column, -1 where the class is absent: all are pictures of the split.
  return directory, list(dict.fromkeys(words[0] for words in lines))


def _parse(directory: str, stem: str, problems: Problems) -> ElementTree.Element | None:
  path = os.path.join(directory, stem + '.xml')
  try:
    return ElementTree.parse(path).getroot()
  except OSError as error:
    problems.add('bad_label_file', path, f'cannot be read: {error.strerror}')
  except (ElementTree.ParseError, ValueError) as error:
    problems.add('bad_label_file', path, f'not XML: {error}')
  return None


def _all_categories(directory: str, trees: Mapping[str, ElementTree.Element | None]) -> list[dict[str, Any]]:
  names = set()
  for file in os.listdir(directory):
    if file.endswith('.xml'):
      stem = file.removesuffix('.xml')
      root = trees[stem] if stem in trees else _parse(directory, stem, Problems())
      names.update(item.findtext('name', '').strip() for item in (root.iter('object') if root is not None else ()))
  return [{'id': index, 'name': name} for index, name in enumerate(sorted(names - {''}), 1)]


def _find_image(image_dir: str, stem: str, named: str | None) -> str:
  """The picture's file name; that of the .xml file where the one it names is not there."""
  named = os.path.basename((named or '').strip())
  candidates = [named, *(stem + extension for extension in _EXTENSIONS)]
  return next((name for name in candidates if name and os.path.isfile(os.path.join(image_dir, name))), named or stem)


def _box(item: ElementTree.Element) -> list[float] | None:
  try:
    xmin, ymin, xmax, ymax = (float(item.findtext(f'bndbox/{key}', '')) for key in ('xmin', 'ymin', 'xmax', 'ymax'))
  except ValueError:
    return None
  return [xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1]
