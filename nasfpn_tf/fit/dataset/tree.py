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
"""Walks a directory once, and finds the folder of the images that annotations list."""

import collections
import functools
import itertools
import os
import re
from collections.abc import Collection, Iterable

from nasfpn_tf.data.sources import image_files, images
from nasfpn_tf.data.sources.problems import DataError

ARCHIVES = ('.zip', '.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.7z', '.rar')
_WORDS = {
  'train': ('train', 'training', 'trainval'),
  'val': ('val', 'valid', 'validation', 'dev'),
  'test': ('test', 'testing'),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
_SAMPLE = 500  # Names that are looked for in each folder.
_DERIVED = re.compile('mask|segm|trimap|label|annot|depth|preview|visual', re.IGNORECASE)  # Images made from others.


class Tree:
  """The contents of a directory; hidden files and those of macOS archives are skipped.

  Attributes:
    root: the directory.
    images: paths of the images, by their extensions, relative to it and sorted; `/` divides them.
    others: those of all other files.
  """

  def __init__(self, root: str | os.PathLike[str]):
    """Walks the directory.

    Raises:
      DataError: there is no such directory, or nothing in it.
    """
    self.root = os.fspath(root)
    if os.path.isfile(self.root) and self.root.lower().endswith(ARCHIVES):
      raise DataError(f'{self.root} is an archive; unpack it, and give the directory.')
    if os.path.isfile(self.root):
      raise DataError(f'{self.root} is a file; give the directory that holds the images and their annotations.')
    if not os.path.isdir(self.root):
      raise DataError(f'{self.root}: no such directory.')
    files = sorted(self._walk())
    if not files:
      raise DataError(f'{self.root}: the directory is empty; it should hold images and their annotations.')
    self.images = [path for path in files if path.lower().endswith(images.EXTENSIONS)]
    self.others = [path for path in files if not path.lower().endswith(images.EXTENSIONS)]

  def path(self, relative: str) -> str:
    """Returns the path of a file or folder of the tree."""
    return os.path.normpath(os.path.join(self.root, relative))

  def with_extension(self, *extensions: str) -> list[str]:
    """Returns the other files with one of these extensions, in any case."""
    return [path for path in self.others if path.lower().endswith(extensions)]

  def below(self, folder: str, extension: str) -> list[str]:
    """Returns the other files below a folder with an extension, in any case."""
    return [path for path in self.with_extension(extension) if path.startswith(f'{folder}/')]

  @functools.cached_property
  def text_stems(self) -> set[str]:
    """Paths of the text files without their extension, in one form of Unicode."""
    return {image_files.normal_form(os.path.splitext(path)[0]) for path in self.with_extension('.txt')}

  @functools.cached_property
  def images_in(self) -> dict[str, set[str]]:
    """Names of the images of each folder that has any, by the folder's path."""
    return _by_folder(self.images)

  @functools.cached_property
  def others_in(self) -> dict[str, set[str]]:
    """Names of the other files of each folder that has any, by the folder's path."""
    return _by_folder(self.others)

  def image_folder(self, names: Collection[str], near: str, stems: bool = False) -> str | None:
    """Finds the folder that listed images are relative to; None where no folder has any of them.

    Args:
      names: of images, with folders in front or not.
      near: the annotation file that lists them; among equals the folder of its split and next to it is taken.
      stems: the names have no extension.
    """
    names = [image_files.normal_form(name.replace('\\', '/')) for name in list(names)[:_SAMPLE]]
    for wanted in (set(names), {os.path.basename(name) for name in names}):
      found = {folder: self._count(folder, wanted, stems) for folder in self._folders}
      best = max(found.values(), default=0)
      if best:
        split = split_of(near)
        return min(
          (folder for folder, count in found.items() if count == best),
          key=lambda folder: (split_of(folder) != split, bool(_DERIVED.search(folder)), -_shared(folder, near), folder),
        )
    return None

  @functools.cached_property
  def _folders(self) -> list[str]:
    """Folders with images in them or below them."""
    found = {''}
    for folder in self.images_in:
      while folder:
        found.add(folder)
        folder = os.path.dirname(folder)
    return sorted(found)

  @functools.cached_property
  def _known(self) -> tuple[set[str], set[str]]:
    names = [image_files.normal_form(path) for path in self.images]
    return set(names), {os.path.splitext(path)[0] for path in names}

  def _count(self, folder: str, names: Iterable[str], stems: bool) -> int:
    folder = image_files.normal_form(folder)
    return sum(join(folder, name) in self._known[stems] for name in names)

  def _walk(self):
    for directory, folders, files in os.walk(self.root, followlinks=True):
      folders[:] = sorted(name for name in folders if not name.startswith('.') and name != '__MACOSX')
      for name in files:
        if not name.startswith('.'):
          yield os.path.relpath(os.path.join(directory, name), self.root).replace(os.sep, '/')


def join(folder: str, name: str) -> str:
  """Returns a path relative to the tree, from a folder's and a name."""
  return f'{folder}/{name}' if folder else name


def split_in_name(name: str) -> str:
  """Returns the split that a name is the word of, such as 'val' of 'Validation'; '' where it is none."""
  return _SPLIT_OF.get(name.lower(), '')


def split_of(path: str) -> str:
  """Returns the split that the last telling part of a path names: 'train', 'val' or 'test'; '' where none does."""
  for part in reversed(path.lower().split('/')):
    for word in reversed(re.split(r'[^a-z]+', part)):
      if word in _SPLIT_OF:
        return _SPLIT_OF[word]
  return ''


def _shared(folder: str, file: str) -> int:
  """Returns how many folders the paths of a folder and a file begin with, and end with, in common."""
  one, other = folder.split('/'), file.split('/')[:-1]
  ways = (zip(one, other, strict=False), zip(reversed(one), reversed(other), strict=False))
  return sum(1 for pairs in ways for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _by_folder(paths: Iterable[str]) -> dict[str, set[str]]:
  found: dict[str, set[str]] = collections.defaultdict(set)
  for path in paths:
    folder, name = os.path.split(path)
    found[folder].add(name)
  return dict(found)
