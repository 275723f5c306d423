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

"""Converts Pascal VOC's XML to the COCO value in which all formats are checked."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from nasfpn_tf.data.sources import coco, images
from nasfpn_tf.data.sources.annotations import flag, integer
from nasfpn_tf.data.sources.categories import read_categories
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.image_files import ImageDirectory, is_of_user, normal_form
from nasfpn_tf.data.sources.problems import DataError, Problems
from nasfpn_tf.data.sources.text import read_text, reason

# A label file is a few kB; a declaration is in its first line.
_DECLARATION = re.compile(rb'^\s*<\?xml[^>]*?encoding\s*=\s*["\']([A-Za-z0-9._-]+)["\'][^>]*\?>')
# What is declared as the smaller set is often written in the larger one.
_COLUMNS = re.compile(r'(\s+-?\d+)+$')  # After a name, as in ImageSets/Main/<class>_train.txt.
_LARGER = {'gb2312': 'gb18030', 'gbk': 'gb18030'}


def read(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: str | os.PathLike[str] | None = None,
  allow_empty: bool = False,
) -> CocoDataset:
  """Reads Pascal VOC annotations with class names from a file; see `formats.read_dataset`."""
  return read_voc(annotations, image_dir, read_categories(categories) if categories else None, allow_empty)


def read_voc(
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: Sequence[Mapping[str, Any]] | None = None,
  allow_empty: bool = False,
) -> CocoDataset:
  """Reads Pascal VOC annotations.

  Corners count pixels from 1, both included (VOC2012 development kit), so xmin..xmax becomes x = xmin - 1 and
  width = xmax - xmin + 1. Objects marked difficult become crowds: neither a target in training nor a miss or a false
  alarm in evaluation.

  Args:
    annotations: a directory of .xml files, or a list of names such as ImageSets/Main/train.txt, whose .xml files are
      in ../../Annotations from it; names may be those of the images, such as 'a.jpg'.
    image_dir: where the images are, e.g. JPEGImages.
    categories: as COCO's; None: every name in the directory of .xml files, in alphabetical order, from 1, so that all
      lists of one directory get the same labels.
    allow_empty: take a data set without any object: all of it is background.

  Raises:
    DataError: nothing there, or nothing in it to learn from.
  """
  annotations, image_dir = os.fspath(annotations), os.fspath(image_dir)
  problems = Problems()
  directory, stems = _list(annotations, problems)
  trees = {stem: _parse(directory, stem, problems) for stem in stems}
  if categories is None:
    categories = _all_categories(directory, trees)
  ids = {category['name']: category['id'] for category in categories}
  value: dict[str, Any] = {'images': [], 'annotations': [], 'categories': list(categories)}
  origins: dict[int, str] = {}
  for image_id, (stem, root) in enumerate(trees.items(), 1):
    if root is None:
      continue
    file = xml_path(directory, stem)
    name = _find_image(image_dir, stem, root.findtext('filename'))
    own = _find_image(image_dir, stem, None)
    if name != own and all(os.path.isfile(os.path.join(image_dir, file)) for file in (name, own)):
      problems.add('image_name_differs', file, f'its <filename> {name} is used, though {own} is there as well')
    # A size that is no number is read from the image.
    width, height = (integer(root.findtext(f'size/{key}', '')) for key in ('width', 'height'))
    value['images'].append({'id': image_id, 'file_name': name, 'width': width, 'height': height})
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
      difficult = flag(item.findtext('difficult', '0'))
      value['annotations'].append(
        {'id': identifier, 'image_id': image_id, 'category_id': ids[name], 'bbox': box, 'iscrowd': int(difficult)}
      )
  if not value['images']:
    raise DataError(f'{annotations}: none of its {len(stems)} images can be used:\n{problems.summary()}')
  return coco.check_coco(
    value, annotations, ImageDirectory(image_dir).size, origins, allow_empty=allow_empty, problems=problems
  )


def _list(annotations: str, problems: Problems) -> tuple[str, list[str]]:
  """Lists the directory of the .xml files and the stems of the files to read."""
  if os.path.isdir(annotations):
    stems = _stems(annotations)
    below = os.path.join(annotations, 'Annotations')
    if not stems and os.path.isdir(below):
      problems.add('label_directory_found', annotations, f'the .xml files are in {below}')
      annotations, stems = below, _stems(below)
    if not stems:
      raise DataError(f'{annotations}: it contains no .xml file.')
    return annotations, stems
  try:
    lines = [line.strip() for line in read_text(annotations).splitlines() if line.strip()]
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(
      f'{annotations}: neither a directory of .xml files nor a list of names: {reason(error)}.'
    ) from error
  directory = os.path.normpath(os.path.join(os.path.dirname(annotations), '..', '..', 'Annotations'))
  if not os.path.isdir(directory):
    raise DataError(f'{annotations}: its .xml files should be in {directory}, which is no directory.')
  # ImageSets/Main/<class>_train.txt has a second column, -1 where the class is absent: all are images of the split.
  if not lines:
    raise DataError(f'{annotations}: names no image.')
  return directory, list(dict.fromkeys(stem_of(directory, line) for line in lines))


def _stems(directory: str) -> list[str]:
  return sorted(name[:-4] for name in os.listdir(directory) if name.lower().endswith('.xml') and is_of_user(name))


def stem_of(directory: str, line: str) -> str:
  """Returns the stem of the .xml file that a line of a list means, with folders below `directory` in front.

  Args:
    directory: of the .xml files.
    line: 'a', 'a.jpg', 'a.xml', 'JPEGImages/a.jpg', 'a -1', 'my a', or '"my a"' as CVAT writes it.
  """
  line = line.strip()
  without_columns = _COLUMNS.sub('', line)
  stems = []
  for name in (line.strip('"'), without_columns.strip('"'), line.split()[0]):
    last = name.replace('\\', '/').rsplit('/', 1)[-1]
    stems += [name, os.path.splitext(name)[0], last, os.path.splitext(last)[0]]
  return next((stem for stem in stems if os.path.isfile(xml_path(directory, stem))), without_columns.strip('"'))


def xml_path(directory: str, stem: str) -> str:
  """Returns the path of an .xml file, whose extension may be in capitals."""
  path = os.path.join(directory, stem + '.xml')
  capitals = os.path.join(directory, stem + '.XML')
  return capitals if not os.path.exists(path) and os.path.exists(capitals) else path


def _parse(directory: str, stem: str, problems: Problems) -> ElementTree.Element | None:
  path = xml_path(directory, stem)
  try:
    with open(path, 'rb') as file:
      return ElementTree.fromstring(_decoded(file.read()))
  except OSError as error:
    problems.add('bad_label_file', path, f'cannot be read: {error.strerror}')
  except LookupError as error:
    problems.add('bad_label_file', path, f'{error}; save it as UTF-8')
  except UnicodeDecodeError as error:
    problems.add('bad_label_file', path, f'its text is not {error.encoding}, as it declares (byte {error.start})')
  except (ElementTree.ParseError, ValueError, RecursionError) as error:
    problems.add('bad_label_file', path, f'not XML: {error}')
  return None


def root_tag(path: str | os.PathLike[str]) -> str:
  """Returns the name of an XML file's first element, read as its annotations are; '' where it cannot be read."""
  parser = ElementTree.XMLPullParser(events=('start',))
  try:
    with open(path, 'rb') as file:
      parser.feed(_decoded(file.read()))
    return next(iter(parser.read_events()))[1].tag
  except (OSError, ElementTree.ParseError, StopIteration, ValueError, LookupError):
    return ''


def _decoded(data: bytes) -> bytes | str:
  """Decodes an XML file whose encoding Python supports and its XML parser does not."""
  declared = _DECLARATION.match(data[:1000])
  if not declared:
    return data
  encoding = declared[1].decode().lower()
  if encoding in ('utf-8', 'utf-16', 'us-ascii', 'ascii'):
    return data
  return data[declared.end() :].decode(_LARGER.get(encoding, encoding))


def _all_categories(directory: str, trees: Mapping[str, ElementTree.Element | None]) -> list[dict[str, Any]]:
  names = set()
  for stem in {*_stems(directory), *trees}:
    root = trees[stem] if stem in trees else _parse(directory, stem, Problems())
    names.update(item.findtext('name', '').strip() for item in (root.iter('object') if root is not None else ()))
  return [{'id': index, 'name': name} for index, name in enumerate(sorted(names - {''}), 1)]


def _find_image(image_dir: str, stem: str, named: str | None) -> str:
  """Returns the image's file name: as in the .xml file, or like the .xml file's own if there is no such image."""
  named = (named or '').strip().replace('\\', '/').rsplit('/', 1)[-1]
  candidates = [named, *(stem + end for extension in images.EXTENSIONS for end in (extension, extension.upper()))]
  there = next((name for name in candidates if name and os.path.isfile(os.path.join(image_dir, name))), None)
  return there or _in_another_form(image_dir, candidates) or named or stem


def _in_another_form(image_dir: str, names: Sequence[str]) -> str | None:
  """Returns the first of the files in a directory that has one of the names but for the form of Unicode."""
  if all(name.isascii() for name in names) or not os.path.isdir(image_dir):
    return None
  files = {normal_form(file): file for file in os.listdir(image_dir)}
  return next((files[normal_form(name)] for name in names if normal_form(name) in files), None)


def _box(item: ElementTree.Element) -> list[float] | None:
  try:
    xmin, ymin, xmax, ymax = (float(item.findtext(f'bndbox/{key}', '')) for key in ('xmin', 'ymin', 'xmax', 'ymax'))
  except ValueError:
    return None
  return [xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1]
