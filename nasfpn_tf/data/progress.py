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

"""Shows the progress of a long loop: a bar on a terminal, an occasional line in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import tqdm

Item = TypeVar('Item')
SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[Item], total: int | None, what: str, enabled: bool = True) -> Iterator[Item]:
  """Yields `items` and reports the progress on stderr.

  Args:
    items: anything to iterate.
    total: how many there will be; None: nobody knows.
    what: what is counted, e.g. 'train: images'.
    enabled: False says nothing.
  """
  if not enabled:
    yield from items
    return
  if sys.stderr.isatty():
    yield from tqdm.tqdm(items, total=total, desc=what, leave=False)
    return
  start = told = time.monotonic()
  for count, item in enumerate(items, 1):
    yield item
    now = time.monotonic()
    if count == total or now - told >= SECONDS_BETWEEN_LINES:
      told = now
      of_total = '' if total is None else f'/{total}'
      print(f'{what} {count}{of_total}, {count / max(now - start, 1e-9):.0f}/s', file=sys.stderr, flush=True)
