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

"""Tests of the measurement of a device."""

import pytest

from benchmarks import device


def test_the_tables_of_a_benchmark_are_read():
  table = '| side | ms | ratio |\n|---|---|---|\n| ours | 1.5 | |\n| theirs | 3.0 | 0.5 |\n'
  text = f'AMD, 1 cores\n{table}\nimages: 3\n| a |\n|---|\n'
  ours, theirs = device.read_tables(text)[0]
  assert ours == {'side': 'ours', 'ms': '1.5', 'ratio': ''}
  assert theirs == {'side': 'theirs', 'ms': '3.0', 'ratio': '0.5'}
  assert len(device.read_tables(text)) == 1


def test_a_row_that_fails_says_why():
  row = device.run_row(['-c', 'print("begun"); raise SystemExit("The sides disagree")'])
  assert row['error'] == 'status 1' and row['lines'] == ['begun', 'The sides disagree']
  assert device.run_row(['-c', 'print("| x |\\n|---|\\n| 1 |")'])['tables'] == [[{'x': '1'}]]


def test_unknown_rows_are_named(tmp_path):
  with pytest.raises(ValueError, match='there is no absent; there are input_640'):
    device.measure(str(tmp_path / 'x.json'), ['absent'])
  assert not list(tmp_path.iterdir())
