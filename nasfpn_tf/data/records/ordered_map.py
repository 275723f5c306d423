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

"""Maps a function over a stream in threads: results in order, a bounded number of items under way."""

import collections
import concurrent.futures
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from nasfpn_tf import processor

Item = TypeVar('Item')
Result = TypeVar('Result')


@contextlib.contextmanager
def ordered_map(
  function: Callable[[Item], Result], items: Iterable[Item], num_workers: int | None = None
) -> Iterator[Iterator[tuple[Item, Result]]]:
  """Gives an iterator over (item, function(item)) in the order of `items`, a few items ahead of its reader.

  Args:
    function: worth a thread where it waits for files or runs code that releases Python's lock, as decoders do.
    items: taken as they are needed, so they may be a long stream.
    num_workers: threads; None: one a core.
  """
  num_workers = num_workers or processor.num_cores()
  pool = concurrent.futures.ThreadPoolExecutor(num_workers)

  def results():
    waiting = collections.deque()
    for item in items:
      waiting.append((item, pool.submit(function, item)))
      if len(waiting) >= 4 * num_workers:
        first, future = waiting.popleft()
        yield first, future.result()
    while waiting:
      first, future = waiting.popleft()
      yield first, future.result()

  try:
    yield results()
  finally:
    pool.shutdown(cancel_futures=True)
