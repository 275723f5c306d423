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

"""Runs an experiment: trains, evaluates, or both, into a model_dir."""

import contextlib
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import TextIO

import orbit
import tensorflow as tf
import tf_keras
from official.core import base_trainer, train_lib
from official.core import config_definitions as cfg

from nasfpn_tf.artifacts import layout
from nasfpn_tf.modeling import precision, validation
from nasfpn_tf.training import (
  artifacts,
  checkpoints,
  compatibility,
  ema,
  evaluation,
  inputs,
  loop,
  nonfinite,
  optimizer,
  preemption,
  progress,
  recipe,
  registry_imports,  # noqa: F401  (registers task, backbones and decoders)
  run_record,
  run_report,
)
from nasfpn_tf.training import strategy as strategy_lib
from nasfpn_tf.training.task import DetectionTask, starting_checkpoint

MODES = ('train', 'eval', 'train_and_eval', 'continuous_eval')
COCO_METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax1', 'ARmax10', 'ARmax100', 'ARs', 'ARm', 'ARl')

_POLL_SECONDS = 10  # Continuous evaluation looks for a new checkpoint this often.


def run(
  params: cfg.ExperimentConfig,
  mode: str,
  model_dir: str,
  strategy: tf.distribute.Strategy | None = None,
  checkpoint_path: str | None = None,
  stream: TextIO | None = None,
  report: bool = False,
  rungs: loop.Rungs = loop.Rungs(),  # noqa: B008  (frozen)
) -> dict[str, float]:
  """Runs an experiment; a model_dir that holds checkpoints of it is continued.

  Args:
    params: the experiment, e.g. of `exp_factory.get_exp_config('nasfpn_retinanet')`; it is left as it is.
    mode: 'train', 'eval', 'train_and_eval' or 'continuous_eval' (evaluates each checkpoint that another run writes).
    model_dir: gets params.yaml, topology.json, labels.json, ckpt-*, best/, train/ and validation/ (TensorBoard),
      train_history.jsonl, eval_history.jsonl and eval.json.
    strategy: where to run; None: what `params.runtime` and TF_CONFIG say.
    checkpoint_path: evaluation only: a checkpoint, or a directory of them, in place of model_dir's newest.
    stream: where progress is shown; standard error by default.
    report: also keep what tells of the run later: run.json, training_images.jpg, and after an evaluation
      eval_details.json and report.html.
    rungs: where 'train_and_eval' may end early.

  Returns:
    The metrics of the last evaluation, e.g. `AP` and `AP50`; empty after 'train'.

  Raises:
    ValueError, FileNotFoundError: the parameters, the records and the model_dir do not fit; the message says how.
    nonfinite.NonFiniteLossError: the loss became NaN; the last good checkpoint is in model_dir.
    SystemExit: code 42, after a termination signal; a checkpoint has been saved, run again to continue.
  """
  if mode not in MODES:
    raise ValueError(f'mode is {mode!r}; one of {", ".join(MODES)} is needed.')
  if checkpoint_path and 'train' in mode:
    raise ValueError('checkpoint_path is for evaluation; training starts from task.init_checkpoint.')
  layout.check_path(model_dir)
  strategy = strategy or strategy_lib.build_strategy(params.runtime)
  completed = recipe.complete(
    params,
    mode,
    for_tpu=isinstance(strategy, tf.distribute.TPUStrategy),
    num_replicas=strategy.num_replicas_in_sync,
  )
  if completed.params.task.train_data.seed is not None:
    tf_keras.utils.set_random_seed(completed.params.task.train_data.seed)
  validation.check(completed.params.task.model)
  compatibility.check_architecture(model_dir, completed.saved.task.model)
  if mode == 'eval' and not checkpoint_path and not checkpoints.available(model_dir):
    raise ValueError(checkpoints.absent(model_dir))
  if 'train' in mode and not checkpoints.available(model_dir):
    starting_checkpoint(completed.params.task)  # Fails at once here, as what is checked of the model.
  is_chief = strategy_lib.is_chief(strategy)
  if is_chief:
    artifacts.write_description(model_dir, completed, overwrite='train' in mode)
  start = checkpoints.resolve(checkpoint_path) if checkpoint_path else None
  if start:
    compatibility.check_function(start, completed.params.task.model)
  with precision.computing_in(completed.params.runtime.mixed_precision_dtype or precision.FLOAT32):
    return Runner(strategy, mode, completed, model_dir, start, stream, report and is_chief).run(rungs)


def metrics_table(metrics: Mapping[str, float]) -> str:
  """Formats COCO's metrics, then the categories, then the AP of the exits, in two columns of text."""
  rows = [(name, metrics[name]) for name in COCO_METRICS if name in metrics]
  rows += [(name, value) for name, value in metrics.items() if name.startswith('AP/')]
  rows += [(name, value) for name, value in metrics.items() if name.startswith('exit_') and name.endswith('/AP')]
  width = max((len(name) for name, _ in rows), default=0)
  return '\n'.join(f'{name:<{width}}  {value:.4f}' if value >= 0 else f'{name:<{width}}  -' for name, value in rows)


class Runner(train_lib.OrbitExperimentRunner):
  """Model Garden's runner with this project's trainer, controller, checkpoints and actions."""

  def __init__(
    self,
    strategy: tf.distribute.Strategy,
    mode: str,
    completed: recipe.Recipe,
    model_dir: str,
    checkpoint: str | None,
    stream: TextIO | None,
    report: bool = False,
  ):
    """Builds model, optimizer and input, and restores the newest checkpoint or `checkpoint`."""
    self._recipe = completed
    self._is_chief = strategy_lib.is_chief(strategy)
    self._start_checkpoint = checkpoint or checkpoints.newest_intact(model_dir)
    start_step = checkpoints.step_of(self._start_checkpoint or '')
    self._eval_progress = progress.EvalProgress(completed.num_validation_images, stream) if 'eval' in mode else None
    self._train_progress = None
    if 'train' in mode:
      self._train_progress = progress.TrainProgress(completed.params.trainer.train_steps, start_step, stream)
    self._preemption = preemption.Preemption()
    self._writes_report = report
    if report:
      run_record.add(model_dir, mode, start_step)
      if 'train' in mode:
        run_record.draw_training_images(model_dir, completed.params)
    self._last_evaluation = time.monotonic()
    self._history = artifacts.History(model_dir, start_step if 'train' in mode else None) if self._is_chief else None
    task = DetectionTask(
      completed.params.task,
      logging_dir=model_dir,
      labels=completed.labels,
      start_step=start_step,
      is_partial=completed.params.trainer.validation_steps > 0
      or completed.params.task.validation_data.take_examples > 0,
      ground_truth=completed.ground_truth,
    )
    super().__init__(
      strategy, task, mode, completed.params, model_dir, save_summary=self._is_chief, controller_cls=loop.Controller
    )
    if self._is_chief:
      stream = stream or sys.stderr
      reports = [getattr(self.trainer.model.backbone, 'load_report', None), task.load_report]
      notes = [*completed.notes, *(str(report) for report in reports if report), self._description()]
      stream.write('\n'.join(notes) + '\n')
      stream.flush()

  def run(self, rungs: loop.Rungs = loop.Rungs()) -> dict[str, float]:  # noqa: B008  (frozen)
    """Runs the mode to its end, or to a rung; see the module's `run`."""
    trainer_config = self.params.trainer
    steps, validation_steps = trainer_config.train_steps, trainer_config.validation_steps
    output = None
    task = self.params.task
    # An evaluation alone has nothing to save: a signal ends it.
    watching = self._preemption if 'train' in self._mode else contextlib.nullcontext()
    with self.strategy.scope(), watching, inputs.naming_bad_records(task.train_data, task.validation_data):
      try:
        if self._mode == 'train':
          self.controller.train(steps)
        elif self._mode == 'train_and_eval':
          interval = trainer_config.validation_interval
          output = self.controller.train_and_evaluate(steps, validation_steps, interval, self._is_evaluated, rungs)
          if output is None:  # All steps were done before, perhaps by a run that was killed in its last evaluation.
            output = self.controller.evaluate(validation_steps)
        elif self._mode == 'eval':
          output = self.controller.evaluate(validation_steps)
        else:
          output = self.controller.evaluate_continuously(
            validation_steps,
            timeout=min(_POLL_SECONDS, trainer_config.continuous_eval_timeout),
            timeout_fn=self._is_over,
          )
      except nonfinite.NonFiniteLossError as error:
        # The weights before a step with a bad loss are bad themselves, however finite.
        raise nonfinite.NonFiniteLossError(self._with_remedy(error, error.step and error.step - 1)) from error
      except evaluation.NonFiniteDetectionsError as error:
        if self._mode != 'train_and_eval':
          raise
        step = int(self.trainer.global_step.numpy())
        raise evaluation.NonFiniteDetectionsError(self._with_remedy(error, step)) from error
      finally:
        if self._train_progress:
          self._train_progress.close()
    return {key: float(value) for key, value in (output or {}).items()}

  def _is_evaluated(self, step: int) -> bool:
    """Tells whether the run before has evaluated this step; several workers, who must agree, take it for granted."""
    return self._history is None or strategy_lib.is_multi_worker(self.strategy) or self._history.is_evaluated(step)

  def _with_remedy(self, error: Exception, step: int | None) -> str:
    """Returns the message of `error` and what became of the checkpoint of `step`, whose weights are of no use."""
    remedy = checkpoints.set_aside(self.model_dir, step) if step and self._is_chief else None
    return f'{error} {remedy}' if remedy else str(error)

  def _description(self) -> str:
    """Describes the run in one line."""
    parts = [f'{self.trainer.model.count_params():,} parameters', f'{self.strategy.num_replicas_in_sync} replica(s)']
    if 'train' in self._mode:
      num_images = self._recipe.num_train_images
      parts.append(f'batch {self.params.task.train_data.global_batch_size}')
      parts.append(f'{self.params.trainer.train_steps} steps' + (f' on {num_images} images' if num_images else ''))
    if self._start_checkpoint:
      parts.append(f'from {self._start_checkpoint}')
    return ', '.join(parts)

  def _build_trainer(self, task: DetectionTask, train: bool, evaluate: bool) -> base_trainer.Trainer:
    with self.strategy.scope():
      model = task.build_model()
      model_optimizer = optimizer.build_optimizer(self.params, model)
      if isinstance(model_optimizer, ema.MovingAverage):
        model_optimizer.swaps = not checkpoints.is_best(self._start_checkpoint)
      return loop.DetectionTrainer(
        self.params,
        task,
        model,
        model_optimizer,
        train=train,
        evaluate=evaluate,
        checkpoint_exporter=self._build_best_checkpoint_exporter() if evaluate and self._mode != 'eval' else None,
        eval_progress=self._eval_progress,
        on_eval_batch=self._exit_if_told_in_evaluation,
      )

  def _build_best_checkpoint_exporter(self) -> checkpoints.BestCheckpoint | None:
    trainer_config = self.params.trainer
    if not (trainer_config.best_checkpoint_export_subdir and trainer_config.best_checkpoint_eval_metric):
      return None
    return checkpoints.BestCheckpoint(
      os.path.join(self.model_dir, trainer_config.best_checkpoint_export_subdir),
      trainer_config.best_checkpoint_eval_metric,
      higher_is_better=trainer_config.best_checkpoint_metric_comp == 'higher',
      is_chief=self._is_chief,
    )

  def _maybe_build_checkpoint_manager(self) -> tf.train.CheckpointManager:
    # Every worker must take part in saving, which reads variables of all of them; only the chief's files are kept.
    manager = checkpoints.CheckpointManager(
      self.trainer.checkpoint,
      self.model_dir if self._is_chief else tempfile.mkdtemp(prefix='nasfpn_worker_'),
      max_to_keep=self.params.trainer.max_to_keep if self._is_chief else 1,
      checkpoint_name=checkpoints.NAME,
      step_counter=self.trainer.global_step,
      checkpoint_interval=self.params.trainer.checkpoint_interval,
      init_fn=self.trainer.initialize,
    )
    manager.start_at(checkpoints.step_of(self._start_checkpoint or ''))
    return manager

  def _build_controller(self, trainer, evaluator, save_summary=True, controller_cls=loop.Controller, **unused_kwargs):
    trainer_config = self.params.trainer
    train_summaries = os.path.join(self.model_dir, 'train') if save_summary else None
    eval_summaries = os.path.join(self.model_dir, trainer_config.validation_summary_subdir) if save_summary else None
    if trainer is not None and strategy_lib.is_multi_worker(self.strategy):
      # It restores on its own when it is made, so it has to be made before the controller restores.
      self._preemption = preemption.WorkersPreemption(self.strategy, self.checkpoint_manager, self.trainer.global_step)
    controller = controller_cls(
      checkpoint_directory=self.model_dir,
      initial_checkpoint=self._start_checkpoint,
      strategy=self.strategy,
      trainer=trainer,
      evaluator=evaluator if 'eval' in self._mode else None,
      global_step=self.trainer.global_step,
      steps_per_loop=trainer_config.steps_per_loop,
      checkpoint_manager=self.checkpoint_manager,
      summary_dir=train_summaries,
      eval_summary_dir=eval_summaries,
      summary_interval=trainer_config.summary_interval if save_summary else None,
      train_actions=[self._after_loop],
      eval_actions=[self._after_evaluation],
    )
    return controller

  def _is_over(self) -> bool:
    """Tells whether no further checkpoint is expected: the last one was evaluated, or none came for long."""
    waited = time.monotonic() - self._last_evaluation
    trainer_config = self.params.trainer
    is_last = int(self.trainer.global_step.numpy()) >= trainer_config.train_steps
    return is_last or waited > trainer_config.continuous_eval_timeout

  def _after_loop(self, output: orbit.runner.Output) -> None:
    """Acts after a training loop: progress, history, and the end of a run that was told to stop."""
    logs = {key: orbit.utils.get_value(value) for key, value in output.items()}
    logs['step'] = int(self.trainer.global_step.numpy())
    self._train_progress(logs)
    if self._history:
      self._history.add_train(logs)
    self._preemption.exit_if_told(self.controller.save_checkpoint)

  def _exit_if_told_in_evaluation(self) -> None:
    """Ends an evaluation, before which a checkpoint was saved; the next run evaluates again."""
    if self._mode == 'train_and_eval' and not strategy_lib.is_multi_worker(self.strategy):
      self._preemption.exit_if_told(lambda: None)

  def _after_evaluation(self, output: orbit.runner.Output) -> None:
    """Acts after an evaluation: progress, eval.json and history."""
    metrics = {key: float(orbit.utils.get_value(value)) for key, value in output.items()}
    step = int(self.trainer.global_step.numpy())
    if math.isnan(metrics.get('validation_loss', 0.0)):
      # Nothing is detected then, which the metrics take for a model that is merely bad.
      raise evaluation.NonFiniteDetectionsError(f'The validation loss at step {step} is NaN: the model has diverged.')
    self._eval_progress.finish(metrics, step)
    self._last_evaluation = time.monotonic()
    if self._history:
      checkpoint = self._checkpoint_of(step)
      self._history.add_evaluation(metrics, step, checkpoint)
    if self._writes_report:
      run_report.write(self.model_dir, self.params, self.trainer.task.evaluator)
    if self._mode == 'train_and_eval':
      self._preemption.exit_if_told(self.controller.save_checkpoint)

  def _checkpoint_of(self, step: int) -> str:
    if self._mode == 'eval':
      return self._start_checkpoint
    return os.path.join(self.model_dir, f'{checkpoints.NAME}-{step}')
