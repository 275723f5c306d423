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

"""The learning rate of the backbone, with every optimizer and strategy, and what the schedules give."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory

from nasfpn_tf.training import (
  experiments,  # noqa: F401
  loop,
)
from nasfpn_tf.training import optimizer as optimizer_lib


def params_with(optimizer, multiplier=1.0, learning_rate=None, ema=None):
  params = exp_factory.get_exp_config('nasfpn_retinanet')
  params.task.backbone_lr_multiplier = multiplier
  params.trainer.optimizer_config.override(
    {
      'optimizer': optimizer,
      'learning_rate': learning_rate or {'type': 'constant', 'constant': {'learning_rate': 0.1}},
      'warmup': {'type': None},
    }
  )
  if ema:
    params.trainer.optimizer_config.override({'ema': ema})
  return params


OPTIMIZERS = {
  'sgd': {'type': 'sgd', 'sgd': {'momentum': 0.9}},
  'sgd_nesterov_clipped': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'nesterov': True, 'global_clipnorm': 100.0}},
  'adam': {'type': 'adam'},
  'adam_amsgrad': {'type': 'adam', 'adam': {'amsgrad': True}},
  'rmsprop': {'type': 'rmsprop'},
  'adamw': {'type': 'adamw', 'adamw': {'weight_decay_rate': 0.1, 'gradient_clip_norm': 100.0}},
  'sgd_experimental': {'type': 'sgd_experimental', 'sgd_experimental': {'momentum': 0.9}},
  'adam_experimental': {'type': 'adam_experimental'},
  'adamw_experimental': {
    'type': 'adamw_experimental',
    'adamw_experimental': {'weight_decay': 0.1, 'global_clipnorm': 100.0},
  },
}


def updates(config, multiplier, compiled=True, strategy=None, ema=None):
  """What three steps of constant gradients change: (backbone's variable, the other variable)."""
  strategy = strategy or tf.distribute.get_strategy()
  with strategy.scope():
    backbone, other = tf.Variable([1.0, -2.0]), tf.Variable([1.0, -2.0])

    model = types.SimpleNamespace(
      backbone=types.SimpleNamespace(trainable_variables=[backbone]), trainable_variables=[backbone, other]
    )
    optimizer = optimizer_lib.build_optimizer(params_with(config, multiplier, ema=ema), model)
    loop.build_slots(optimizer, [backbone, other])
    if ema:
      optimizer.shadow_copy(model)

  def replica_step():
    gradient = tf.constant([0.3, -0.7])
    optimizer.apply_gradients([(tf.identity(gradient), backbone), (tf.identity(gradient), other)])

  def step():
    strategy.run(replica_step)

  step = tf.function(step) if compiled else step
  for _ in range(3):
    step()
  return backbone.numpy() - [1.0, -2.0], other.numpy() - [1.0, -2.0]


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_multiplier_scales_the_update(name):
  backbone, other = updates(OPTIMIZERS[name], 0.25)
  reference, _ = updates(OPTIMIZERS[name], 1.0)
  np.testing.assert_allclose(other, reference, rtol=1e-5)
  assert np.all(np.abs(other) > 1e-4)
  # Weight decay acts on a weight that has moved less, so its part is not exactly in proportion.
  np.testing.assert_allclose(backbone, 0.25 * other, rtol=0.03 if 'adamw' in name else 1e-5)


@pytest.mark.parametrize('name', ['sgd', 'adam', 'adam_experimental'])
def test_multiplier_works_eagerly_and_under_a_moving_average(name):
  for kwargs in ({'compiled': False}, {'ema': {'average_decay': 0.9}} if 'experimental' not in name else {}):
    backbone, other = updates(OPTIMIZERS[name], 0.5, **kwargs)
    np.testing.assert_allclose(backbone, 0.5 * other, rtol=1e-5)


def test_clipping_sees_the_unscaled_gradients():
  config = {'type': 'sgd', 'sgd': {'momentum': 0.0, 'global_clipnorm': 0.1}}
  _, clipped = updates(config, 1.0)
  _, with_multiplier = updates(config, 0.01)
  np.testing.assert_allclose(clipped, with_multiplier, rtol=1e-6)


@pytest.mark.parametrize(
  'change, message',
  [
    ({'optimizer': {'type': None}}, 'optimizer_config.optimizer.type'),
    ({'learning_rate': {'type': None}}, 'optimizer_config.learning_rate.type'),
  ],
)
def test_missing_parts_are_named(change, message):
  params = exp_factory.get_exp_config('nasfpn_retinanet')
  params.trainer.optimizer_config.override(change)
  with pytest.raises(ValueError, match=message):
    optimizer_lib.build_optimizer(params, None)


def test_a_multiplier_of_zero_is_refused():
  with pytest.raises(ValueError, match='freeze_backbone'):
    optimizer_lib.build_optimizer(params_with(OPTIMIZERS['sgd'], 0.0), None)


def test_schedules():
  cosine = {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.2, 'decay_steps': 100}}
  optimizer = optimizer_lib.build_optimizer(params_with(OPTIMIZERS['adam'], learning_rate=cosine), None)
  rates = [float(optimizer.learning_rate(step)) for step in (0, 50, 100)]
  np.testing.assert_allclose(rates, [0.2, 0.1, 0.0], atol=1e-6)
  step = {'type': 'stepwise', 'stepwise': {'boundaries': [10, 20], 'values': [1.0, 0.1, 0.01]}}
  params = params_with(OPTIMIZERS['sgd'], learning_rate=step)
  params.trainer.optimizer_config.override(
    {'warmup': {'type': 'linear', 'linear': {'warmup_steps': 4, 'warmup_learning_rate': 0.2}}}
  )
  optimizer = optimizer_lib.build_optimizer(params, None)
  rates = [float(optimizer.learning_rate(step)) for step in (0, 2, 4, 10, 11, 21)]
  np.testing.assert_allclose(rates, [0.2, 0.6, 1.0, 1.0, 0.1, 0.01], rtol=1e-6)


def test_loss_scaling():
  params = params_with(OPTIMIZERS['sgd'], learning_rate={'type': 'constant', 'constant': {'learning_rate': 0.1}})
  params.runtime.mixed_precision_dtype = 'float16'
  optimizer = optimizer_lib.build_optimizer(params, None)
  assert isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
  variable = tf.Variable([1.0])
  loop.build_slots(optimizer, [variable])
  assert any('momentum' in v.name for v in optimizer.inner_optimizer.variables())
  params.trainer.optimizer_config.override({'ema': {'average_decay': 0.9}})
  with pytest.raises(ValueError, match=r'ema cannot be combined with .* float16'):
    optimizer_lib.build_optimizer(params, None)
