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

"""Shows the progress of a search: a bar on a terminal, an occasional line in a log."""

import collections
import sys
import time
from typing import TextIO

import tqdm

from nasfpn_tf.search.trial import Measurement, Trial

SECONDS_BETWEEN_LINES = 10.0
_PACE = 20  # Results that the pace is taken from, two of each worker if these are more.


class SearchProgress:
  """Shows the number of finished and running trials, the best reward so far, and the remaining time.

  The time left is taken from the pace of the last trials: the first one may train what all others share.
  """

  def __init__(self, done: int, max_trials: int, stream: TextIO | None = None):
    """Starts with `done` trials of earlier runs; a bar appears if `stream` (standard error) is a terminal."""
    self._done, self._total = done, max_trials
    self._stream = stream or sys.stderr
    self._told = float('-inf')
    self._start = time.monotonic(), done
    self._recent = collections.deque()  # (when, trials done then) of the last results.
    self._bar = None
    if self._stream.isatty():
      self._bar = tqdm.tqdm(
        total=max_trials, initial=done, unit='trial', desc='search', file=self._stream, dynamic_ncols=True
      )

  def update(self, done: int, running: int, best: tuple[Trial, Measurement] | None) -> None:
    """Shows the state of the search, not too often."""
    if done > self._done:
      self._recent.append((time.monotonic(), done))
      while len(self._recent) > max(_PACE, 2 * running):
        self._recent.popleft()
    words = f'best {best[1].reward:.4f} (trial {best[0].id})' if best else 'best -'
    if self._bar is not None:
      self._bar.set_postfix_str(f'{words}, {running} running', refresh=False)
      self._bar.update(done - self._done)
    elif done >= self._total or (done > self._done and time.monotonic() - self._told >= SECONDS_BETWEEN_LINES):
      self._told = time.monotonic()
      print(
        f'search {done}/{self._total}  {words}  {running} running  left {self._left(done, running)}', file=self._stream
      )
      self._stream.flush()
    self._done = done

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()

  def _left(self, done: int, running: int) -> str:
    # Workers that start together finish together: the first result alone says nothing about the pace.
    if not self._recent or done - self._start[1] < running:
      return '?'
    since, before = self._recent[0] if len(self._recent) > 1 else self._start
    until, after = self._recent[-1]
    seconds = round((until - since) / (after - before) * max(0, self._total - done))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return f'{hours}h{minutes:02d}m' if hours else f'{minutes}m{seconds % 60:02d}s' if minutes else f'{seconds}s'
