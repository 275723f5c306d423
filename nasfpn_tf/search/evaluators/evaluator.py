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

"""Defines the interface of evaluators, and how a search names one."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Measurement, Trial


class Evaluator(Protocol):
  """A function that a configuration names, 'proxy', 'shared' or 'module:function'; runs in a worker process.

  It may keep what is worth keeping (datasets, a graph) in its module between the trials of one worker. An exception
  fails the trial with its message as the reason. `SystemExit(42)` says that the worker is being taken away: the trial
  is evaluated again, in the same directory, and the attempt is not counted.
  """

  def __call__(self, trial: Trial, work_dir: str, config: Mapping[str, Any], space: SearchSpace) -> Measurement:
    """Evaluates a trial.

    Args:
      trial: what to evaluate.
      work_dir: a directory of this trial's own, which survives a preemption: checkpoints go here.
      config: the evaluator's part of the search configuration, as it is there; paths are relative to the current
        directory. `config['seed']` is the search's seed unless it has one of its own.
      space: what the trial was drawn from. A function without a parameter of this name is called without it.
    """


@dataclasses.dataclass(frozen=True)
class Setup:
  """The evaluator of a search with its arguments for every trial, in values that are sent to a worker as JSON.

  Attributes:
    evaluator: 'proxy', 'shared' or 'module:function'.
    config: the evaluator's part of the search configuration.
    space: the search space's part of it.
  """

  evaluator: str
  config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  space: Mapping[str, Any] = dataclasses.field(default_factory=dict)
