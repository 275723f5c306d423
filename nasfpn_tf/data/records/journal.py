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

"""Replaces sets of records atomically: one rename commits, and the next reader or writer completes the rest.

All new files lie in the staging directory `dir/.P.partial/` when the journal appears there. From then on the new sets
are the ones that count: a process that dies while names are given leaves the journal and what is not yet in its place,
and the next writer or reader goes on.
"""

import contextlib
import fcntl
import glob
import json
import os
from collections.abc import Iterator, Sequence
from typing import IO

from absl import logging

JOURNAL = 'commit.json'
LOCK = 'lock'
_FORMAT = 2


def write(staging: str, new: Sequence[str], old: Sequence[str], last: Sequence[str]) -> None:
  """Commits a replacement; it is on disk when this returns.

  Args:
    staging: the staging directory; it holds all of `new`, on disk.
    new: names of the files to put beside the staging directory.
    old: names of the files that they replace.
    last: those of `new` without which a set does not count: its manifest.
  """
  gone = sorted(set(old) - set(new))
  value = {'format': _FORMAT, 'new': sorted(set(new) - set(last)), 'last': sorted(last), 'old': gone}
  partial = os.path.join(staging, JOURNAL + '.partial')
  with open(partial, 'w', encoding='utf-8') as file:
    json.dump(value, file)
  sync(partial)
  sync(staging)
  os.replace(partial, os.path.join(staging, JOURNAL))
  sync(staging)


def finish(staging: str) -> bool:
  """Completes the journal in a staging directory; the caller holds the directory's lock.

  Returns:
    Whether there was a journal.
  """
  value = _read(staging)
  if value is None:
    return False
  directory = os.path.dirname(staging)
  waiting = [name for name in value['last'] if os.path.exists(os.path.join(staging, name))]
  # Without its manifest a set that is neither old nor new is not taken for a whole one.
  for name in [*waiting, *value['old']]:
    _remove(os.path.join(directory, name))
  sync(directory)
  for name in value['new']:
    _place(staging, directory, name)
  sync(directory)
  for name in value['last']:
    _place(staging, directory, name)
  sync(directory)
  os.remove(os.path.join(staging, JOURNAL))
  return True


def finish_beside(prefix: str) -> bool:
  """Completes what a dead process left unfinished in the directory of a set of records.

  Returns:
    Whether anything was done. False, too, where it cannot be: the process lives, or the directory cannot be written.
  """
  done = False
  if '://' in prefix:
    return done
  pattern = os.path.join(glob.escape(os.path.dirname(os.path.abspath(prefix))), '.*.partial', JOURNAL)
  for path in glob.glob(pattern):
    staging = os.path.dirname(path)
    try:
      with locked(staging) as lock:
        if lock is not None and finish(staging):
          logging.warning('%s: finished a replacement of records that was interrupted.', staging)
          done = True
          os.remove(os.path.join(staging, LOCK))
          os.rmdir(staging)
    except OSError as error:
      logging.warning('%s: an interrupted replacement of records cannot be finished: %s.', staging, error)
  return done


@contextlib.contextmanager
def locked(staging: str) -> Iterator[IO | None]:
  """Holds the lock of a staging directory; gives None if another process holds it."""
  with open(os.path.join(staging, LOCK), 'w') as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      yield None
      return
    except OSError:
      pass  # A file system without locks: nothing else to go by.
    yield lock


def sync(path: str) -> None:
  """Waits until the file or directory is on disk."""
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)


def _read(staging: str) -> dict[str, list[str]] | None:
  """Reads the journal, names without directories; None if there is none or it is incomplete."""
  try:
    with open(os.path.join(staging, JOURNAL), encoding='utf-8') as file:
      value = json.load(file)
    if value['format'] != _FORMAT:
      return None
    return {key: [os.path.basename(name) for name in value[key]] for key in ('new', 'last', 'old')}
  except (FileNotFoundError, ValueError, KeyError, TypeError):
    return None


def _place(staging: str, directory: str, name: str) -> None:
  """Gives a file its final name, unless that has been done."""
  with contextlib.suppress(FileNotFoundError):
    os.replace(os.path.join(staging, name), os.path.join(directory, name))


def _remove(path: str) -> None:
  with contextlib.suppress(FileNotFoundError):
    os.remove(path)
