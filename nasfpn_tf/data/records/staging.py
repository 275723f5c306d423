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

"""Stages a set of files in a directory, so that all of them get their final names at once.

A set with the prefix `dir/P` is made in `dir/.P.partial/`. Whatever stops the program there, be it an exception, a
signal or the power, no file with a final name has been touched. The next run sees that nobody holds the directory's
lock and clears it. What stops the program while the files get their final names is made good by the journal.
"""

import contextlib
import os
import re
import shutil

from absl import logging

from nasfpn_tf.data.records import journal
from nasfpn_tf.data.records.manifest import ANNOTATIONS_SUFFIX, PROBLEMS_SUFFIX, SUFFIX, Manifest
from nasfpn_tf.data.sources.problems import DataError


class Staging(contextlib.AbstractContextManager):
  """A directory in which the files of one or more sets of records are written; `commit` gives them their final names.

  Args:
    output_prefix: the P of the (first) set, a local path.

  Raises:
    DataError: another process is writing this set, the directory cannot be written, or the prefix is not local.
  """

  def __init__(self, output_prefix: str):
    if '://' in output_prefix:
      raise DataError(f'{output_prefix}: records are written to a local disk; copy the finished set from there.')
    self.directory, name = os.path.split(os.path.abspath(output_prefix))
    if not name or output_prefix.endswith(os.sep):
      raise DataError(f'{output_prefix!r} is a directory; give a prefix, e.g. {os.path.join(output_prefix, "train")}.')
    self._partial = os.path.join(self.directory, f'.{name}.partial')
    self._stack = contextlib.ExitStack()

  def __enter__(self) -> 'Staging':
    try:
      os.makedirs(self._partial, exist_ok=True)
      lock = self._stack.enter_context(journal.locked(self._partial))
    except OSError as error:
      raise DataError(f'{self._partial}: cannot be written: {error.strerror}.') from error
    if lock is None:
      raise DataError(f'{self._partial}: another process is writing these records; wait for it.')
    if journal.finish(self._partial):
      logging.warning('%s: finished a replacement of records that was interrupted.', self._partial)
    self._clear()
    return self

  def __exit__(self, *exception) -> None:
    with self._stack:
      # An error while files got their final names: what is decided is done, now or by the next run.
      journal.finish(self._partial)
      self._clear()
      shutil.rmtree(self._partial, ignore_errors=True)

  def path(self, name: str) -> str:
    """Returns the path at which to write the file that will be called `name`."""
    return os.path.join(self._partial, name)

  def check_replaceable(self, prefix: str) -> None:
    """Raises a `DataError` if `prefix` has shards that no manifest of ours lists: they are not ours to replace."""
    for name in self._shards_of(prefix) - set(self._old_set(prefix)):
      raise DataError(
        f'{os.path.join(self.directory, name)} is in the way and no manifest names it: remove it or choose another '
        'output prefix.'
      )

  def commit(self, prefixes: list[str]) -> None:
    """Replaces the sets under `prefixes` by the staged files; the manifest of each set appears last."""
    made = sorted(name for name in os.listdir(self._partial) if name != journal.LOCK)
    for name in made:
      journal.sync(self.path(name))
    old = [name for prefix in prefixes for name in self._old_set(prefix)]
    journal.write(self._partial, made, old, [name for name in made if name.endswith(SUFFIX)])
    journal.finish(self._partial)

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
    """Removes the unfinished files that an interrupted run left."""
    for name in os.listdir(self._partial):
      if name != journal.LOCK:
        with contextlib.suppress(FileNotFoundError):
          os.remove(self.path(name))
