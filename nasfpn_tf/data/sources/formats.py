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

"""The annotation formats that data sets come in."""

import os
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.data.sources import coco, images, voc, yolo
from nasfpn_tf.data.sources.categories import read_categories
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.problems import DataError

FORMATS = ('coco', 'voc', 'yolo')


def read_dataset(
  format: str,
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: str | os.PathLike[str] | None = None,
) -> CocoDataset:
  """Reads and checks a data set in one of `FORMATS`.

  Args:
    format: 'coco': `annotations` is a JSON file; 'voc': see `voc.read_voc`; 'yolo': see `yolo.read_yolo`.
    annotations: file or directory.
    image_dir: directory that file names are relative to.
    categories: file with the class names, see `categories.read_categories`. COCO has its own, but a split that lists
      only some of them gets the labels of another split by its manifest.

  Raises:
    DataError: nothing there, or nothing in it to learn from.
  """
  image_dir = os.fspath(image_dir)
  if not os.path.isdir(image_dir):
    raise DataError(f'{image_dir}: no such directory of pictures.')
  if format == 'coco':
    value = coco.load_json(annotations)
    if categories and isinstance(value, Mapping):
      value = {**value, 'categories': _shared_categories(value, annotations, categories)}
    return coco.check_coco(value, os.fspath(annotations), lambda name: images.read_size(os.path.join(image_dir, name)))
  if format == 'voc':
    return voc.read_voc(annotations, image_dir, read_categories(categories) if categories else None)
  if format == 'yolo':
    return yolo.read_yolo(annotations, image_dir, read_categories(categories, first_id=0) if categories else None)
  raise ValueError(f'format must be one of {", ".join(FORMATS)}, got {format!r}.')


def _shared_categories(
  value: Mapping[str, Any], annotations: str | os.PathLike[str], path: str | os.PathLike[str]
) -> list:
  """The categories of the file `path`; a `DataError` where those that the COCO value lists are not among them."""
  categories = read_categories(path)
  names = {category['id']: category['name'] for category in categories}
  listed = value.get('categories')
  for item in listed if isinstance(listed, list) else ():
    if isinstance(item, Mapping) and names.get(item.get('id')) != item.get('name'):
      raise DataError(
        f'{annotations}: category {item.get("id")} ({item.get("name")!r}) is not in {path} under this id.'
      )
  return categories
