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

"""Scripts of this repository as real processes that can be killed, started by a fork of one that has loaded TensorFlow.

Loading takes longer than most of what is to be interrupted. TensorFlow's runtime begins with the first operation, which
is in the child.
"""

import os
import pickle
import resource
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from tests import testing


def start(arguments: Sequence[str], log: str, largest_file: int | None = None) -> int:
  """Runs a script, e.g. `['train.py', '--model_dir=x']`, in a process group of its own; returns its process id.

  Args:
    arguments: the script and its flags.
    log: file that gets its output.
    largest_file: bytes above which writing a file fails.
  """
  pid = os.fork()
  if pid:
    return pid
  code = 1
  try:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
      signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
      os.dup2(output, stream)
    if largest_file is not None:
      resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    script, *flags = arguments
    sys.argv = [str(testing.repo_root() / 'scripts' / script), *flags]
    try:
      runpy.run_path(sys.argv[0], run_name='__main__')
      code = 0
    except SystemExit as error:
      code = error.code if isinstance(error.code, int) else int(bool(error.code))
      if isinstance(error.code, str):
        print(error.code, file=sys.stderr)
    except BaseException:
      traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
  finally:
    os._exit(code)


def wait(pid: int, seconds: float = float('inf')) -> int | None:
  """The exit code of a process, negative for a signal; None if it still runs after so long."""
  deadline = time.monotonic() + seconds
  while True:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
      return os.waitstatus_to_exitcode(status)
    if time.monotonic() > deadline:
      return None
    time.sleep(0.01)


def interrupt(arguments: Sequence[str], log: str, number: int, seconds: float, grace: float = 300.0) -> int:
  """Runs a script, sends it a signal after so many seconds, and returns its exit code.

  SIGKILL goes to the whole group: a machine that goes away takes all of it. After another signal the process has
  `grace` seconds to end by itself.
  """
  pid = start(arguments, log)
  code = wait(pid, seconds)
  if code is None:
    (os.killpg if number == signal.SIGKILL else os.kill)(pid, number)
    code = wait(pid, grace)
  if code is None:
    os.killpg(pid, signal.SIGKILL)
    wait(pid)
    raise AssertionError(f'{arguments}: still runs {grace} seconds after signal {number}')
  return code


def run(arguments: Sequence[str], log: str) -> float:
  """Runs a script to its end and returns how long it took; an AssertionError with its output if it fails."""
  started = time.monotonic()
  code = wait(start(arguments, log))
  if code:
    with open(log, encoding='utf-8', errors='replace') as file:
      raise AssertionError(f'{" ".join(arguments)}: exit code {code}\n{file.read()[-3000:]}')
  return time.monotonic() - started


def call(function: Callable[..., Any], *arguments: Any) -> Any:
  """What a function returns in a process of its own, so that this one never begins to use TensorFlow."""
  reading, writing = os.pipe()
  pid = os.fork()
  if not pid:
    os.close(reading)
    try:
      value = (True, function(*arguments))
    except BaseException:
      value = (False, traceback.format_exc())
    with os.fdopen(writing, 'wb') as pipe:
      pickle.dump(value, pipe)
    os._exit(0)
  os.close(writing)
  with os.fdopen(reading, 'rb') as pipe:
    data = pipe.read()
  os.waitpid(pid, 0)
  good, value = pickle.loads(data)
  if not good:
    raise AssertionError(value)
  return value
