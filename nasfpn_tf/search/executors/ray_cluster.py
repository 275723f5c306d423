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

"""Evaluates trials on a Ray cluster, for more than one machine. Ray is the extra `[ray]` of this package.

A job is a Ray task that looks after one worker process on its node. The loop, not Ray, decides what is tried again, so
that each attempt is in the store. Work directories have to be on a file system that all nodes see.
"""

import dataclasses
import os
import time
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.executor import LOG, Job, Outcome
from nasfpn_tf.search.executors.process import WorkerProcess
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Measurement, Trial

try:
  import ray
except ImportError:
  ray = None


class RayExecutor:
  """Runs each job as a Ray task, wherever the cluster has room for it.

  Args:
    setup: of the evaluator.
    num_workers: how many jobs are handed to Ray at a time; those it has no room for wait there.
    address: of the cluster; 'local' starts one on this machine that ends with the search, 'auto' finds a running one.
    num_cpus: CPUs that a job takes.
    num_gpus: GPUs that a job takes.
    resources: other resources that a job takes, e.g. {'TPU': 4}.
    timeout_seconds: a trial that takes longer has failed; unset: it may take any time.

  Raises:
    SearchError: Ray is not installed, or there is no cluster at that address.
  """

  def __init__(
    self,
    setup: Setup,
    num_workers: int = 1,
    address: str = 'local',
    num_cpus: float = 1,
    num_gpus: float = 0,
    resources: Mapping[str, float] | None = None,
    timeout_seconds: float | None = None,
  ):
    if ray is None:
      raise SearchError("executor ray: Ray is not installed; pip install 'nasfpn_tf[ray]', or choose executor local.")
    self.num_workers = num_workers
    self._setup, self._timeout = setup, timeout_seconds
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    # On a busy machine Ray's agents take longer to start than Ray waits by itself.
    os.environ.setdefault('RAY_agent_register_timeout_ms', '300000')
    os.environ.setdefault('RAY_raylet_start_wait_time_s', '300')
    try:
      ray.init(address=address, log_to_driver=False, configure_logging=False, include_dashboard=False)
    except Exception as e:  # Ray raises plain ones, too.
      raise SearchError(f'executor ray: Ray does not start or respond at {address!r}: {e}') from e
    options = {'num_cpus': num_cpus, 'num_gpus': num_gpus, 'resources': dict(resources or {})}
    self._task = ray.remote(_supervise).options(max_retries=0, **options)
    self._jobs: dict[Any, Job] = {}  # By the reference of the task.

  def submit(self, job: Job) -> None:
    """Hands the job to Ray."""
    environment = {'PYTHONPATH': os.environ.get('PYTHONPATH', '')}
    task = self._task.remote(
      dataclasses.asdict(self._setup), job.trial.to_json(), job.work_dir, os.getcwd(), environment, self._timeout
    )
    self._jobs[task] = job

  def wait(self, seconds: float) -> list[Outcome]:
    """See `executor.Executor`."""
    if not self._jobs:
      time.sleep(seconds)
      return []
    ready, _ = ray.wait(list(self._jobs), num_returns=len(self._jobs), timeout=0)
    if not ready:
      ready, _ = ray.wait(list(self._jobs), num_returns=1, timeout=seconds)
    return [self._outcome(task) for task in ready]

  def close(self, grace_seconds: float) -> list[Outcome]:
    """See `executor.Executor`."""
    for task in self._jobs:
      ray.cancel(task, force=False)  # Raises KeyboardInterrupt in the task, which asks its worker to save.
    outcomes, deadline = [], time.monotonic() + grace_seconds
    while self._jobs and time.monotonic() < deadline:
      outcomes += self.wait(0.5)
    outcomes += [Outcome(job.attempt, preempted=True) for job in self._jobs.values()]
    self._jobs = {}
    ray.shutdown()
    return outcomes

  def _outcome(self, task: Any) -> Outcome:
    job = self._jobs.pop(task)
    try:
      found = ray.get(task)
    except (ray.exceptions.TaskCancelledError, ray.exceptions.NodeDiedError):
      return Outcome(job.attempt, preempted=True)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as e:
      return Outcome(job.attempt, lost=f'{type(e).__name__} in Ray: {_first_line(e)}')
    except ray.exceptions.RayTaskError as e:
      if isinstance(e.cause, KeyboardInterrupt):
        return Outcome(job.attempt, preempted=True)
      return Outcome(job.attempt, lost=f'the Ray task failed: {_first_line(e.cause)}')
    except ray.exceptions.RayError:  # Its node or its result is gone.
      return Outcome(job.attempt, preempted=True)
    if isinstance(found.get('measurement'), str):
      found['measurement'] = Measurement.from_json(found['measurement'])
    return dataclasses.replace(Outcome(**found), attempt=job.attempt)


def _supervise(
  setup: Mapping[str, Any],
  trial: str,
  work_dir: str,
  directory: str,
  environment: Mapping[str, str],
  timeout_seconds: float | None,
) -> dict[str, Any]:
  """Looks after one job on the node that Ray has chosen; returns the fields of its outcome as plain values."""
  if os.path.isdir(directory):
    os.chdir(directory)  # Paths in the evaluator's configuration are relative to where the search was started.
  process = WorkerProcess(Setup(**setup), os.path.join(work_dir, LOG), environment)
  start = time.monotonic()
  try:
    process.submit(Job(0, Trial.from_json(trial), work_dir))
    while (outcome := process.receive()) is None:
      taken = time.monotonic() - start
      if timeout_seconds is not None and taken > timeout_seconds:
        outcome = Outcome(0, Measurement.failure(f'took longer than {timeout_seconds:g} seconds', taken))
        break
      time.sleep(0.1)
  except KeyboardInterrupt:
    process.terminate()
    time.sleep(0.1)
    while process.is_alive:
      time.sleep(0.1)
    raise
  finally:
    process.close()
  found = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
  return {**found, 'measurement': outcome.measurement and outcome.measurement.to_json()}


def _first_line(error: BaseException) -> str:
  return str(error).strip().partition('\n')[0][:300]
