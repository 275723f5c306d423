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

"""Runs the training loop: Model Garden's trainer and orbit's controller with additions for detection."""

import contextlib
import dataclasses
import io
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import orbit
import tensorflow as tf
import tf_keras
from official.core import base_trainer
from official.core import config_definitions as cfg

from nasfpn_tf.layers.scheduled_drop import ScheduledDrop
from nasfpn_tf.training import checkpoints, nonfinite, onednn, padding, progress, strategy
from nasfpn_tf.training.task import DetectionTask


class DetectionTrainer(base_trainer.Trainer):
  """Model Garden's trainer that also measures speed, guards the loss, and evaluates over several workers.

  The logs of a loop of steps have, besides the losses and the learning rate, `images_per_second`; time spent on
  checkpoints and evaluations is not in it.
  """

  def __init__(
    self,
    params: cfg.ExperimentConfig,
    task: DetectionTask,
    model: tf_keras.Model,
    optimizer: tf_keras.optimizers.Optimizer,
    train: bool,
    evaluate: bool,
    checkpoint_exporter: checkpoints.BestCheckpoint | None = None,
    eval_progress: progress.EvalProgress | None = None,
    on_eval_batch: Callable[[], None] = lambda: None,
  ):
    """Builds the input and, for training, all of the optimizer's variables; call it in the scope of the strategy.

    `on_eval_batch` is called after each batch of an evaluation.
    """
    if train:
      onednn.check_shortcuts(model)
      build_slots(optimizer, model.trainable_variables)
    super().__init__(
      params, task, model, optimizer, train=train, evaluate=evaluate, checkpoint_exporter=checkpoint_exporter
    )
    follow_step(model, self.global_step)
    self._batch_size = params.task.train_data.global_batch_size
    self._eval_batch_size = params.task.validation_data.global_batch_size
    self._eval_progress = eval_progress
    self._on_eval_batch = on_eval_batch
    self._is_multi_worker = strategy.is_multi_worker(self.strategy)
    self._loop_started = (0.0, 0)
    if train:
      self._guard = nonfinite.NonFiniteGuard(
        self.strategy,
        self._batch_size // self.strategy.num_replicas_in_sync,
        nonfinite.LIMIT * max(1.0, params.task.losses.loss_weight),
      )
      self._replica_step = self.task.train_step
      if params.runtime.enable_xla:
        self._replica_step = tf.function(self.task.train_step, jit_compile=True)

  def train_loop_begin(self) -> None:
    """Starts the clock of one loop."""
    self._loop_started = (time.monotonic(), int(self.global_step.numpy()))

  def train_step(self, iterator) -> None:
    """Runs one step in every replica."""

    def step_fn(inputs):
      logs = self._replica_step(inputs, model=self.model, optimizer=self.optimizer, metrics=self.train_metrics)
      loss = logs[self.task.loss]
      self._train_loss.update_state(loss)
      self._guard.observe(loss, inputs[1]['source_id'], self.global_step + 1)
      self.global_step.assign_add(1)

    self.strategy.run(step_fn, args=(next(iterator),), options=self._runtime_options)

  def train_loop_end(self) -> dict[str, Any]:
    """Returns losses, learning rate and speed of the loop.

    Raises:
      nonfinite.NonFiniteLossError: a step of the loop had a loss that is no number, or huge.
    """
    logs = super().train_loop_end()
    started, first_step = self._loop_started
    step = int(self.global_step.numpy())
    self._guard.check(float(logs['training_loss']))
    logs['images_per_second'] = (step - first_step) * self._batch_size / max(time.monotonic() - started, 1e-9)
    return logs

  def eval_begin(self) -> None:
    """Resets the metrics and swaps in the averaged weights, if there are any."""
    if self._eval_progress:
      self._eval_progress.start()
    super().eval_begin()

  def eval_step(self, iterator) -> dict[str, Any]:
    """Runs one step in every replica; returns the task's outputs of all workers, one tensor per replica."""

    def step_fn(inputs):
      if self.strategy.num_replicas_in_sync > 1:
        # At the end of the data a replica may get fewer images than the others, or none.
        inputs = padding.fill_batch(*inputs, self._eval_batch_size // self.strategy.num_replicas_in_sync)
      logs = self.task.validation_step(inputs, model=self.model, metrics=self.validation_metrics)
      self._validation_loss.update_state(logs.pop(self.task.loss), sample_weight=padding.num_images(inputs[1]))
      return logs

    logs = self.strategy.run(step_fn, args=(next(iterator),))
    if self._is_multi_worker:
      return tf.nest.map_structure(lambda value: (self.strategy.gather(value, axis=0),), logs)
    return tf.nest.map_structure(self.strategy.experimental_local_results, logs)

  def eval_reduce(self, state: Any = None, step_outputs: dict[str, Any] | None = None) -> Any:
    """Hands the detections of one step to the task."""
    if self._eval_progress:
      ids = np.concatenate([np.asarray(replica) for replica in step_outputs['detections']['source_ids']])
      self._eval_progress.update(np.count_nonzero(ids != padding.FILLER_ID))
    self._on_eval_batch()
    return super().eval_reduce(state, step_outputs)


@dataclasses.dataclass(frozen=True)
class Rungs:
  """Steps, besides those of the validation interval, at which a training is evaluated and may end early.

  Attributes:
    steps: the steps.
    goes_on: called with one of them and the metrics there; training ends if it returns False.
  """

  steps: Sequence[int] = ()
  goes_on: Callable[[int, dict[str, Any]], bool] = lambda step, metrics: True


class Controller(orbit.Controller):
  """Orbit's outer loop without its output (the progress actions report), and with verified checkpoints.

  Every worker restores the chief's checkpoint, a half-written checkpoint is passed over, and a checkpoint is saved
  before each evaluation, so that the result belongs to one.
  """

  def __init__(self, *, checkpoint_directory: str, initial_checkpoint: str | None = None, **kwargs):
    """Restores `initial_checkpoint`, or the newest whole checkpoint of `checkpoint_directory`, or initializes."""
    self._checkpoint_directory = checkpoint_directory
    self._initial_checkpoint = initial_checkpoint
    with _silence():
      super().__init__(**kwargs)

  def restore_checkpoint(self, checkpoint_path: str | None = None) -> str | None:
    """Restores `checkpoint_path`, by default the one to start from; returns the path, None if there is none.

    Raises:
      ValueError: the checkpoint does not fit the model.
    """
    path = checkpoint_path or self._initial_checkpoint or checkpoints.newest_intact(self._checkpoint_directory)
    manager = self.checkpoint_manager
    with self.strategy.scope():
      if path is None:
        return manager.restore_or_initialize()
      try:
        with configured_rates(self.trainer.optimizer if self.trainer else None):
          status = manager.checkpoint.restore(path)
        status.assert_existing_objects_matched()
        if self.trainer is None:
          status.expect_partial()  # The optimizer's variables are left in the file.
      except (ValueError, AssertionError, tf.errors.OpError) as error:
        raise ValueError(
          f'The checkpoint {path} is of another architecture or optimizer: {_first_line(error)}'
        ) from error
    return path

  def train(self, steps: int, checkpoint_at_completion: bool = True) -> None:
    """Trains up to step `steps`."""
    with _silence():
      super().train(steps, checkpoint_at_completion)

  def train_and_evaluate(
    self,
    train_steps: int,
    eval_steps: int = -1,
    eval_interval: int | None = None,
    is_evaluated: Callable[[int], bool] = lambda step: True,
    rungs: Rungs = Rungs(),
  ) -> dict[str, Any] | None:
    """Trains up to step `train_steps` and evaluates at each multiple of `eval_interval`, each rung and at the end.

    A run that was stopped evaluates at the same steps as one in one go.

    Args:
      train_steps: last step.
      eval_steps: batches of an evaluation, -1 for all.
      eval_interval: steps between two evaluations.
      is_evaluated: whether a step that the run starts at has been evaluated by the run before.
      rungs: further steps to evaluate at, also if the run starts at one: the run before may have ended before it was
        decided there.

    Returns:
      The last evaluation's results; None where there was nothing to do.
    """
    eval_interval = eval_interval or train_steps
    output, step = None, int(self.global_step.numpy())
    if 0 < step < train_steps and (step in rungs.steps or (step % eval_interval == 0 and not is_evaluated(step))):
      output = self.evaluate(eval_steps)
    while step < train_steps and not (output and step in rungs.steps and not rungs.goes_on(step, output)):
      ahead = [rung for rung in rungs.steps if rung > step]
      self.train(min(train_steps, (step // eval_interval + 1) * eval_interval, *ahead), checkpoint_at_completion=False)
      output = self.evaluate(eval_steps)
      step = int(self.global_step.numpy())
    return output

  def evaluate(self, steps: int = -1) -> dict[str, Any]:
    """Evaluates `steps` batches, -1 for all; saves a checkpoint first where training goes on."""
    with _silence():
      if self.trainer is not None:
        self.save_checkpoint()
      return super().evaluate(steps)


def follow_step(model: tf_keras.Model, step: tf.Variable) -> None:
  """Makes `step` drive the schedules of the layers that have one: DropBlock and drop path."""
  for module in model.submodules:
    if isinstance(module, ScheduledDrop):
      module.follow_step(step)


@contextlib.contextmanager
def configured_rates(optimizer: Any) -> Iterator[None]:
  """Keeps a constant learning rate, and the momentum, as configured while a checkpoint is restored, which has its own.

  Without it a run that goes on with a lower rate would silently keep the one before.
  """
  inner = _real_optimizer(optimizer)
  rates = [*getattr(inner, '_hyper', {}).values(), getattr(inner, '_learning_rate', None)]
  before = [(rate, rate.numpy()) for rate in rates if hasattr(rate, 'assign')]
  yield
  for rate, value in before:
    rate.assign(value)


def _real_optimizer(optimizer: Any) -> Any:
  inner = getattr(optimizer, 'inner_optimizer', optimizer)
  return getattr(inner, '_optimizer', inner)  # Model Garden's moving average keeps the real one inside.


def build_slots(optimizer: Any, variables: list[tf.Variable]) -> None:
  """Creates the optimizer's variables now, so that a checkpoint restores into all of them at once."""
  inner = _real_optimizer(optimizer)
  if isinstance(inner, tf_keras.optimizers.legacy.Optimizer):
    inner._create_all_weights(variables)
  else:
    inner.build(variables)


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines()
  return lines[0] if lines else repr(error)


def _silence():
  return contextlib.redirect_stdout(io.StringIO())
