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

"""Evaluates trials in processes on this machine; no setup is needed."""

import selectors
import time
from collections.abc import Mapping, Sequence

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.executor import LOG, Job, Outcome
from nasfpn_tf.search.executors.process import WorkerProcess
from nasfpn_tf.search.trial import Measurement


class LocalExecutor:
  """A pool of worker processes, started when they are needed.

  Args:
    setup: of the evaluator.
    num_workers: how many processes.
    trials_per_process: after so many trials a process is replaced by a new one, which frees whatever it has gathered;
      0 keeps it.
    timeout_seconds: a trial that takes longer has failed; unset: it may take any time.
    environments: variables for each worker in turn, e.g. `[{'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES':
      '1'}]`.
  """

  def __init__(
    self,
    setup: Setup,
    num_workers: int = 1,
    trials_per_process: int = 0,
    timeout_seconds: float | None = None,
    environments: Sequence[Mapping[str, str]] = (),
  ):
    self.num_workers = num_workers
    self._setup = setup
    self._trials_per_process, self._timeout = trials_per_process, timeout_seconds
    self._environments = [dict(environment) for environment in environments] or [{}]
    self._workers: dict[int, WorkerProcess] = {}  # By place, which decides the environment.
    self._leaving: list[tuple[float, WorkerProcess]] = []
    self._selector = selectors.DefaultSelector()

  def submit(self, job: Job) -> None:
    """Gives the job to an idle process, or to a new one."""
    for place in range(self.num_workers):
      process = self._workers.get(place)
      if process is None:
        environment = self._environments[place % len(self._environments)]
        log = f'{job.work_dir}/{LOG}'
        process = self._workers[place] = WorkerProcess(self._setup, log, environment)
        self._selector.register(process, selectors.EVENT_READ, place)
      if process.job is None:
        process.submit(job)
        return
    raise RuntimeError(f'All {self.num_workers} workers are busy.')

  def wait(self, seconds: float) -> list[Outcome]:
    """See `executor.Executor`."""
    outcomes = []
    ready = {key.data for key, _ in self._selector.select(self._patience(seconds))}
    for place, process in list(self._workers.items()):
      outcome = process.receive() if place in ready or not process.is_alive else None
      if outcome is not None:
        outcomes.append(outcome)
      if not process.is_alive:
        self._drop(place).close()
      elif process.job is None and process.num_jobs == self._trials_per_process:
        self._let_go(place)
    outcomes += self._overdue()
    self._reap()
    return outcomes

  def close(self, grace_seconds: float) -> list[Outcome]:
    """See `executor.Executor`; jobs that did not end in time count as preempted."""
    deadline, outcomes = time.monotonic() + grace_seconds, []
    for process in self._busy():
      process.terminate()
    while time.monotonic() < deadline:
      for place in [place for place, process in self._workers.items() if process.job is None]:
        self._let_go(place)
      if not self._workers and not self._leaving:
        break
      outcomes += self.wait(0.05)
    for place, process in list(self._workers.items()):
      if process.job is not None:  # Without a grace nobody has let the idle ones go.
        outcomes.append(Outcome(process.job.attempt, preempted=True))
      self._drop(place).close()
    self._reap(patience_seconds=0.0)
    self._selector.close()
    return outcomes

  def _busy(self) -> list[WorkerProcess]:
    return [process for process in self._workers.values() if process.job is not None]

  def _patience(self, seconds: float) -> float:
    """Returns `seconds`, or the time until the next trial is overdue."""
    if self._timeout is None:
      return seconds
    now = time.monotonic()
    return max(0.0, min([seconds, *(process.started + self._timeout - now for process in self._busy())]))

  def _overdue(self) -> list[Outcome]:
    outcomes, now = [], time.monotonic()
    for place, process in list(self._workers.items()):
      if self._timeout is not None and process.job is not None and now - process.started >= self._timeout:
        measurement = Measurement.failure(f'took longer than {self._timeout:g} seconds', now - process.started)
        outcomes.append(Outcome(process.job.attempt, measurement))
        self._drop(place).close()
    return outcomes

  def _reap(self, patience_seconds: float = 60.0) -> None:
    """Frees processes that have left, and those that take too long to."""
    staying = []
    for since, process in self._leaving:
      if process.is_alive and time.monotonic() - since < patience_seconds:
        staying.append((since, process))
      else:
        process.close()
    self._leaving = staying

  def _let_go(self, place: int) -> None:
    process = self._drop(place)
    process.leave()
    self._leaving.append((time.monotonic(), process))

  def _drop(self, place: int) -> WorkerProcess:
    process = self._workers.pop(place)
    self._selector.unregister(process)
    return process
