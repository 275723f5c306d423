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

"""The two parties of a search that can be exchanged: who proposes, and who evaluates."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nasfpn_tf.search.trial import Measurement, Trial


class Searcher(Protocol):
  """Proposes trials and learns from what came of them.

  The loop stores `state()` together with the news that made it, so a search that is killed at any moment goes on from
  a state that knows each measurement exactly once. For that a searcher is a function of its state: what it proposes
  for trial number i depends on the state, on i and on its seed alone (draw from `numpy.random.default_rng((seed, i))`),
  and observing measurements in two calls comes to the same as in one.
  """

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """Trials number `first_id` to `first_id + count - 1`. Changes no state: asked again, it answers the same."""

  def observe(self, results: Sequence[tuple[Trial, Measurement]]) -> None:
    """Learns from measurements, in this order. Each trial is observed once, failed and reused ones too."""

  def state(self) -> bytes:
    """All that `observe` has changed since construction."""

  def restore(self, state: bytes) -> None:
    """Makes a searcher constructed with the same arguments equal to the one whose `state()` this is, bit for bit."""


class Evaluator(Protocol):
  """A function that a configuration names, 'proxy', 'shared' or 'module:function'; runs in a worker process.

  It may keep what is worth keeping (datasets, a graph) in its module between the trials of one worker. An exception
  fails the trial with its message as the reason. `SystemExit(42)` says that the worker is being taken away: the trial
  is evaluated again, in the same directory, and the attempt is not counted.
  """

  def __call__(self, trial: Trial, work_dir: str, config: Mapping[str, Any]) -> Measurement:
    """Evaluates a trial.

    Args:
      trial: what to evaluate.
      work_dir: a directory of this trial's own, which survives a preemption: checkpoints go here.
      config: the evaluator's part of the search configuration, as it is there; paths are relative to the current
        directory. `config['seed']` is the search's seed unless it has one of its own.
    """
