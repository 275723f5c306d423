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

"""Writes results so that no result is lost and no file of others is replaced."""

import contextlib
import io
import json
import os
from collections.abc import Sequence
from typing import Any

from PIL import Image

_COMMENT = b'Annotated by nasfpn_tf'  # In every annotated JPEG: what bears it may be replaced.
_QUALITY = 92


class ResultFile(contextlib.AbstractContextManager):
  """A JSON list, or JSON lines, that is complete after every entry, whatever stops the program then.

  Only SIGKILL or a power failure in the middle of a write may cut the last line; every line before it is whole.

  A file of an earlier run is replaced when the first entry is there, or by an empty list at the end; a run that is
  stopped before leaves it alone.
  """

  def __init__(self, path: str, lines: bool = False):
    """Writes to `path`; `lines`: an entry a line without brackets and commas."""
    self.path = path
    self.count = 0
    self._head, self._between, self._tail = (b'', b'', b'') if lines else (b'[', b',', b'\n]\n')
    self._is_lines = lines
    self._partial = os.path.join(os.path.dirname(path), f'.{os.path.basename(path)}.partial')
    self._end = len(self._head)
    self._file = -1

  def __enter__(self) -> 'ResultFile':
    self._file = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    self._write(self._head + self._tail, 0)
    return self

  def add(self, entry: Any) -> None:
    """Writes an entry; an OSError (a full disk) leaves the file as it was before."""
    line = json.dumps(entry).encode()
    line = line + b'\n' if self._is_lines else (self._between if self.count else b'') + b'\n' + line
    self._write(line + self._tail, self._end)
    self._end += len(line)
    self.count += 1
    if self.count == 1:
      os.replace(self._partial, self.path)

  def __exit__(self, kind, *unused_error) -> None:
    # An interruption may have come between the bytes and their count.
    os.ftruncate(self._file, self._end)
    self._write(self._tail, self._end)
    os.close(self._file)
    if not self.count and kind is None:
      os.replace(self._partial, self.path)
    elif not self.count:
      os.remove(self._partial)

  def _write(self, data: bytes, offset: int) -> None:
    try:
      written = 0
      while written < len(data):
        written += os.pwrite(self._file, data[written:], offset + written)
    except OSError as error:
      # The end that was there before needs no new room.
      os.ftruncate(self._file, self._end)
      os.pwrite(self._file, self._tail, self._end)
      error.filename = self.path
      raise


def save_annotated(image: Image.Image, path: str) -> None:
  """Writes an annotated image as a JPEG, whole or not at all."""
  buffer = io.BytesIO()
  image.save(buffer, 'JPEG', quality=_QUALITY, comment=_COMMENT)
  partial = os.path.join(os.path.dirname(path), f'.{os.path.basename(path)}.partial')
  try:
    with open(partial, 'wb') as file:
      file.write(buffer.getvalue())
    os.replace(partial, path)
  except BaseException as error:
    with contextlib.suppress(FileNotFoundError):
      os.remove(partial)
    if isinstance(error, OSError):
      error.filename = path
    raise


def name_targets(inputs: Sequence[str], output_dir: str, suffix: str) -> dict[str, str]:
  """Returns {input: file for its result}; inputs of one name from several directories are numbered.

  Raises:
    ValueError: `output_dir` is no directory, or one of the inputs' own.
  """
  if os.path.exists(output_dir) and not os.path.isdir(output_dir):
    raise ValueError(f'{output_dir}: is a file; output_dir must be a directory.')
  results = os.path.realpath(output_dir)
  targets, used = {}, set()
  for path in inputs:
    if os.path.dirname(os.path.realpath(path)) == results or os.path.dirname(os.path.abspath(path)) == results:
      raise ValueError(
        f'{output_dir} is the directory of {path}: choose an output_dir without images, so that they are not changed.'
      )
    stem = name = os.path.splitext(os.path.basename(path))[0].replace(':', '-')
    number = 1
    while name.lower() in used:
      number += 1
      name = f'{stem}-{number}'
    used.add(name.lower())
    targets[path] = os.path.join(output_dir, name + suffix)
  return targets


def check_replaceable(path: str) -> None:
  """Raises a ValueError if there is a file at `path` that this module did not write."""
  if os.path.lexists(path) and not _is_ours(path):
    raise ValueError(
      f'{path} exists and is not a result of predict.py, so it is not replaced: choose another output_dir.'
    )


def _is_ours(path: str) -> bool:
  try:
    if path.endswith('.jpg'):
      with Image.open(path) as image:
        return image.info.get('comment') == _COMMENT
    if path.endswith('.mp4'):
      return _is_ours(path.removesuffix('.mp4') + '.jsonl')
    with open(path, encoding='utf-8') as file:
      if path.endswith('.jsonl'):
        return _has(json.loads(file.readline(1 << 24)), 'frame', 'detections')
      entries = json.load(file)
      return isinstance(entries, list) and all(
        _has(entry, 'image', 'width', 'height', 'detections') for entry in entries
      )
  except (OSError, ValueError, RecursionError, Image.DecompressionBombError):
    return False


def _has(entry: Any, *keys: str) -> bool:
  return isinstance(entry, dict) and all(key in entry for key in keys)
