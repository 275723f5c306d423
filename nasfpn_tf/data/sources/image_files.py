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

"""Finds image files below a directory by the names in annotations."""

import functools
import os
import re
import unicodedata
from collections.abc import Iterator

from nasfpn_tf.data.sources import images

# Directories that systems and tools make: none of their files is the user's.
_OF_TOOLS = ('__MACOSX', '@eaDir', '$RECYCLE.BIN', 'System Volume Information', 'lost+found')
_SPLIT = re.compile(r'(train|val|test)')


def files_below(directory: str | os.PathLike[str]) -> Iterator[str]:
  """Yields the files below a directory, relative to it, without hidden ones and those of tools.

  A hidden `._1.jpg` is macOS's note on 1.jpg, a `.ipynb_checkpoints/1-checkpoint.jpg` a copy of it.
  """
  for parent, directories, files in os.walk(directory):
    directories[:] = sorted(name for name in directories if is_of_user(name))
    for file in sorted(filter(is_of_user, files)):
      yield os.path.relpath(os.path.join(parent, file), directory)


def is_of_user(name: str) -> bool:
  """Tells by its name whether a file or directory was made by the user and not by a tool."""
  return not name.startswith('.') and name not in _OF_TOOLS


def normal_form(name: str) -> str:
  """Returns a name in the one form of Unicode in which equal names are equal: macOS writes accents apart."""
  return unicodedata.normalize('NFC', name)


class ImageDirectory:
  """A directory of images, searched where a listed name does not lead to a file.

  Annotations made elsewhere often differ from the directory in a prefix ('images/1.jpg', '/data/set/1.jpg') or in the
  slash (from Windows) alone.

  Args:
    path: of the directory.
  """

  def __init__(self, path: str | os.PathLike[str]):
    self.path = os.fspath(path)

  def find(self, name: str) -> str:
    """Returns the path, below the directory, of the one file that is meant; `name` itself where none or several are."""
    if self._exists(name):
      return name
    parts = [part for part in re.split(r'[\\/]+', name) if part not in ('', '.')]
    above = next((index for index, part in enumerate(parts) if part != '..'), len(parts))
    if above and len(parts) > above + 1:  # '../../media/upload/1.jpg': a prefix as any other. '../1.jpg' stays outside.
      parts = parts[above:]
    if not parts or '..' in parts:
      return name
    slashed = '/'.join(parts)
    if self._exists(slashed):
      return slashed
    same = self._by_form.get(normal_form(slashed), ())
    if same:
      return same[0] if len(same) == 1 else name
    starts = [start for start in range(1, len(parts)) if not self._is_of_another_split(parts[:start])]
    ends = {'/'.join(parts[start:]) for start in starts}
    found = {end for end in ends if self._exists(end)}
    found |= {path for path in self._by_name.get(parts[-1], ()) if path.endswith('/' + slashed)}
    return found.pop() if len(found) == 1 else name

  def size(self, name: str) -> tuple[int, int]:
    """Returns (width, height) of an image; see `images.read_size`."""
    return images.read_size(os.path.join(self.path, name))

  def _is_of_another_split(self, prefix: list[str]) -> bool:
    """Tells whether a prefix such as 'train2017/' contradicts the directory's own name, such as val2017."""
    own = _SPLIT.match(os.path.basename(os.path.abspath(self.path)).lower())
    theirs = [match[1] for match in map(_SPLIT.match, map(str.lower, prefix)) if match]
    return bool(own and theirs and own[1] not in theirs)

  def _exists(self, name: str) -> bool:
    try:
      return os.path.isfile(os.path.join(self.path, name))
    except ValueError:  # A null character.
      return False

  @functools.cached_property
  def _by_name(self) -> dict[str, list[str]]:
    """Paths relative to the directory, by their last part."""
    found: dict[str, list[str]] = {}
    for path in self._paths:
      found.setdefault(path.rsplit('/', 1)[-1], []).append(path)
    return found

  @functools.cached_property
  def _by_form(self) -> dict[str, list[str]]:
    """Paths relative to the directory, by their form in which equal names are equal."""
    found: dict[str, list[str]] = {}
    for path in self._paths:
      found.setdefault(normal_form(path), []).append(path)
    return found

  @functools.cached_property
  def _paths(self) -> list[str]:
    return [path.replace(os.sep, '/') for path in files_below(self.path)]
