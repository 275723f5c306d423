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

"""Commands of a chain: their output, and how they end."""

import io
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from nasfpn_tf.chain import process

_PYTHON = [sys.executable, '-S', '-c']


def test_says_how_the_command_ended(tmp_path):
  log = tmp_path / 'logs' / 'a.log'
  code = 'import sys; print("out"); print("err", file=sys.stderr); sys.exit(3)'
  assert process.run([*_PYTHON, code], log, io.StringIO()) == 3
  assert sorted(log.read_text().split()) == ['err', 'out']
  assert process.run([*_PYTHON, 'import os; os.kill(os.getpid(), 9)'], log, io.StringIO()) == -9
  with pytest.raises(FileNotFoundError):
    process.run([str(tmp_path / 'nothing')], log, io.StringIO())


def test_the_seconds_run_on_a_terminal(tmp_path):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  stream = Terminal()
  assert process.run([*_PYTHON, 'import time; time.sleep(1.3)'], tmp_path / 'log', stream) == 0
  assert '1 s' in stream.getvalue()


# Starts a child, and on SIGTERM takes its time to write down that it ended in order.
_CAREFUL = """
import pathlib, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])
def end(number, frame):
  time.sleep(0.3)
  pathlib.Path(sys.argv[1], 'ended').touch()
  sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], 'child').write_text(str(child.pid))
time.sleep(60)
"""
_RUNNER = """
import io, sys
from nasfpn_tf.chain import process
process.run([sys.executable, '-S', '-c', sys.argv[1], sys.argv[2]], None, io.StringIO())
"""


def test_ctrl_c_lets_the_command_end_in_order(tmp_path):
  runner = subprocess.Popen(
    [sys.executable, '-c', _RUNNER, _CAREFUL, str(tmp_path)],
    stderr=subprocess.PIPE,
    text=True,
    # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )
  child_file, deadline = tmp_path / 'child', time.monotonic() + 60
  while not (child_file.exists() and child_file.read_text()):
    assert time.monotonic() < deadline and runner.poll() is None
    time.sleep(0.05)
  runner.send_signal(signal.SIGINT)
  assert 'KeyboardInterrupt' in runner.communicate(timeout=60)[1]
  assert (tmp_path / 'ended').exists()
  deadline = time.monotonic() + 30
  while _is_alive(int(child_file.read_text())):
    assert time.monotonic() < deadline, 'what the command had started is still there'
    time.sleep(0.05)


def _is_alive(pid):
  """Whether a process runs; an ended one that nobody has taken note of yet does not."""
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  status = pathlib.Path(f'/proc/{pid}/stat')
  return not status.exists() or status.read_text().rpartition(')')[2].split()[0] != 'Z'
