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

"""Lists the annotation formats of data sets."""

import os
from collections.abc import Callable

from nasfpn_tf.data.sources import coco, voc, yolo
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.problems import DataError

# Name -> its reader, which takes (annotations, image_dir, categories, allow_empty) of `read_dataset`. A new format is a
# module with such a function, and a line here.
FORMATS: dict[str, Callable[..., CocoDataset]] = {
  'coco': coco.read,
  'voc': voc.read,
  'yolo': yolo.read,
}


def read_dataset(
  format: str,
  annotations: str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  categories: str | os.PathLike[str] | None = None,
  *,
  allow_empty: bool = False,
  drop_unused_categories: bool = False,
) -> CocoDataset:
  """Reads and checks a data set in one of `FORMATS`.

  Args:
    format: 'coco': `annotations` is a JSON file; 'voc': see `voc.read_voc`; 'yolo': see `yolo.read_yolo`.
    annotations: file or directory.
    image_dir: directory that file names are relative to.
    categories: file with the class names, see `categories.read_categories`. COCO has its own, but a split that lists
      only some of them gets the labels of another split by its manifest.
    allow_empty: take a data set without any annotation: all of it is background.
    drop_unused_categories: leave out the categories that no annotation is of, such as a list's super-category.

  Raises:
    DataError: nothing there, or nothing in it to learn from.
  """
  image_dir = os.fspath(image_dir)
  if not os.path.isdir(image_dir):
    raise DataError(f'{image_dir}: no such directory of images.')
  if format not in FORMATS:
    raise ValueError(f'format must be one of {", ".join(FORMATS)}, got {format!r}.')
  if drop_unused_categories and categories:
    raise DataError(f'{categories} defines the classes: give it or drop unused ones, not both.')
  dataset = FORMATS[format](os.fspath(annotations), image_dir, categories, allow_empty)
  return dataset.without_unused_categories() if drop_unused_categories else dataset
