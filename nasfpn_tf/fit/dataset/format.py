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

import os
from collections.abc import Callable, Sequence

from nasfpn_tf.data.sources import coco, voc
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.data.sources.text import read_text
from nasfpn_tf.fit.dataset import unusable, yolo_layout
from nasfpn_tf.fit.dataset.part import Part
from nasfpn_tf.fit.dataset.tree import Tree, join, split_in_name, split_of


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
    raise DataError(unusable.without_images(tree))
  if len(tree.images) == 1:
    raise DataError(
      f'{tree.root}: one image cannot be split into training and validation; annotate more, at least ten and preferably'
      f' a hundred.'
    )
  finders = {format: _FINDERS[format]} if format else _FINDERS
  found = {name: parts for name, parts in ((name, finder(tree)) for name, finder in finders.items()) if parts}
  if len(found) > 1:
    listed = ', '.join(f'{name} ({os.path.relpath(parts[0].annotations, tree.root)})' for name, parts in found.items())
    raise DataError(
      f'{tree.root}: annotations in {len(found)} formats: {listed}. Choose one, for example'
      f' --format={next(iter(found))}.'
    )
  if not found:
    raise DataError(unusable.without_annotations(tree, format))
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
    return None  # Not read unless it is all there is; `unusable` names it.
  if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in unusable.COCO_KEYS):
    return None
  names = [item.get('file_name') for item in value['images'] if isinstance(item, dict)]
  return [name for name in names if isinstance(name, str)]


def _find_voc(tree: Tree) -> list[Part]:
  parts, listed = [], set()
  for folder, names in tree.others_in.items():
    stems = sorted(name[:-4] for name in names if name.lower().endswith('.xml'))
    # One file that is damaged does not hide the others, whose reader names it.
    if not any(voc.root_tag(voc.xml_path(tree.path(folder), stem)) == 'annotation' for stem in stems):
      continue
    root = _annotations_root(folder)
    lists = _image_sets(tree, root) if root not in listed else []
    if lists:
      listed.add(root)
      images = _voc_images(tree, root, [path[len(root) + 1 : -4] for path in tree.below(root, '.xml')])
      parts += [Part(split, 'voc', path, tree.path(images)) for split, path in lists]
    elif root not in listed:
      images = _voc_images(tree, folder, stems)
      parts.append(Part(split_of(folder), 'voc', tree.path(folder), tree.path(images)))
  return parts


def _voc_images(tree: Tree, folder: str, stems: Sequence[str]) -> str:
  """Returns the folder of the images that .xml files in a folder are of."""
  images = tree.image_folder(stems, join(folder, 'x'), stems=True)
  if images is None:
    raise DataError(
      f'{tree.path(folder)}: {len(stems)} .xml files, such as {stems[0]}.xml, and no image of the same name below'
      f' {tree.root}; put the folder of the images there, too.'
    )
  return images


def _annotations_root(folder: str) -> str:
  """Returns the folder Annotations that a folder of .xml files is or is in; the folder itself where there is none."""
  parts = folder.split('/')
  return '/'.join(parts[: parts.index('Annotations') + 1]) if 'Annotations' in parts else folder


def _image_sets(tree: Tree, folder: str) -> list[tuple[str, str]]:
  """Returns (split, path) of the lists in ImageSets/Main beside Annotations; none where one list is all there is."""
  if os.path.basename(folder) != 'Annotations':
    return []
  main = join(os.path.dirname(folder), 'ImageSets/Main')
  found = {}
  for name in sorted(tree.others_in.get(main, ())):
    stem, extension = os.path.splitext(name.lower())
    if extension != '.txt' or not (split_in_name(stem) or stem == 'default'):  # Others are lists of one class.
      continue
    path = tree.path(f'{main}/{name}')
    try:
      lines = [line for line in read_text(path).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
      continue
    directory = tree.path(folder)
    if any(os.path.exists(voc.xml_path(directory, voc.stem_of(directory, line))) for line in lines):
      found[stem] = path
  if len(found) < 2:
    return []
  if 'train' in found:
    found.pop('trainval', None)
  return [(split_in_name(name), path) for name, path in found.items() if name != 'default']


_FINDERS: dict[str, Callable[[Tree], list[Part]]] = {
  'coco': _find_coco,
  'voc': _find_voc,
  'yolo': yolo_layout.find,
}
