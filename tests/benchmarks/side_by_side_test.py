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

"""Timing in turn, and processes of their own."""

import sys

import pytest

from benchmarks import side_by_side


def test_sides_are_called_in_turn_and_only_counted_calls_are_kept():
  calls = []
  sides = {name: (lambda name=name: calls.append(name)) for name in 'ab'}
  samples = side_by_side.interleave(sides, runs=3, warm_up=1)
  assert ''.join(calls) == 'ab' + 'ab' + 'ba' + 'ab'
  assert {name: (len(side.wall_ms), len(side.cpu_ms)) for name, side in samples.items()} == {'a': (3, 3), 'b': (3, 3)}


def test_what_prepares_a_call_comes_right_before_it():
  calls = []
  sides = {name: (lambda name=name: calls.append(name)) for name in 'ab'}
  prepare = {name: (lambda name=name: calls.append(name.upper())) for name in 'ab'}
  side_by_side.interleave(sides, runs=1, warm_up=1, prepare=prepare)
  assert ''.join(calls) == 'AaBb' + 'AaBb'


def test_the_ratio_is_that_of_calls_next_to_each_other():
  # The machine slows down by ten on the way; ours takes half throughout.
  assert side_by_side.ratio([1, 2, 10], [2, 4, 20]) == 0.5
  with pytest.raises(ValueError, match='argument'):
    side_by_side.ratio([1], [1, 2])


def test_the_report_compares_the_first_with_the_others(capsys):
  samples = {
    'ours': side_by_side.Samples((1.0, 2.0, 3.0), (2.0, 2.0, 2.0)),
    'peer': side_by_side.Samples((4.0, 8.0, 12.0), (4.0, 4.0, 4.0)),
  }
  side_by_side.report(samples, {'peer': 0.3})
  rows = capsys.readouterr().out.splitlines()
  assert rows[-2] == '| ours | 2.0 | 1.0 | 3.0 | 2.0 |  |  |  |'
  assert rows[-1] == '| peer | 8.0 | 4.0 | 12.0 | 4.0 | 0.250 | 0.500 | <= 0.3 |'


_PROGRAM = """
import sys
from benchmarks import side_by_side
print('noise')
side = sys.argv[-1].removeprefix('--side=')
if side == 'broken':
  sys.exit(3)
side_by_side.hand_back({'arguments': sys.argv[1:]})
"""


def test_a_side_gets_the_flags_and_hands_back_its_result(tmp_path, monkeypatch):
  (tmp_path / 'measured_side.py').write_text(_PROGRAM)
  monkeypatch.setattr(sys, 'argv', ['benchmark', '--runs=2'])
  path = {'PYTHONPATH': ':'.join([str(tmp_path), *sys.path])}
  assert side_by_side.run_side('measured_side', 'ours', path) == {'arguments': ['--runs=2', '--side=ours']}
  with pytest.raises(SystemExit, match='broken failed with status 3'):
    side_by_side.run_side('measured_side', 'broken', path)


def test_sides_that_disagree_end_the_benchmark():
  side_by_side.require(True, 'nothing')
  with pytest.raises(SystemExit, match='The sides disagree: here'):
    side_by_side.require(False, 'here')
