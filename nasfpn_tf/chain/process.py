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

"""Runs one command of a chain, and lets it finish cleanly when the chain is stopped."""

import contextlib
import ctypes
import functools
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from nasfpn_tf.chain import fork

_PR_SET_PDEATHSIG = 1  # Of prctl.
SECONDS_TO_END = 60  # Training saves a checkpoint first.


def run(
  command: Sequence[str],
  log: pathlib.Path | None,
  stream: TextIO | None,
  stopped: threading.Event | None = None,
  forked: bool = False,
) -> int:
  """Runs a command to its end and returns its exit code, negative for a signal.

  The command runs in its own process group, so that Ctrl-C reaches only this process, which then sends SIGTERM, and
  SIGKILL if the command still runs after a minute or at a second Ctrl-C.

  Args:
    command: the words of the command line.
    log: file for the output of the command; None leaves it on the terminal.
    stream: where elapsed seconds are shown, if it is a terminal, while the output goes to `log`; None: nowhere.
    stopped: set by the main thread to end the command like Ctrl-C, which does not reach other threads.
    forked: whether the command, which must be Python's with a script, runs in a `fork.Fork`, which starts sooner.

  Raises:
    OSError: the command cannot be started.
    KeyboardInterrupt: after the command has ended.
  """
  with _output(log) as output:
    process = _start(command, log, output, forked)
    try:
      return _wait(process, stream if log and stream and stream.isatty() else None, stopped)
    except KeyboardInterrupt:
      _end(process)
      raise


def _start(
  command: Sequence[str], log: pathlib.Path | None, output: TextIO | None, forked: bool
) -> subprocess.Popen | fork.Fork:
  if forked:
    with contextlib.suppress(OSError):  # There is no place for the server's socket: a long TMPDIR, a full disk.
      return fork.Fork(command[1:], log)
  environment = {**os.environ, **fork.ENVIRONMENT}
  return subprocess.Popen(
    command, stdout=output, stderr=output, env=environment, process_group=0, preexec_fn=_end_with_parent()
  )


def _end_with_parent() -> Callable[[], object] | None:
  """Returns what has a new process killed when this one dies: the next chain would write the same files meanwhile."""
  if sys.platform != 'linux':
    return None
  return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(process: subprocess.Popen | fork.Fork, stream: TextIO | None, stopped: threading.Event | None) -> int:
  started = time.monotonic()
  while True:
    try:
      return process.wait(timeout=1)
    except subprocess.TimeoutExpired:
      if stopped and stopped.is_set():
        raise KeyboardInterrupt from None
      if stream:
        stream.write(f'\r      {time.monotonic() - started:.0f} s\r')
        stream.flush()


def _end(process: subprocess.Popen | fork.Fork) -> None:
  """Stops the command and all processes it started: first by SIGTERM, then by SIGKILL."""
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, signal.SIGTERM)
    try:
      process.wait(SECONDS_TO_END)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
      os.killpg(process.pid, signal.SIGKILL)
      process.wait()


@contextlib.contextmanager
def _output(log: pathlib.Path | None) -> Iterator[TextIO | None]:
  if log is None:
    yield None
    return
  log.parent.mkdir(parents=True, exist_ok=True)
  with open(log, 'wb') as file:
    yield file
