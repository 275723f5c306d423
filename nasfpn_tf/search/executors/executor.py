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

"""Defines the interface of executors: the jobs that the loop submits, and their outcomes."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from nasfpn_tf.search.trial import Measurement, Trial

PREEMPTED_EXIT_CODE = 42  # As the trainer's: taken away, not failed.
LOG = 'log.txt'  # In a trial's directory: what its worker says.


@dataclasses.dataclass(frozen=True)
class Job:
  """A trial to evaluate.

  Attributes:
    attempt: comes back with the outcome.
    trial: what to evaluate.
    work_dir: the trial's directory; made where it is evaluated.
  """

  attempt: int
  trial: Trial
  work_dir: str


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Outcome of a job; exactly one of the four is set.

  Attributes:
    attempt: of the job.
    measurement: what was found, failures included.
    preempted: the worker was taken away; try again.
    lost: the worker died; why, as far as one can tell. Try again, but not forever.
    unusable: why no trial of this search can be evaluated, e.g. the data is missing. The search stops.
  """

  attempt: int
  measurement: Measurement | None = None
  preempted: bool = False
  lost: str = ''
  unusable: str = ''


class Executor(Protocol):
  """Runs jobs in other processes, up to `num_workers` at a time."""

  num_workers: int

  def submit(self, job: Job) -> None:
    """Starts a job; there are fewer than `num_workers` running."""

  def wait(self, seconds: float) -> list[Outcome]:
    """Returns the jobs that have ended; waits up to `seconds` for the first."""

  def close(self, grace_seconds: float) -> Sequence[Outcome]:
    """Asks running jobs to save their work, ends them after `grace_seconds`, and frees everything."""
