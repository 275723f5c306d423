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

"""What is made of the times of runs, and what a process takes."""

import numpy as np
import pytest

from nasfpn_tf.frontier import timing


def test_the_first_runs_do_not_count():
  found = timing.summarize([90.0, 50.0, 50.0, 50.0, *range(1, 12)])
  assert (found.median, found.p90, found.first, found.mean, found.runs) == (6.0, 10.0, 90.0, 6.0, 11)
  one = timing.summarize([9.0, 8.0, 8.0, 8.0, 4.0])
  assert (one.median, one.p90, one.mean, one.runs) == (4.0, 4.0, 4.0, 1)


def test_ways_take_turns():
  order = []
  found = timing.take_turns({name: lambda name=name: order.append(name) for name in 'ab'}, 2)
  assert order == ['a', 'b'] * 6
  assert {name: latency.runs for name, latency in found.items()} == {'a': 2, 'b': 2}


def test_parts_are_differences_that_noise_does_not_make_negative():
  ends = {'backbone': 4.0, 'neck': 3.5, 'head': 6.0, 'post_processing': 7.0}
  found = timing.differences(ends)
  assert found == {'backbone': 4.0, 'neck': 0.0, 'head': 2.0, 'post_processing': 1.0}
  assert sum(found.values()) == 7.0


def test_memory_that_was_given_back_is_in_the_peak():
  memory = timing.PeakMemory()
  if memory.bytes() is None:
    pytest.skip('this system does not say what a process takes')
  pages = np.ones(400_000_000, np.uint8)
  del pages
  after = memory.bytes()
  assert 300_000_000 < after < 700_000_000  # A system may reclaim some of the rest meanwhile.
