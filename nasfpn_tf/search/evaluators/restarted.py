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

"""Trains each child alone, from the same initial weights, in one detector whose pyramid is exchanged.

What `proxy` does with `rebuild: false`: the same training without building and tracing the detector of every child,
which for a training of a minute takes longer than the training.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from nasfpn_tf import topology
from nasfpn_tf.search.evaluators import resident
from nasfpn_tf.search.evaluators.child import ChildConfig
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.training import preemption

_MAX_KEPT_BYTES = 2**30  # Of batches, which every child sees; more are read again.


def average_precision(child: ChildConfig, space: SearchSpace | None, architecture: Mapping[str, Any]) -> float:
  """Trains and evaluates a child, in the detector that the first child of this process creates.

  Args:
    child: the training.
    space: of pyramids.
    architecture: a pyramid of it, as JSON.

  Raises:
    SearchError: no child can be trained.
    ValueError: the loss or the detections of this child became infinite or NaN.
    SystemExit: code 42, after a termination signal.
  """
  spec = space.read(dict(architecture)) if space is not None else None
  if not isinstance(spec, topology.PyramidSpec):
    raise SearchError('evaluator: rebuild: false supports spaces of pyramids; remove it.')
  key = ('restarted', json.dumps(dataclasses.asdict(child), sort_keys=True), space.digest)
  return resident.get(key, lambda: RestartedDetector(child, spec)).train_and_evaluate(spec)


class RestartedDetector(resident.ResidentDetector):
  """A detector that begins each training with the same weights."""

  def __init__(self, child: ChildConfig, spec: topology.PyramidSpec):
    """Builds it; see `ResidentDetector`."""
    super().__init__(child, spec, near_identity=False, kind='exchange its pyramid (rebuild: false)')
    self._kept: list[Any] = []  # The batches of a training.
    self._initial = [(variable, variable.numpy()) for variable in self.variables]

  @property
  def variables(self) -> list[tf.Variable]:
    """All that training changes: the detector's, whichever pyramid it has, and the optimizer's."""
    of_optimizer = self._optimizer.variables
    return [*self._bank.variables, *(of_optimizer() if callable(of_optimizer) else of_optimizer)]

  def restart(self) -> None:
    """Sets all variables and random numbers to what they were when the detector was built."""
    for variable, value in self._initial:
      variable.assign(value)
    tf_keras.utils.set_random_seed(self.params.task.train_data.seed)

  def train_and_evaluate(self, spec: topology.PyramidSpec) -> float:
    """Trains a child from the initial weights, `trainer.train_steps` of the experiment, and returns its AP."""
    self.restart()
    self._choose(spec)
    trainer = self.params.trainer
    train_step = self.traced(self._task.train_step)
    batches = self.train_batches()
    with preemption.Preemption() as stop:
      while self.step < trainer.train_steps:
        logs = train_step(next(batches), self._bank.detector, self._optimizer)
        if self.step % trainer.steps_per_loop == 0 or self.step == trainer.train_steps:
          loss = float(logs[self._task.loss])
          if not np.isfinite(loss):
            raise ValueError(f'the loss became {loss} before step {self.step}')
          stop.exit_if_told(lambda: None)
    return self.measure_ap(spec)

  def train_batches(self) -> Iterator[Any]:
    """Gives the same batches to every child: read once if they all fit into `_MAX_KEPT_BYTES`."""
    if self._kept:
      yield from self._kept
      return
    read, size = [], 0
    for batch in self._new_task(0).build_inputs(self.params.task.train_data):
      size += sum(tensor.dtype.size * tensor.shape.num_elements() for tensor in tf.nest.flatten(batch))
      read = [*read, batch] if size <= _MAX_KEPT_BYTES else []
      if len(read) == self.params.trainer.train_steps:
        self._kept = read
      yield batch
