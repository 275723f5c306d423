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

"""Runs Python scripts in forks of one process that has imported TensorFlow, which each would take seconds to do.

That process, the fork server of `multiprocessing`, runs no operation of TensorFlow: a fork has none of its threads.
Each fork imports the main module of the program that asks for it, which must not define flags on import: they would
meet those of the script.
"""

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

# Python's warnings would hide what the commands print. Two may run at once, and TensorFlow would give the first one the
# whole memory of a GPU.
ENVIRONMENT = {'PYTHONWARNINGS': 'ignore', 'TF_FORCE_GPU_ALLOW_GROWTH': 'true'}

# What the scripts import once their flags are read.
PRELOAD = [
  'nasfpn_tf.training.trainer',
  'nasfpn_tf.training.registry_imports',
  'nasfpn_tf.export.saved_model',
  'nasfpn_tf.export.tflite',
  'nasfpn_tf.predict',
]


def start_server() -> None:
  """Starts the process that is forked, unless it runs, and returns before it has imported TensorFlow."""
  multiprocessing.set_forkserver_preload(PRELOAD)
  with _environment():
    multiprocessing.forkserver.ensure_running()


class Fork:
  """A running script, with the part of the interface of `subprocess.Popen` that a chain needs.

  Attributes:
    pid: of the process; the script leads a process group of this number.
  """

  def __init__(self, arguments: Sequence[str], log: pathlib.Path | None):
    """Starts a script.

    Args:
      arguments: the script and its flags.
      log: where its output goes; None: where that of this process goes.
    """
    start_server()
    context = multiprocessing.get_context('forkserver')
    ready, is_ready = context.Pipe(duplex=False)
    self._process = context.Process(target=_run, args=(list(arguments), log, is_ready))
    self._process.start()
    self.pid = self._process.pid
    is_ready.close()
    with ready, contextlib.suppress(EOFError):
      ready.recv()  # Before that, a signal would not reach the script's process group.

  def wait(self, timeout: float | None = None) -> int:
    """Waits for the end and returns the exit code, negative for a signal.

    Raises:
      subprocess.TimeoutExpired: it still runs after `timeout` seconds.
    """
    self._process.join(timeout)
    if self._process.exitcode is None:
      raise subprocess.TimeoutExpired(self._process.name, timeout)
    return self._process.exitcode


def _run(arguments: list[str], log: pathlib.Path | None, is_ready) -> None:
  os.setpgid(0, 0)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  is_ready.send(True)
  is_ready.close()
  if log:
    file = os.open(log, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
  sys.argv = arguments
  runpy.run_path(arguments[0], run_name='__main__')


def _end_with_parent() -> None:
  """Ends the script if the chain is killed: the next one would write the same files while it still does."""
  multiprocessing.parent_process().join()
  os.killpg(0, signal.SIGKILL)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
  """Has `ENVIRONMENT` in that of this process, which the server inherits."""
  before = {name: os.environ.get(name) for name in ENVIRONMENT}
  os.environ.update(ENVIRONMENT)
  try:
    yield
  finally:
    for name, value in before.items():
      if value is None:
        del os.environ[name]
      else:
        os.environ[name] = value
