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

"""Waiting for processes that work, that do nothing, and that never come to an end."""

import itertools
import subprocess
import sys
from unittest import mock

import pytest

from tests import patience


def until(condition, used, **options):
  """Waits for a process whose processor time is `used`, one at each look."""
  used = iter(used)
  with mock.patch.object(patience, 'cpu_seconds', lambda pid: next(used)):
    return patience.until(condition, [mock.Mock(pid=1)], **options)


def test_a_process_that_works_is_waited_for():
  looks = iter([None] * 8)
  assert until(lambda: next(looks, 'there'), itertools.count(step=1.0), idle=0.3) == 'there'


def test_one_that_does_nothing_is_not():
  with pytest.raises(TimeoutError, match=r'0\.50 seconds of processor time in 0 seconds'):
    until(lambda: False, itertools.chain([3.0], itertools.repeat(3.5)), idle=0.3)


def test_time_in_which_it_is_stopped_does_not_count():
  looks = iter([None] * 8)
  assert until(lambda: next(looks, 'there'), itertools.chain([3.0], itertools.repeat(None)), idle=0.3) == 'there'


def test_the_budget_ends_what_goes_on_for_ever():
  with pytest.raises(TimeoutError, match='not reached after 12 seconds'):
    until(lambda: False, itertools.count(step=4.0), budget=10.0)


def test_processor_time_is_that_of_the_process():
  with subprocess.Popen([sys.executable, '-c', 'sum(range(10**7)); input()'], stdin=subprocess.PIPE) as process:
    assert patience.until(lambda: patience.cpu_seconds(process.pid) > 0.05, [process])
    process.communicate(b'\n')
  assert patience.cpu_seconds(process.pid) == 0
