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

"""Runs the scripts as a user does, each in a process of its own, without loading TensorFlow again for each.

A server process imports TensorFlow and this package once and runs no operation; every command is a fork of it. What a
command does before TensorFlow is there, and what its import writes, is shown by tests that start a new interpreter.
"""

import importlib
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from unittest import mock

from nasfpn_tf.chain import fork
from tests import testing


def start_server() -> None:
  """Starts the server, before a test with a pool of processes starts one for this process that lacks TensorFlow."""
  with mock.patch.dict(os.environ):
    os.environ.pop('TF_CPP_MIN_LOG_LEVEL', None)  # The package chooses it, as for a user.
    fork.start_server()


def run(
  script: str, *arguments: object, cwd: pathlib.Path | None = None, timeout: float = 900, **environment: str
) -> subprocess.CompletedProcess:
  """Runs scripts/`script` to its end and returns its exit code and what it wrote, as `subprocess.run` does.

  Args:
    script: file name in scripts/, or the path of another one.
    *arguments: of the command.
    cwd: working directory; the one of the tests if None.
    timeout: seconds after which the command is killed and `subprocess.TimeoutExpired` raised.
    **environment: variables on top of those of the tests.
  """
  context = multiprocessing.get_context('forkserver')
  command = [str(testing.repo_root() / 'scripts' / script), *map(str, arguments)]
  with tempfile.TemporaryDirectory() as directory:
    streams = [pathlib.Path(directory, name) for name in ('stdout', 'stderr')]
    for stream in streams:
      stream.touch()
    process = context.Process(target=_run, args=(command, streams, cwd or pathlib.Path.cwd(), environment))
    process.start()
    process.join(timeout)
    if process.is_alive():
      process.kill()
      process.join()
      raise subprocess.TimeoutExpired(command, timeout)
    return subprocess.CompletedProcess(command, process.exitcode, *(stream.read_text() for stream in streams))


def _run(command: list[str], streams: list[pathlib.Path], cwd: pathlib.Path, environment: Mapping[str, str]) -> None:
  for descriptor, stream in enumerate(streams, start=1):
    os.dup2(os.open(stream, os.O_WRONLY), descriptor)
  importlib.import_module('tests.modeling.backbones.tiny')  # Many tests train with it.
  os.chdir(cwd)
  os.environ.update(environment)
  sys.argv = command
  runpy.run_path(command[0], run_name='__main__')
