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

"""Evaluates by weight sharing, for searches on one machine: children inherit their weights instead of being trained.

All children share one bank of weights (`bank.Bank`). Training it, one child drawn uniformly from the space for each
step, alternates with evaluating the proposed children as they come. A child then costs a few steps and one evaluation
instead of a training; how far its reward agrees with that of a child trained alone is for
benchmarks/search_agreement.py to say. This is ours; the paper trains every child (`proxy`).
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nasfpn_tf import failure, topology
from nasfpn_tf.search.evaluators import child as child_lib
from nasfpn_tf.search.evaluators import resident
from nasfpn_tf.search.evaluators.child import ChildConfig
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Measurement, Trial
from nasfpn_tf.training import checkpoints, preemption

BANK_DIR = 'shared_weights'


@dataclasses.dataclass(frozen=True)
class SharingConfig:
  """The keys that this evaluator has besides those of `ChildConfig`.

  Attributes:
    warm_up_steps: training of the bank before the first child is evaluated.
    steps_per_trial: training between two children; with 0 all are judged with the same weights.
    calibration_batches: training batches that a child's batch norm statistics are taken from before it is evaluated.
    bank_dir: where the bank is kept; the directory `shared_weights` of the search by default.
  """

  warm_up_steps: int = 1000
  steps_per_trial: int = 10
  calibration_batches: int = 8
  bank_dir: str = ''

  def __post_init__(self):
    child_lib.check_types(self)
    for name, least in (('warm_up_steps', 0), ('steps_per_trial', 0), ('calibration_batches', 1)):
      value = getattr(self, name)
      if value < least:
        raise SearchError(f'evaluator.{name} is {value}, but must be at least {least}.')


def evaluate(trial: Trial, work_dir: str, config: Mapping[str, Any], space: SearchSpace) -> Measurement:
  """Trains the bank up to the step for this trial, then evaluates the trial's child; see `evaluator.Evaluator`.

  Several workers share a bank through its directory: one trains it at a time, from the newest checkpoint.

  Args:
    trial: with the JSON form of a pyramid.
    work_dir: the trial's directory in the search directory.
    config: keys of `ChildConfig` and of `SharingConfig`.
    space: of pyramids; children that train the bank are drawn from it.

  Raises:
    SearchError: no child can be evaluated: a key that does not exist, records that are missing, a bank that diverged.
    SystemExit: code 42, after a termination signal in training; a checkpoint has been saved.
  """
  started = time.monotonic()
  spec = space.read(dict(trial.architecture))
  if not isinstance(spec, topology.PyramidSpec):
    raise SearchError(f'evaluator: shared supports spaces of pyramids, not {space.name!r}; choose proxy.')
  default_dir = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(work_dir))), BANK_DIR)
  weights = _weights(json.dumps({'bank_dir': default_dir, **config}, sort_keys=True), space, spec)
  weights.train(trial.id)
  child = weights.child
  try:
    ap = weights.average_precision(spec)
    cost = child.cost_of(child.experiment_of(trial.architecture))
    return Measurement(child.reward_function()(ap, cost), ap, cost, time.monotonic() - started)
  except SearchError:
    raise
  except Exception as e:
    if not failure.is_expected(e):
      raise
    return child_lib.failure_of(e, time.monotonic() - started, work_dir)


def _weights(config_json: str, space: SearchSpace, spec: topology.PyramidSpec) -> 'SharedWeights':
  """Returns the bank of a configuration, which the first trial of this process creates."""
  return resident.get(
    ('shared', config_json, space.digest), lambda: SharedWeights(json.loads(config_json), space, spec)
  )


class SharedWeights(resident.ResidentDetector):
  """A bank of weights with what trains and evaluates it, on one device."""

  def __init__(self, config: Mapping[str, Any], space: SearchSpace, spec: topology.PyramidSpec):
    """Builds the detector with the first child's pyramid; its levels and its number of cells are those of all.

    Args:
      config: keys of `ChildConfig` and of `SharingConfig`.
      space: what the children that train the bank are drawn from.
      spec: a pyramid of the space.

    Raises:
      SearchError: the configuration cannot be used, or no child meets its target.
    """
    config = _without_ops(config, space)
    names = {field.name for field in dataclasses.fields(SharingConfig)}
    self._config = SharingConfig(**{key: value for key, value in config.items() if key in names})
    child = ChildConfig.read({key: value for key, value in config.items() if key not in names}, space)
    child.check_target(space)
    super().__init__(child, spec, near_identity=True, kind='share weights')
    self._space = space
    self._checkpoint = tf.train.Checkpoint(optimizer=self._optimizer, **self._bank.checkpoint_items())
    # Kept between trials: the step that the next batch is for, and the batches.
    self._batches: tuple[int, Iterator[Any]] = (-1, iter(()))

  def train(self, trial_id: int) -> None:
    """Trains the bank up to the step that this trial needs, unless that has been done.

    Raises:
      SearchError: the loss is no longer a number, or the checkpoint in the bank's directory is of something else.
      SystemExit: code 42, after a termination signal.
    """
    target = self._config.warm_up_steps + self._config.steps_per_trial * (trial_id + 1)
    with self._owned():
      self._restore()
      if self.step < target:
        with preemption.Preemption() as stop:
          self._train_to(target, stop)

  def average_precision(self, spec: topology.PyramidSpec) -> float:
    """Evaluates the AP of a child with the current weights and batch norm statistics of its own.

    Raises:
      ValueError: the child's detections are not finite.
    """
    return self.measure_ap(spec, self._config.calibration_batches)

  def _train_to(self, target: int, stop: preemption.Preemption) -> None:
    trainer = self.params.trainer
    next_step, batches = self._batches
    if next_step != self.step:  # The first time, and after another worker has trained.
      batches = iter(self._new_task(self.step).build_inputs(self.params.task.train_data))
    total, since, started = 0.0, self.step, time.monotonic()
    while self.step < target:
      rng = np.random.default_rng((self.child.seed, self.step))
      self._choose(self._space.decode(self._space.sample(rng)))
      logs = self._task.train_step(next(batches), self._bank.detector, self._optimizer)
      total += logs[self._task.loss]
      if self.step % trainer.steps_per_loop == 0 or self.step == target:
        loss = float(total) / (self.step - since)
        if not np.isfinite(loss):
          raise SearchError(
            f'evaluator: the loss of the shared weights became {loss} before step {self.step}. Lower the learning rate,'
            f' lengthen its warm-up, or clip the gradients, and start with another bank_dir than {self._bank_dir}.'
          )
        speed = (self.step - since) * self.params.task.train_data.global_batch_size / (time.monotonic() - started)
        print(f'shared weights: step {self.step}/{target}  loss {loss:.4f}  {speed:.1f} images/s', flush=True)
        if self.step % trainer.checkpoint_interval == 0:
          self._save()
        stop.exit_if_told(self._save)
        total, since, started = 0.0, self.step, time.monotonic()
    self._batches = (self.step, batches)
    self._save()

  @property
  def _bank_dir(self) -> str:
    return self._config.bank_dir

  @contextlib.contextmanager
  def _owned(self) -> Iterator[None]:
    """Locks the bank, so that no other process trains it meanwhile."""
    os.makedirs(self._bank_dir, exist_ok=True)
    with open(os.path.join(self._bank_dir, '.lock'), 'w', encoding='utf-8') as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      yield

  def _restore(self) -> None:
    """Takes over what another process, or an earlier one, has trained."""
    path = checkpoints.newest_intact(self._bank_dir)
    if path is None or checkpoints.step_of(path) == self.step:
      return
    try:
      self._checkpoint.read(path).assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as e:
      raise SearchError(f'evaluator: {path} belongs to other weights: give this search another bank_dir.') from e

  def _save(self) -> None:
    """Keeps the weights of this step, and those of the last one until they are written."""
    before = checkpoints.available(self._bank_dir)
    path = os.path.join(self._bank_dir, f'{checkpoints.NAME}-{self.step}')
    if path in before:
      return
    self._checkpoint.write(path)
    for old in before:
      for part in tf.io.gfile.glob(f'{old}.*'):
        tf.io.gfile.remove(part)


def _without_ops(config: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
  """Drops the key `ops`, in which configurations used to repeat the operations of the space.

  Raises:
    SearchError: they are others than the space's.
  """
  config = dict(config)
  said, ops = config.pop('ops', None), list(getattr(space, 'ops', ()))
  if said is not None and (not isinstance(said, list | tuple) or {*map(str, said)} != {*ops}):
    raise SearchError(
      f'evaluator: ops is {said!r}, but the operations of the space {space.name!r} are {ops}: remove evaluator.ops,'
      f' because the space determines them.'
    )
  return config
