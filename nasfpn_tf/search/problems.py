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

"""Defines the errors that end a search with one line instead of a stack trace."""

import contextlib
import errno
from collections.abc import Iterator


class SearchError(ValueError):
  """Raised where a search cannot continue; the message names the file or the key and says what to do.

  What has been found by then is in the search directory. A trial that fails is no such error: it is a `Measurement`.
  """


class StorageFull(SearchError):
  """Raised where the disk is full; everything written before is intact."""

  def __init__(self, path: str):
    """Names the `path` that could not be written."""
    super().__init__(
      f'{path}: no space left to write. Nothing that was written is lost: make room and run the same command again.'
    )


class DeviceLost(SearchError):
  """Raised where the device that trials are trained on has gone; the trial is not counted."""

  def __init__(self, reason: str):
    """Quotes the `reason` that TensorFlow gives."""
    super().__init__(
      f'the device of the trials is gone: {reason.rstrip(".")}. Nothing is lost: bring it back and run the same command'
      ' again.'
    )


class DamagedStore(SearchError):
  """Raised for a store with contents that no search wrote; the file is left as it is."""

  def __init__(self, path: str, found: object):
    """Names the file `path` and what was `found` wrong in it."""
    found = ' '.join(str(found).split()).rstrip('.')[:200]  # sqlite may quote a whole row.
    super().__init__(
      f'{path} is damaged or not the store of a search: {found}. It is left unchanged. Restore a copy of it, or'
      f' start in another search directory; trials.jsonl beside it lists the finished trials.'
    )


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
  """Converts an error of the operating system about `path` to a `SearchError`."""
  try:
    yield
  except OSError as e:
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
      raise StorageFull(path) from e
    raise SearchError(f'{path}: cannot be written: {e.strerror or e}.') from e
