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
"""Finds YOLO's folders: images and labels in either nesting, with data.yaml, obj.names or classes.txt."""

import os
from typing import Any

import yaml

from nasfpn_tf.config import safe_yaml
from nasfpn_tf.data.sources.image_files import normal_form
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.data.sources.text import read_text
from nasfpn_tf.fit.dataset.part import Part
from nasfpn_tf.fit.dataset.tree import Tree, join, split_of

# Names of files with the names of the classes: Label Studio's and labelImg's, Darknet's, Roboflow's for Darknet.
_NAME_FILES = ('classes.txt', '.names', '.labels', 'labels.txt', 'names.txt')
_KEYS = {'train': 'train', 'val': 'val', 'valid': 'val', 'test': 'test'}


def find(tree: Tree) -> list[Part]:
  """Finds the parts of a YOLO data set; none where there are no label files or no class names.

  The folders are those that data.yaml names, or, where it names none that is there, all that have images with labels.

  Raises:
    DataError: data.yaml cannot be read.
  """
  names, value = class_names(tree)
  if names is None:
    return []
  return _named(tree, names, value) or _laid_out(tree, names) or _by_labels(tree, names)


def label_files(tree: Tree) -> list[str]:
  """Returns paths of text files that are labels by what is in them and have an image of the same name."""
  stems = {normal_form(os.path.splitext(os.path.basename(path))[0]) for path in tree.images}
  found = []
  for path in tree.with_extension('.txt'):
    if normal_form(os.path.splitext(os.path.basename(path))[0]) in stems and _is_label_file(tree.path(path)):
      found.append(path)
  return found


def class_names(tree: Tree) -> tuple[str | None, dict[str, Any]]:
  """Finds the file with the names of the classes; returns its path and, of YAML, what it says."""
  for path in sorted(tree.with_extension('.yaml', '.yml'), key=lambda path: path.count('/')):
    try:
      value = safe_yaml.load(read_text(tree.path(path)), text_keys=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
      if os.path.basename(path).lower() in ('data.yaml', 'data.yml'):
        raise DataError(f'{tree.path(path)}: cannot be read: {" ".join(str(error).split())}.') from error
      continue
    if isinstance(value, dict) and 'names' in value:
      return path, value
  for end in _NAME_FILES:
    for path in sorted(tree.with_extension(end), key=lambda path: path.count('/')):
      if not _is_label_file(tree.path(path)):
        return path, {}
  return None, {}


def _class_names_of(tree: Tree, labels: str, names: str) -> str:
  """Returns the path of the class names of a folder of labels: its own list, as each folder of labelImg has one."""
  if not names.lower().endswith(_NAME_FILES):
    return tree.path(names)
  own = [
    path
    for path in tree.with_extension(os.path.basename(names).lower())
    if os.path.dirname(path) == labels or labels.startswith(f'{os.path.dirname(path)}/')
  ]
  return tree.path(max(own, key=lambda path: path.count('/'), default=names))


def _named(tree: Tree, names: str, value: dict[str, Any]) -> list[Part]:
  """Returns the parts that data.yaml names and that are there."""
  parts = []
  for key, split in _KEYS.items():
    entries = value.get(key)
    for entry in entries if isinstance(entries, list) else [entries]:
      place = _resolve(tree, names, value.get('path'), entry) if isinstance(entry, str) else None
      if place is None:
        continue
      if place.endswith('.txt'):
        parts += _listed(tree, names, split, place)
      else:
        labels = _labels_of(tree, place)
        if labels is not None:
          parts.append(_part(tree, split, labels, place, names))
  return parts


def _part(tree: Tree, split: str, labels: str, images: str, names: str, only: frozenset[str] | None = None) -> Part:
  return Part(split, 'yolo', tree.path(labels), tree.path(images), _class_names_of(tree, labels, names), only)


def _resolve(tree: Tree, names: str, base: Any, entry: str) -> str | None:
  """Returns the folder or list that an entry of data.yaml means, relative to the tree.

  What data.yaml says holds on the machine where it was written, and Roboflow's '../train/images' not even there: the
  longest end of it that is there is meant.
  """
  parts = [part for part in entry.replace('\\', '/').split('/') if part not in ('', '.', '..')]
  given = [base] if isinstance(base, str) else []
  for start in range(len(parts)):
    end = '/'.join(parts[start:])
    for folder in (os.path.dirname(names), *given, ''):
      place = os.path.normpath(join(folder, end)) if not os.path.isabs(folder) else end
      if place.startswith(os.pardir):
        continue
      if place in tree.others or any(path.startswith(f'{place}/') for path in tree.images):
        return place
  return None


def _listed(tree: Tree, names: str, split: str, path: str) -> list[Part]:
  """Returns the parts of a list of images: one for each folder that they are in."""
  lines = read_text(tree.path(path)).split('\n')
  wanted = {'/'.join(line.strip().replace('\\', '/').split('/')[-2:]) for line in lines if line.strip()}
  of_folder: dict[str, set[str]] = {}
  for image in tree.images:
    if '/'.join(image.split('/')[-2:]) in wanted:
      of_folder.setdefault(os.path.dirname(image), set()).add(tree.path(image))
  parts = []
  for folder, images in of_folder.items():
    labels = _labels_of(tree, folder)
    if labels is not None:
      parts.append(_part(tree, split, labels, folder, names, frozenset(images)))
  return parts


def _laid_out(tree: Tree, names: str) -> list[Part]:
  """Returns a part for every folder of images with labels."""
  parts, taken = [], []
  for folder in sorted(tree.images_in):
    if any(folder.startswith(f'{other}/') or other == '' for other in taken):
      continue
    labels = _labels_of(tree, folder)
    if labels is not None:
      taken.append(folder)
      parts.append(_part(tree, split_of(folder), labels, folder, names))
  return parts


def _by_labels(tree: Tree, names: str) -> list[Part]:
  """Returns a part for every folder of labels, wherever it is: CVAT exports them without images, labelImg anywhere."""
  folders: dict[str, list[str]] = {}
  for path in label_files(tree):
    folder, name = os.path.split(path)
    folders.setdefault(folder, []).append(os.path.splitext(name)[0])
  parts = []
  for folder, stems in folders.items():
    images = tree.image_folder(stems, join(folder, 'x'), stems=True)
    if images is not None:
      parts.append(_part(tree, split_of(folder), folder, images, names))
  return parts


def _labels_of(tree: Tree, folder: str) -> str | None:
  """Returns the folder of the label files of a folder of images; None where no image has one."""
  parts = folder.split('/')
  candidates = [folder]
  for index in reversed(range(len(parts))):
    if parts[index].lower() in ('images', 'image', 'imgs'):
      candidates.append('/'.join([*parts[:index], 'labels', *parts[index + 1 :]]))
  parent = os.path.dirname(folder)
  candidates += [join(folder, 'labels'), join(parent, 'labels')]
  below = [
    (path[len(folder) + 1 :] if folder else path) for path in tree.images if not folder or path.startswith(f'{folder}/')
  ]
  stems = {os.path.splitext(name)[0] for name in below}
  counts = {
    place: sum(normal_form(join(place, stem)) in tree.text_stems for stem in stems)
    for place in (_as_written(tree, candidate) for candidate in dict.fromkeys(candidates))
  }
  best = max(counts, key=lambda place: counts[place])
  return best if counts[best] else None


def _as_written(tree: Tree, folder: str) -> str:
  """Returns a folder's name as it is in the tree: labels beside Images may be Labels."""
  if folder in tree.others_in:
    return folder
  return next((other for other in tree.others_in if other.lower() == folder.lower()), folder)


def _is_label_file(path: str) -> bool:
  try:
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    return bool(lines) and all(len(words) >= 5 and [float(word) for word in words] for words in lines)
  except (OSError, UnicodeDecodeError, ValueError):
    return False
