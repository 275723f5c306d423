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
"""Finds the annotation format of a directory: COCO JSON, Pascal VOC or YOLO, as people and labeling tools lay them out.

Read without a flag: one COCO JSON or one a split, anywhere beside or above the images, Roboflow's
train/_annotations.coco.json, CVAT's and Label Studio's exports; VOC with and without ImageSets, in Annotations/ or
beside the images; YOLO with data.yaml, obj.names or classes.txt, as images/train + labels/train or train/images +
train/labels.
"""

import json
import os
import pathlib
from collections.abc import Callable

from nasfpn_tf.data.sources import coco, voc
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.dataset import yolo_layout
from nasfpn_tf.fit.dataset.part import Part
from nasfpn_tf.fit.dataset.tree import Tree, join, split_of

_COCO_KEYS = ('images', 'annotations', 'categories')
_LISTS = ('train', 'trainval', 'val', 'valid', 'test', 'default')


def find(root: str | os.PathLike[str], format: str | None = None) -> list[Part]:
  """Finds the parts of the data set in a directory.

  Args:
    root: holds images and annotations, in any folders.
    format: a key of `formats.FORMATS`, where annotations are there in several formats.

  Returns:
    At least one part; all have the same format.

  Raises:
    DataError: no annotations, no images, or annotations in several formats; the message says what to do.
  """
  tree = Tree(root)
  if not tree.images:
    raise DataError(f'{tree.root}: it contains no image; put the images there, in a folder beside the annotations.')
  finders = {format: _FINDERS[format]} if format else _FINDERS
  found = {name: parts for name, parts in ((name, finder(tree)) for name, finder in finders.items()) if parts}
  if len(found) > 1:
    listed = ', '.join(f'{name} ({os.path.relpath(parts[0].annotations, tree.root)})' for name, parts in found.items())
    raise DataError(
      f'{tree.root}: annotations in {len(found)} formats: {listed}. Choose one, for example'
      f' --format={next(iter(found))}.'
    )
  if not found:
    raise DataError(_nothing(tree, format))
  return next(iter(found.values()))


def _find_coco(tree: Tree) -> list[Part]:
  files = tree.with_extension('.json')
  # COCO's own folder has captions and keypoints of the same images beside the instances.
  instances = [path for path in files if os.path.basename(path).startswith('instances')]
  parts = []
  for path in instances or files:
    names = _coco_names(tree.path(path))
    if names is None:
      continue
    folder = tree.image_folder(names, path)
    if folder is None:
      shown = f'lists {len(names)} images, such as {names[0]}, and none' if names else 'lists no image, so none'
      raise DataError(
        f'{tree.path(path)}: {shown} of them is below {tree.root}; put the folder of the images there, too.'
      )
    parts.append(Part(split_of(path), 'coco', tree.path(path), tree.path(folder)))
  return parts


def _coco_names(path: str) -> list[str] | None:
  """Names of the images that a COCO JSON file lists; None where it is none."""
  try:
    value = coco.load_json(path)
  except DataError:
    return None  # Not read unless it is all there is; `_nothing` names it.
  if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in _COCO_KEYS):
    return None
  names = [item.get('file_name') for item in value['images'] if isinstance(item, dict)]
  return [name for name in names if isinstance(name, str)]


def _find_voc(tree: Tree) -> list[Part]:
  parts = []
  for folder, names in tree.others_in.items():
    stems = sorted(name[:-4] for name in names if name.endswith('.xml'))
    # One file that is damaged does not hide the others, whose reader names it.
    if not any(voc.root_tag(tree.path(join(folder, stem + '.xml'))) == 'annotation' for stem in stems):
      continue
    images = tree.image_folder(stems, join(folder, 'x'), stems=True)
    if images is None:
      raise DataError(
        f'{tree.path(folder)}: {len(stems)} .xml files, such as {stems[0]}.xml, and no image of the same name below'
        f' {tree.root}; put the folder of the images there, too.'
      )
    lists = _image_sets(tree, folder, set(stems))
    parts += [Part(split, 'voc', path, tree.path(images)) for split, path in lists] or [
      Part(split_of(folder), 'voc', tree.path(folder), tree.path(images))
    ]
  return parts


def _image_sets(tree: Tree, folder: str, stems: set[str]) -> list[tuple[str, str]]:
  """Returns (split, path) of the lists in ImageSets/Main beside Annotations; none where one list is all there is."""
  if os.path.basename(folder) != 'Annotations':
    return []
  main = join(os.path.dirname(folder), 'ImageSets/Main')
  found = {}
  for name in _LISTS:
    if f'{name}.txt' not in tree.others_in.get(main, ()):
      continue
    path = tree.path(f'{main}/{name}.txt')
    with open(path, encoding='utf-8', errors='replace') as file:
      listed = [os.path.splitext(line.split()[0])[0] for line in file if line.strip()]
    if stems.intersection(os.path.basename(stem) for stem in listed):
      found[name] = path
  if len(found) < 2:
    return []
  if 'train' in found:
    found.pop('trainval', None)
  return [(split_of(name), path) for name, path in found.items() if name != 'default']


_FINDERS: dict[str, Callable[[Tree], list[Part]]] = {
  'coco': _find_coco,
  'voc': _find_voc,
  'yolo': yolo_layout.find,
}


def _nothing(tree: Tree, format: str | None) -> str:
  """Returns what to say where no annotations were found: what is there instead, if anything is known of it."""
  wanted = f'annotations in the format {format}' if format else 'annotations: COCO .json, VOC .xml or YOLO .txt'
  begin = f'{tree.root}: {len(tree.images)} images and no {wanted}'
  for path in tree.with_extension('.json'):
    try:
      value = json.loads(pathlib.Path(tree.path(path)).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
      return f'{begin}; {tree.path(path)} is not JSON: {error}.'
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict) and 'shapes' in first:
      return f"{begin}; {path} is LabelMe's own format: convert it to COCO."
    if isinstance(first, dict) and 'data' in first:
      return f"{begin}; {path} is Label Studio's own format: export as COCO, Pascal VOC or YOLO instead."
    if isinstance(value, dict) and 'images' in value:
      missing = [key for key in _COCO_KEYS if not isinstance(value.get(key), list)]
      return f'{begin}; {path} is COCO JSON without a list of {" and ".join(missing)}.'
  for path in tree.with_extension('.xml'):
    root = voc.root_tag(tree.path(path))
    if root == 'annotations':
      return f"{begin}; {path} is CVAT's own format: export as COCO, Pascal VOC or YOLO instead."
    if not root:
      return f'{begin}; {path} is not XML.'
  names, _ = yolo_layout.class_names(tree)
  if names:
    return (
      f'{begin}; {names} has names of classes, but no label file (.txt) has the name of an image: put labels into'
      f' labels/ if the images are in images/, or beside the images.'
    )
  labels = yolo_layout.label_files(tree)
  if labels:
    return (
      f'{begin}; {labels[0]} looks like YOLO, but there is no data.yaml, obj.names or classes.txt with the names of the'
      ' classes: add one.'
    )
  return f'{begin}. Draw boxes in a labeling tool, such as CVAT or Label Studio, and export them in one of these.'
