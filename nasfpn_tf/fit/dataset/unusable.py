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
"""Says what is there instead where a directory holds no annotations that can be read, and what to do about it."""

import json
import os
import pathlib
from typing import Any

from nasfpn_tf.data.sources import voc
from nasfpn_tf.data.sources.text import read_text
from nasfpn_tf.fit.dataset import yolo_layout
from nasfpn_tf.fit.dataset.tree import ARCHIVES, Tree

COCO_KEYS = ('images', 'annotations', 'categories')
_EXPORT = 'export as COCO, Pascal VOC or YOLO instead'


def without_images(tree: Tree) -> str:
  """Returns the message for a directory without an image."""
  begin = f'{tree.root}: it contains no image'
  records = tree.with_extension('.tfrecord', '.tfrecords')
  archives = tree.with_extension(*ARCHIVES)
  if records:
    return (
      f'{begin}, but records ({records[0]}): plan a training on records with scripts/plan.py, or give the images that'
      ' they were made from.'
    )
  if archives:
    return f'{begin}, but {archives[0]}: unpack it.'
  return f'{begin}; put the images there, in a folder beside the annotations.'


def without_annotations(tree: Tree, format: str | None) -> str:
  """Returns the message for a directory without annotations: what is there instead, if anything is known of it."""
  wanted = f'annotations in the format {format}' if format else 'annotations: COCO .json, VOC .xml or YOLO .txt'
  begin = f'{tree.root}: {len(tree.images)} images and no {wanted}'
  found = _json(tree) or _xml(tree) or _table(tree) or _yolo(tree)
  archives = tree.with_extension(*ARCHIVES)
  if not found and archives:
    found = f'{archives[0]} may hold them: unpack it'
  if found:
    return f'{begin}; {found}.'
  return f'{begin}. Draw boxes in a labeling tool, such as CVAT or Label Studio, and export them in one of these.'


def _json(tree: Tree) -> str | None:
  broken = None
  for path in tree.with_extension('.json'):
    try:
      value = json.loads(pathlib.Path(tree.path(path)).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
      broken = broken or f'{tree.path(path)} is not JSON: {error}'
      continue
    tool = _tool(value)
    if tool:
      return f"{path} is {tool}'s own format: {_EXPORT}"
    if isinstance(value, dict) and 'images' in value:
      missing = [key for key in COCO_KEYS if not isinstance(value.get(key), list)]
      return f'{path} is COCO JSON without a list of {" and ".join(missing)}'
  return broken


def _tool(value: Any) -> str | None:
  """Returns the name of the tool that writes JSON like this, None where it is not known."""
  first = value[0] if isinstance(value, list) and value else value
  if not isinstance(first, dict):
    return None
  if isinstance(value, list):
    if 'data' in first or {'image', 'id'} <= first.keys():
      return 'Label Studio'
    return 'CreateML' if {'image', 'annotations'} <= first.keys() else None
  regions = next(iter(value.values()), None)
  if '_via_img_metadata' in value or (isinstance(regions, dict) and 'regions' in regions):
    return 'VGG Image Annotator'
  if 'shapes' in value:
    return 'LabelMe'
  if 'data' in value:
    return 'Label Studio'
  if {'classes', 'tags'} <= value.keys() or {'objects', 'size'} <= value.keys():
    return 'Supervisely'
  return 'Datumaro' if {'items', 'categories'} <= value.keys() else None


def _xml(tree: Tree) -> str | None:
  for path in tree.with_extension('.xml'):
    root = voc.root_tag(tree.path(path))
    if root == 'annotations':
      return f"{path} is CVAT's own format: {_EXPORT}"
    if not root:
      return f'{path} is not XML'
  return None


def _table(tree: Tree) -> str | None:
  tables = [*tree.with_extension('.csv', '.tsv', '.parquet'), *tree.with_extension('_annotations.txt')]
  return f'{tables[0]} is a table, which is not read: {_EXPORT}' if tables else None


def _yolo(tree: Tree) -> str | None:
  names, _ = yolo_layout.class_names(tree)
  if names:
    return (
      f'{names} has names of classes, but no label file (.txt) has the name of an image: put labels into labels/ if the'
      ' images are in images/, or beside the images'
    )
  labels = yolo_layout.label_files(tree)
  if labels:
    return (
      f'{labels[0]} looks like YOLO, but there is no data.yaml, obj.names or classes.txt with the names of the classes:'
      ' add one'
    )
  stems = {os.path.splitext(os.path.basename(path))[0] for path in tree.images}
  for path in tree.with_extension('.txt'):
    if os.path.splitext(os.path.basename(path))[0] in stems:
      try:
        line = next((line for line in read_text(tree.path(path)).splitlines() if line.strip()), '')
      except (OSError, UnicodeDecodeError):
        line = ''
      return f"{path} has the name of an image, but is no YOLO label file ('class x y width height'): {line[:60]!r}"
  return None
