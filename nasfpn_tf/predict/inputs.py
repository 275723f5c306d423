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

"""Finds images and videos by files, directories, patterns, lists and cameras."""

import dataclasses
import glob
import os
import re
from collections.abc import Iterator, Sequence

from nasfpn_tf.data.sources import images, text
from nasfpn_tf.predict import reading

LIST = '.txt'
VIDEOS = (
  *('.3gp', '.avi', '.flv', '.m4v', '.mjpeg', '.mkv', '.mov', '.mp4'),
  *('.mpeg', '.mpg', '.mts', '.ogv', '.ts', '.webm', '.wmv'),
)
CAMERA = re.compile(r'camera:(\d+)')

_MADE_BY_TOOLS = ('__macosx', '@eadir', 'thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r')
_NO_IMAGE = 'no image'


@dataclasses.dataclass
class Inputs:
  """The images and videos that were found.

  Attributes:
    images: paths, in order and each once.
    videos: paths, and cameras as `camera:0`.
    skipped: {path: reason} of files in directories and patterns that are neither image nor video.
    missing: {line of a list: reason} of lines that lead to nothing.
  """

  images: list[str] = dataclasses.field(default_factory=list)
  videos: list[str] = dataclasses.field(default_factory=list)
  skipped: dict[str, str] = dataclasses.field(default_factory=dict)
  missing: dict[str, str] = dataclasses.field(default_factory=dict)


def find_images(references: Sequence[str], recursive: bool = False) -> list[str]:
  """Returns image files, in order and each once; see `find_inputs`.

  Raises:
    FileNotFoundError: one of the references gives no image.
    ValueError: see `find_inputs`.
  """
  found = find_inputs(references, recursive)
  for path, reason in found.missing.items():
    raise FileNotFoundError(f'{path}: {reason}')
  if found.videos:
    raise ValueError(f'{found.videos[0]}: is a video, but only images are read here.')
  return found.images


def find_inputs(references: Sequence[str], recursive: bool = False, output_dir: str | None = None) -> Inputs:
  """Finds images and videos. Hidden files and system files, such as Thumbs.db, are skipped.

  Args:
    references: image and video files; directories; glob patterns ('**' goes down); `camera:0`; and .txt files with one
      of these a line, relative to the list's directory or to the working directory.
    recursive: search the sub-directories of directories, too.
    output_dir: a directory of results that is not searched, where it lies below one that is.

  Raises:
    FileNotFoundError: one of the references gives no image.
    ValueError: a reference is a URL or cannot be told, or a list is no text.
  """
  found = Inputs()
  seen = set()
  for reference in references:
    is_empty, skipped, missing = True, len(found.skipped), len(found.missing)
    for kind, path in _resolve(reference, recursive, output_dir, found):
      is_empty = False
      if path not in seen:
        seen.add(path)
        (found.videos if kind == 'video' else found.images).append(path)
    if is_empty and len(found.missing) == missing:
      raise FileNotFoundError(_nothing(reference, recursive, len(found.skipped) - skipped))
  if found.missing and not found.images and not found.videos:
    path, reason = next(iter(found.missing.items()))
    more = f' None of the {len(found.missing)} lines of the list can be read.' if len(found.missing) > 1 else ''
    raise FileNotFoundError(f'{path}: {reason}.{more}')
  return found


def _resolve(reference: str, recursive: bool, output_dir: str | None, found: Inputs) -> Iterator[tuple[str, str]]:
  """Yields ('image' or 'video', path) of a reference; notes what is skipped or missing in `found`."""
  if os.path.splitext(reference)[1].lower() == LIST and os.path.isfile(reference):
    for number, line in enumerate(_lines(reference), 1):
      if line:
        yield from _resolve_line(
          line, f'{reference}:{number}', os.path.dirname(reference), recursive, output_dir, found
        )
    return
  yield from _resolve_one(reference, recursive, output_dir, found)


def _resolve_line(
  line: str, where: str, directory: str, recursive: bool, output_dir: str | None, found: Inputs
) -> Iterator[tuple[str, str]]:
  """Returns as `_resolve`, of a line of a list."""
  try:
    reading.check_local(line)
  except ValueError as error:
    found.missing[f'{where}: {line}'] = str(error).removeprefix(f'{line}: ').removesuffix('.')
    return
  if '\\' in line and not _exists(line) and not _exists(os.path.join(directory, line)):  # From Windows.
    line = line.replace('\\', '/')
  beside = os.path.join(directory, line)
  is_beside, is_here = _exists(beside), _exists(line)
  if is_beside and is_here and not os.path.samefile(beside, line):
    raise ValueError(
      f'{where}: {line} is both {os.path.abspath(beside)} and {os.path.abspath(line)}: give the full path of the'
      f' one you mean.'
    )
  reference = line if is_here or not (is_beside or glob.glob(beside, recursive=True)) else beside
  if os.path.splitext(reference)[1].lower() == LIST:
    found.missing[f'{where}: {line}'] = 'lists in lists are not read'
    return
  before = len(found.skipped)
  count = 0
  for entry in _resolve_one(reference, recursive, output_dir, found):
    count += 1
    yield entry
  if not count and len(found.skipped) == before:
    found.missing[f'{where}: {line}'] = 'no such file beside the list or in the working directory'


def _resolve_one(reference: str, recursive: bool, output_dir: str | None, found: Inputs) -> Iterator[tuple[str, str]]:
  reading.check_local(reference)
  if CAMERA.fullmatch(reference):
    yield 'video', reference
    return
  path = os.path.expanduser(reference)
  if reference.startswith('camera:') and not os.path.lexists(path):
    raise ValueError(f'{reference}: is no camera: cameras have numbers, and camera:0 is the first one.')
  is_directory = os.path.isdir(path)
  if is_directory:
    paths = _files(path, recursive, output_dir, found)
  elif _exists(path):
    if _is_made_by_a_tool(os.path.basename(path)):
      found.skipped[path] = 'hidden, or a system file'
      return
    # Whatever is named is tried: what is no image is told as one that cannot be read.
    yield 'video' if path.lower().endswith(VIDEOS) else 'image', path
    return
  else:
    matches = sorted(glob.glob(path, recursive=True))
    paths = (match for match in matches if os.path.isfile(match) and not _is_made_by_a_tool(os.path.basename(match)))
  for file in paths:
    if file.lower().endswith(VIDEOS) and is_directory:
      found.skipped[file] = 'a video: name it to read it'
    elif file.lower().endswith(VIDEOS):
      yield 'video', file
    elif file.lower().endswith(images.EXTENSIONS) or images.is_image(file):
      yield 'image', file
    else:
      found.skipped[file] = _NO_IMAGE


def _files(directory: str, recursive: bool, output_dir: str | None, found: Inputs) -> Iterator[str]:
  """Yields the files of a directory in order, those of sub-directories after them."""
  results = os.path.realpath(output_dir) if output_dir else None
  for root, names, files in os.walk(directory):
    names[:] = sorted(name for name in names if recursive and not _is_made_by_a_tool(name))
    for name in list(names):
      if os.path.realpath(os.path.join(root, name)) == results:
        names.remove(name)
        found.skipped[os.path.join(root, name)] = 'the directory of the results'
    for name in sorted(files):
      if not _is_made_by_a_tool(name):
        yield os.path.join(root, name)


def _is_made_by_a_tool(name: str) -> bool:
  return name.startswith('.') or name.lower() in _MADE_BY_TOOLS


def _exists(path: str) -> bool:
  try:
    return os.path.exists(path)
  except ValueError:  # A null character.
    return False


def _lines(path: str) -> list[str]:
  try:
    content = text.read_text(path)
  except (OSError, UnicodeDecodeError) as error:
    raise ValueError(f'{path}: {text.reason(error)}.') from error
  if '\0' in content:
    raise ValueError(f'{path}: holds null characters, as UTF-16 without a byte order mark does; save it as UTF-8.')
  return [line.strip() for line in content.splitlines()]


def _nothing(reference: str, recursive: bool, num_skipped: int) -> str:
  path = os.path.expanduser(reference)
  if not os.path.isdir(path):
    if reference.lower().endswith(LIST) and os.path.isfile(path):
      return f'{reference}: it lists no images.'
    if num_skipped:
      return f'{reference}: no image, only {num_skipped} other files.'
    hint = 'No file matches.' if glob.has_magic(reference) else 'There is no such file or directory.'
    return f'{reference}: no image. {hint}'
  others = f', only {num_skipped} other files' if num_skipped else ''
  has_more = not recursive and any(entry.is_dir() for entry in os.scandir(path))
  hint = ' Its sub-directories are searched with --recursive.' if has_more else ''
  return f'{reference}: no images in this directory{others}.{hint}'
