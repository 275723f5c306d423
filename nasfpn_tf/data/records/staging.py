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

"""A directory in which a set of files is made before all of them get their final names at once.

A set with the prefix `dir/P` is made in `dir/.P.partial/`. Whatever stops the program there, be it an exception, a
signal or the power, no file with a final name has been touched. The next run sees that nobody holds the directory's
lock and clears it.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil

from nasfpn_tf.data.records.manifest import ANNOTATIONS_SUFFIX, PROBLEMS_SUFFIX, SUFFIX, Manifest
from nasfpn_tf.data.sources.problems import DataError

_JOURNAL = 'commit.json'
_LOCK = 'lock'


class Staging(contextlib.AbstractContextManager):
  """Where the files of one or several sets of records are made; `commit` gives them their final names.

  Args:
    output_prefix: the P of the (first) set, a local path.

  Raises:
    DataError: another process is writing this set, the directory cannot be written, or the prefix is not local.
  """

  def __init__(self, output_prefix: str):
    if '://' in output_prefix:
      raise DataError(f'{output_prefix}: records are written to local disk; copy the finished set to where it is read.')
    self.directory, name = os.path.split(os.path.abspath(output_prefix))
    if not name or output_prefix.endswith(os.sep):
      raise DataError(f'{output_prefix!r} is a directory; give a prefix, e.g. {os.path.join(output_prefix, "train")}.')
    self._partial = os.path.join(self.directory, f'.{name}.partial')
    self._lock = None

  def __enter__(self) -> 'Staging':
    try:
      os.makedirs(self._partial, exist_ok=True)
      self._lock = open(os.path.join(self._partial, _LOCK), 'w')
    except OSError as error:
      raise DataError(f'{self._partial}: cannot be written: {error.strerror}.') from error
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      self._lock.close()
      raise DataError(f'{self._partial}: another process is writing these records now; wait for it.') from error
    except OSError:
      pass  # A file system without locks: nothing else to go by.
    self._clear()
    return self

  def __exit__(self, *exception) -> None:
    self._clear()
    shutil.rmtree(self._partial, ignore_errors=True)
    self._lock.close()

  def path(self, name: str) -> str:
    """Where to make the file that will be called `name`."""
    return os.path.join(self._partial, name)

  def check_replaceable(self, prefix: str) -> None:
    """A `DataError` where shards lie under `prefix` that no manifest of ours names: they are someone's work."""
    for name in self._shards_of(prefix) - set(self._old_set(prefix)):
      raise DataError(
        f'{os.path.join(self.directory, name)} is in the way and no manifest names it: remove it or choose another '
        'output prefix.'
      )

  def commit(self, prefixes: list[str]) -> None:
    """Replaces the sets under `prefixes` by what has been made of them; each one's manifest is the last to appear."""
    made = sorted(name for name in os.listdir(self._partial) if name not in (_LOCK, _JOURNAL))
    for name in made:
      _sync(self.path(name))
    old = [name for prefix in prefixes for name in self._old_set(prefix)]
    # From here until the end the directory may hold part of a set: the journal tells the next run what to clear.
    with open(self.path(_JOURNAL), 'w', encoding='utf-8') as file:
      json.dump(sorted({*made, *old}), file)
    _sync(self.path(_JOURNAL))
    _sync(self._partial)
    for name in sorted(old, key=lambda name: not name.endswith(SUFFIX)):
      _remove(os.path.join(self.directory, name))
    for name in sorted(made, key=lambda name: name.endswith(SUFFIX)):
      if name.endswith(SUFFIX):
        _sync(self.directory)
      os.replace(self.path(name), os.path.join(self.directory, name))
    _sync(self.directory)
    os.remove(self.path(_JOURNAL))

  def _shards_of(self, prefix: str) -> set[str]:
    pattern = re.compile(re.escape(os.path.basename(prefix)) + r'-\d{5}-of-\d{5}\.tfrecord')
    return {name for name in os.listdir(self.directory) if pattern.fullmatch(name)}

  def _old_set(self, prefix: str) -> list[str]:
    """Names of the finished set under `prefix`; none where there is none."""
    path = os.path.join(self.directory, os.path.basename(prefix) + SUFFIX)
    if not os.path.exists(path):
      return []
    try:
      manifest = Manifest.load(path)
    except ValueError as error:
      raise DataError(f'{error} Remove it or choose another output prefix.') from error
    base = os.path.basename(prefix)
    names = [shard.file for shard in manifest.shards if os.path.basename(shard.file) == shard.file]
    return [*names, base + SUFFIX, base + ANNOTATIONS_SUFFIX, base + PROBLEMS_SUFFIX]

  def _clear(self) -> None:
    """Removes what an interrupted run left: its unfinished files, and the final names of an interrupted commit."""
    if os.path.exists(self.path(_JOURNAL)):
      with contextlib.suppress(ValueError), open(self.path(_JOURNAL), encoding='utf-8') as file:
        for name in json.load(file):
          _remove(os.path.join(self.directory, os.path.basename(name)))
    for name in os.listdir(self._partial):
      if name != _LOCK:
        _remove(self.path(name))


def _remove(path: str) -> None:
  with contextlib.suppress(FileNotFoundError):
    os.remove(path)


def _sync(path: str) -> None:
  """Waits until the file or directory is on the disk."""
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)
