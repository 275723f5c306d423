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

"""Writes files atomically: readers see either all of the old content or all of the new one, even after a crash."""

import contextlib
import errno
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
  """Adds the name of the file to an OSError; a write that fails half way, as on a full disk, does not have it."""
  try:
    yield
  except OSError as error:
    if error.filename is None:
      error.filename = os.fspath(path)
    raise


def check_place(path: str | os.PathLike, is_directory: bool = False) -> None:
  """Checks that a file or directory can be made at `path`, before the work whose result it is to hold; makes nothing.

  Raises:
    OSError: something else has the name, a part of the path is a file, or this user may not write there.
  """
  path = os.fspath(path)
  if '://' in path:  # Of one of TensorFlow's file systems.
    return
  if os.path.lexists(path) and os.path.isdir(path) != is_directory:
    number = errno.ENOTDIR if is_directory else errno.EISDIR
    raise OSError(number, os.strerror(number), path)
  place = path if is_directory else os.path.dirname(os.path.abspath(path))
  while not os.path.lexists(place):
    place = os.path.dirname(os.path.abspath(place))
  number = errno.ENOTDIR if not os.path.isdir(place) else 0
  if not number and not os.access(place, os.W_OK | os.X_OK):
    number = errno.EACCES
  if number:
    raise OSError(number, os.strerror(number), place)


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes text in UTF-8, as `write_bytes` does."""
  write_bytes(path, text.encode('utf-8'))


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
  """Writes a file beside the old one, then renames it over the old one; creates missing directories.

  Raises:
    OSError: it cannot be written, with its name; the file is as it was.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'{path.name}.partial')
  try:
    with naming(path), open(partial, 'wb') as file:
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
    partial.replace(path)
  except BaseException:
    partial.unlink(missing_ok=True)  # On a full disk it takes room.
    raise


def write_json(path: str | os.PathLike, value: Any) -> None:
  """Writes a value as JSON, as `write_text` does."""
  write_text(path, json.dumps(value, indent=2) + '\n')
