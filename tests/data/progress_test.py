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

"""Tests of the progress of a loop."""

import io

from nasfpn_tf.data import progress


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_a_log_gets_a_line_now_and_then(monkeypatch, capsys):
  clock = iter(range(0, 1000, 4))
  monkeypatch.setattr(progress.time, 'monotonic', lambda: float(next(clock)))
  assert list(progress.track('abcdef', 6, 'letters')) == list('abcdef')
  assert capsys.readouterr().err.splitlines() == ['letters 3/6, 0/s', 'letters 6/6, 0/s']


def test_a_terminal_gets_a_bar(monkeypatch):
  terminal = _Terminal()
  monkeypatch.setattr(progress.sys, 'stderr', terminal)
  assert list(progress.track(range(3), 3, 'things')) == [0, 1, 2]
  assert 'things:   0%' in terminal.getvalue()


def test_silence(capsys):
  assert list(progress.track(range(3), 3, 'things', enabled=False)) == [0, 1, 2]
  assert capsys.readouterr().err == ''
