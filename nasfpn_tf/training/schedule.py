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

"""Scales the schedule of a training to another length, and finds mistakes in it."""

from typing import Any

import tensorflow as tf
from official.modeling import optimization

_TOLERATED = 0.01  # Of the steps: a cosine's last few are 0 in float32.


def surprises(trainer: Any) -> list[str]:
  """Warns if the learning rate is 0 because its schedule has ended, or if the warm-up is longer than the run.

  Args:
    trainer: the section `trainer` of the experiment, with rates for its batch.
  """
  config, steps = trainer.optimizer_config, trainer.train_steps
  if not (config.optimizer.type and config.learning_rate.type):
    return []
  notes = []
  warmup = getattr(config.warmup.get(), 'warmup_steps', 0) if config.warmup.type else 0
  if warmup >= steps:
    notes.append(
      f'warning: the warm-up takes {warmup} steps and the run has {steps}, so the learning rate never reaches its'
      f' maximum: trainer.optimizer_config.warmup.{config.warmup.type}.warmup_steps'
    )
  rate = optimization.OptimizerFactory(config.replace(ema=None)).build_learning_rate()

  def is_zero(step: int) -> bool:
    return float(rate(tf.constant(step, tf.int64)) if callable(rate) else rate) <= 0.0

  if is_zero(steps - 1):
    positive, zero = -1, steps - 1
    while zero - positive > 1:
      middle = (positive + zero) // 2
      positive, zero = (positive, middle) if is_zero(middle) else (middle, zero)
    if steps - zero > _TOLERATED * steps:
      kind = config.learning_rate.type
      notes.append(
        f'warning: the learning rate is 0 from step {zero} of {steps} on, where its schedule ends: these steps train'
        f' nothing. See trainer.optimizer_config.learning_rate.{kind}'
      )
  return notes


def shortened(trainer: Any, steps: int) -> dict[str, Any]:
  """Overrides of an experiment that make it train `steps`, its schedule scaled, and evaluate once, at the end.

  Args:
    trainer: the section `trainer` of the experiment.
    steps: how many, fewer or more than it has.
  """
  changed = {'train_steps': steps, 'validation_interval': steps}
  for name in ('steps_per_loop', 'summary_interval', 'checkpoint_interval'):
    changed[name] = max(1, min(getattr(trainer, name), steps))
  factor = steps / trainer.train_steps
  groups = {}
  for group in ('learning_rate', 'warmup'):
    kind = getattr(trainer.optimizer_config, group).type
    options = getattr(trainer.optimizer_config, group).get() if kind else None
    scaled = {
      name: [round(factor * step) for step in value] if isinstance(value, list | tuple) else round(factor * value)
      for name in ('decay_steps', 'warmup_steps', 'boundaries')
      if (value := getattr(options, name, None))
    }
    if scaled:
      groups[group] = {kind: scaled}
  return {'trainer': {**changed, **({'optimizer_config': groups} if groups else {})}}
