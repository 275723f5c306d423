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

"""Tests of the threaded map."""

import threading
import time

import pytest

from nasfpn_tf.data.records.ordered_map import ordered_map


def test_results_come_in_order_whatever_takes_longest():
  def slow_at_first(item):
    time.sleep(0.02 if item == 0 else 0)
    return item * item

  with ordered_map(slow_at_first, range(20), num_workers=3) as results:
    assert list(results) == [(item, item * item) for item in range(20)]


def test_items_are_taken_only_a_few_ahead():
  taken = []

  def items():
    for item in range(1000):
      taken.append(item)
      yield item

  with ordered_map(str, items(), num_workers=2) as results:
    next(results)
    assert len(taken) <= 9


def test_an_exception_reaches_the_reader_and_threads_end():
  def fail(item):
    if item == 3:
      raise KeyError(item)
    return item

  before = threading.active_count()
  with pytest.raises(KeyError), ordered_map(fail, range(10), num_workers=2) as results:
    list(results)
  assert threading.active_count() == before
