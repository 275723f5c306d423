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

"""Controls a worker process: submits a job, reads its outcome, notices when the process has died."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.executor import LOG, PREEMPTED_EXIT_CODE, Job, Outcome
from nasfpn_tf.search.problems import explained
from nasfpn_tf.search.trial import Measurement

_ROOT = pathlib.Path(__file__).resolve().parents[3]  # What holds nasfpn_tf.
_WORKER = 'nasfpn_tf.search.executors.worker'


class WorkerProcess:
  """A process that evaluates one job at a time, with everything that it starts in a process group of its own.

  Args:
    setup: of the evaluator.
    log_path: where goes what the process says between jobs, e.g. why it could not start.
    environment: variables to set.
  """

  def __init__(self, setup: Setup, log_path: str, environment: Mapping[str, str] | None = None):
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get('PYTHONPATH')]))
    self._results, results = os.pipe()
    os.set_blocking(self._results, False)
    self.job: Job | None = None
    self.num_jobs = 0
    self.started = 0.0
    self._text = b''
    with explained(log_path):
      os.makedirs(os.path.dirname(log_path), exist_ok=True)
      log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
      self._process = subprocess.Popen(
        [sys.executable, '-m', _WORKER, str(results)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=[results],
        env={**os.environ, 'PYTHONPATH': path, **(environment or {})},
        start_new_session=True,
      )
    finally:
      os.close(results)
      os.close(log)
    self._send(dataclasses.asdict(setup))

  def fileno(self) -> int:
    """Becomes readable when there is something to `receive`."""
    return self._results

  @property
  def pid(self) -> int:
    """Id of the process and of its group."""
    return self._process.pid

  def submit(self, job: Job) -> None:
    """Hands in a job; the last one has ended."""
    self.job, self.started = job, time.monotonic()
    self.num_jobs += 1
    self._send({'trial': job.trial.to_json(), 'work_dir': job.work_dir})

  def receive(self) -> Outcome | None:
    """Returns how the job ended, if it has; afterwards `is_alive` tells whether the process can take another."""
    try:
      read = os.read(self._results, 1 << 16)
    except BlockingIOError:  # Nothing new; something that the process has started may keep the pipe open.
      if self.is_alive:
        return None
      read = b''
    self._text += read
    if read and not self._text.endswith(b'\n'):
      return None
    job, self.job = self.job, None
    if read:
      outcome, self._text = json.loads(self._text), b''
      if 'unusable' in outcome:
        return Outcome(job.attempt, unusable=outcome['unusable'])
      return Outcome(job.attempt, Measurement.from_json(outcome['measurement']))
    with contextlib.suppress(subprocess.TimeoutExpired):  # The system closes the pipe a moment before the end.
      self._process.wait(1.0)
    self.kill()
    if job is None:
      return None
    if self._process.returncode == PREEMPTED_EXIT_CODE:
      return Outcome(job.attempt, preempted=True)
    return Outcome(job.attempt, lost=_cause(self._process.returncode, os.path.join(job.work_dir, LOG)))

  @property
  def is_alive(self) -> bool:
    """Whether the process has not ended."""
    return self._process.poll() is None

  def terminate(self) -> None:
    """Asks the process to save its work and end."""
    if self.is_alive:
      self._process.terminate()

  def leave(self) -> None:
    """Lets an idle process end in its own time."""
    with contextlib.suppress(OSError):
      self._process.stdin.close()

  def kill(self) -> None:
    """Ends the process, and everything that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
      os.killpg(self._process.pid, signal.SIGKILL)
    self._process.wait()

  def close(self) -> None:
    """Kills the process and frees its pipes."""
    self.kill()
    self.leave()
    os.close(self._results)

  def _send(self, message: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # It is gone; `receive` will say so.
      self._process.stdin.write(json.dumps(message).encode() + b'\n')
      self._process.stdin.flush()


def _cause(code: int, log: str) -> str:
  """Explains why a working process ended."""
  if code == -signal.SIGKILL:
    return f'the worker was killed by SIGKILL, possibly because memory ran out; see {log}'
  if code < 0:
    return f'the worker was killed by {signal.Signals(-code).name}; see {log}'
  return f'the worker exited with code {code} during the trial; see {log}'
