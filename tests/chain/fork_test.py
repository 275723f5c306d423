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

"""Scripts that run in forks of a process with TensorFlow."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from nasfpn_tf.chain import process

_ARGUMENTS = """
import os, sys
assert __name__ == '__main__' and 'tensorflow' in sys.modules
print(*sys.argv[1:])
print(os.environ['PYTHONWARNINGS'], file=sys.stderr)
raise SystemExit(5)
"""
_BROKEN = 'raise ValueError("what is wrong")'
_CAREFUL = """
import pathlib, signal, sys, time
def end(number, frame):
  pathlib.Path(sys.argv[1], 'ended').touch()
  sys.exit(42)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], 'started').touch()
time.sleep(60)
"""
_LASTING = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1], 'pid').write_text(str(os.getpid()))
time.sleep(300)
"""
_RUNNER = """
import pathlib, sys
from nasfpn_tf.chain import process
process.run([sys.executable, *sys.argv[1:]], pathlib.Path(sys.argv[2], 'log'), None, forked=True)
"""


def _script(directory, code):
  path = directory / 'script.py'
  path.write_text(code)
  return str(path)


def test_the_script_runs_as_if_started(tmp_path):
  log = tmp_path / 'log'
  command = [sys.executable, _script(tmp_path, _ARGUMENTS), '--a=b c', 'd']
  assert process.run(command, log, None, forked=True) == 5
  assert sorted(log.read_text().splitlines()) == ['--a=b c d', 'ignore']
  assert process.run([sys.executable, _script(tmp_path, _BROKEN)], log, None, forked=True) == 1
  assert 'ValueError: what is wrong' in log.read_text() and '--a=b' not in log.read_text()


_WITHOUT_SERVER = """
import pathlib, sys, tempfile
from nasfpn_tf.chain import process
tempfile.tempdir = sys.argv[2] + '/' + 'long' * 40
pathlib.Path(tempfile.tempdir).mkdir()
sys.exit(process.run([sys.executable, *sys.argv[1:]], pathlib.Path(sys.argv[2], 'log'), None, forked=True))
"""


def test_without_a_server_it_is_started(tmp_path):
  """The path of a socket has at most about 100 characters."""
  script = _script(tmp_path, 'import sys; sys.exit(7)')
  done = subprocess.run([sys.executable, '-c', _WITHOUT_SERVER, script, str(tmp_path)], capture_output=True, text=True)
  assert done.returncode == 7 and not done.stderr


def test_it_ends_in_order_at_ctrl_c(tmp_path):
  runner = subprocess.Popen(
    [sys.executable, '-c', _RUNNER, _script(tmp_path, _CAREFUL), str(tmp_path)],
    stderr=subprocess.PIPE,
    text=True,
    # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )
  deadline = time.monotonic() + 120
  while not pathlib.Path(tmp_path, 'started').exists():
    assert time.monotonic() < deadline and runner.poll() is None
    time.sleep(0.05)
  runner.send_signal(signal.SIGINT)
  assert 'KeyboardInterrupt' in runner.communicate(timeout=60)[1]
  assert (tmp_path / 'ended').exists()


@pytest.mark.parametrize('forked', [True, False])
def test_a_script_ends_with_a_killed_chain(tmp_path, forked):
  """Else it would go on writing what the next run of the chain writes, too."""
  script = _script(tmp_path, _LASTING)
  runner = _RUNNER.replace('forked=True', f'forked={forked}')
  chain = subprocess.Popen([sys.executable, '-c', runner, script, str(tmp_path)])
  found = tmp_path / 'pid'
  _wait_until(lambda: found.exists() and found.read_text())
  chain.kill()
  chain.wait()
  _wait_until(lambda: not _runs(found.read_text()))


def _runs(pid):
  try:
    return pathlib.Path('/proc', pid, 'stat').read_text().rsplit(') ', 1)[1][0] not in 'ZX'
  except OSError:
    return False


def _wait_until(is_so):
  deadline = time.monotonic() + 60
  while not is_so():
    assert time.monotonic() < deadline
    time.sleep(0.05)
