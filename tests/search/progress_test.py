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

"""The lines that a search without a terminal prints."""

import io

import pytest

from nasfpn_tf.search import progress
from nasfpn_tf.search.progress import SearchProgress


@pytest.fixture
def clock(monkeypatch):
  """Seconds that a test sets."""
  now = [0.0]
  monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
  return now


def _lines(clock, ends, first=0, total=100, running=1):
  """What is printed when one more trial ends at each of these seconds."""
  stream = io.StringIO()
  shown = SearchProgress(first, total, stream)
  for number, end in enumerate(ends, start=first + 1):
    clock[0] = end
    shown.update(number, running, None)
  return stream.getvalue().splitlines()


def test_time_left_is_that_of_the_last_trials(clock):
  # The first trains for 1000 seconds what the others need 10 for.
  lines = _lines(clock, [1000 + 10 * i for i in range(31)])
  assert lines[0] == 'search 1/100  best -  1 running  left 27h30m'
  assert lines[1].endswith('left 16m20s')
  assert lines[-1].endswith('search 31/100  best -  1 running  left 11m30s')
  # They have become slower: of the 19 between the last 20 ends, 9 took 10 seconds and 10 took 30.
  slower = [10 * i for i in range(1, 31)] + [300 + 30 * i for i in range(1, 11)]
  assert _lines(clock, slower)[-1].endswith('left 20m32s')


def test_a_search_that_goes_on_counts_its_own_pace(clock):
  clock[0] = 500.0
  assert _lines(clock, [520.0], first=90)[-1] == 'search 91/100  best -  1 running  left 3m00s'


def test_workers_that_end_together_are_one_round(clock):
  # Four start together and end within a second, every 100 seconds.
  lines = _lines(clock, [100 * (i // 4 + 1) + 0.2 * (i % 4) for i in range(40)], running=4)
  assert lines[0] == 'search 1/100  best -  4 running  left ?'
  assert lines[-1].startswith('search 37/100') and 20 <= int(lines[-1].split('left ')[1].split('m')[0]) <= 30


def test_lines_are_seconds_apart(clock):
  assert len(_lines(clock, [i * 0.5 for i in range(1, 42)])) == 3
