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

"""Builds the optimizer of a run: Model Garden's, with a separate learning rate for the backbone."""

import contextlib
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import config_definitions as cfg
from official.modeling import optimization, performance

from nasfpn_tf.training import ema


def build_optimizer(params: cfg.ExperimentConfig, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
  """Builds the optimizer of `trainer.optimizer_config`.

  `task.backbone_lr_multiplier` scales the updates of the backbone's variables, whatever the optimizer.

  Raises:
    ValueError: an optimizer or a schedule is missing, the multiplier is not positive, or the parts do not go together.
  """
  config = params.trainer.optimizer_config
  for key in ('optimizer', 'learning_rate'):
    if not getattr(config, key).type:
      raise ValueError(f'trainer.optimizer_config.{key}.type is not set.')
  factory = optimization.OptimizerFactory(config.replace(ema=None))
  optimizer = factory.build_optimizer(factory.build_learning_rate())
  multiplier = params.task.backbone_lr_multiplier
  if not multiplier > 0:
    raise ValueError(
      f'task.backbone_lr_multiplier is {multiplier}; it must be positive (to freeze the backbone, see freeze_backbone).'
    )
  if multiplier != 1.0:
    scale_learning_rate(optimizer, model.backbone.trainable_variables, multiplier)
  if config.ema is not None:
    if params.runtime.mixed_precision_dtype == 'float16':
      raise ValueError(
        'trainer.optimizer_config.ema cannot be combined with runtime.mixed_precision_dtype float16, whose loss'
        ' scaling must wrap the optimizer, too: use bfloat16.'
      )
    optimizer = ema.MovingAverage(optimizer, **config.ema.as_dict())
  return performance.configure_optimizer(
    optimizer,
    use_float16=params.runtime.mixed_precision_dtype == 'float16',
    loss_scale=params.runtime.loss_scale,
  )


def scale_learning_rate(
  optimizer: tf_keras.optimizers.Optimizer, variables: Iterable[tf.Variable], multiplier: float
) -> None:
  """Makes `optimizer` update `variables` with `multiplier` times its learning rate; weight decay is scaled with it.

  The gradients are untouched: clipping sees them all alike, and Adam, which would undo a scaled gradient, scales too.
  """
  keys = frozenset(_key(variable) for variable in variables)
  mixin = _ScaledLegacy if isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer) else _Scaled
  kind = type(optimizer)
  optimizer.__class__ = type(kind.__name__, (mixin, kind), {'scaled_keys': keys, 'multiplier': multiplier})


class _ScaledLegacy:
  """Mixin of `tf_keras.optimizers.legacy`: its coefficients, per device and dtype, hold the learning rate."""

  scaled_keys: frozenset[Any]
  multiplier: float

  def _resource_apply_dense(self, grad, var, apply_state=None):
    if _key(var) in self.scaled_keys:
      where = (var.device, var.dtype.base_dtype)
      state = (apply_state or {}).get(where) or self._fallback_apply_state(*where)
      rates = {name: state[name] * self.multiplier for name in ('lr_t', 'lr') if name in state}
      apply_state = {where: {**state, **rates}}
    return super()._resource_apply_dense(grad, var, apply_state)


class _Scaled:
  """Mixin of the newer optimizers: they read `learning_rate` while they trace the update of a variable."""

  scaled_keys: frozenset[Any]
  multiplier: float
  _factor = 1.0

  @property
  def learning_rate(self):
    rate = super().learning_rate
    return rate if self._factor == 1.0 else rate * self._factor

  @learning_rate.setter
  def learning_rate(self, value):
    self._learning_rate.assign(value)

  def update_step(self, gradient, variable):
    with self._scaling(_key(variable) in self.scaled_keys):
      return super().update_step(gradient, variable)

  def _apply_weight_decay(self, variables):
    for scaled in (False, True):
      with self._scaling(scaled):
        super()._apply_weight_decay([v for v in variables if (_key(v) in self.scaled_keys) == scaled])

  @contextlib.contextmanager
  def _scaling(self, on):
    self._factor = self.multiplier if on else 1.0
    try:
      yield
    finally:
      self._factor = 1.0


def _key(variable: tf.Variable) -> Any:
  """Returns the key that identifies a variable in all of its replicas."""
  if hasattr(variable, '_distributed_container'):
    variable = variable._distributed_container() or variable
  return variable._unique_id
