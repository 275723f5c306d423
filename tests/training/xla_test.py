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

"""The whole training step compiled by XLA, in bfloat16: what a TPU would compile, checked without one."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.training import inputs, loop, recipe
from nasfpn_tf.training import optimizer as optimizer_lib
from nasfpn_tf.training.task import DetectionTask
from tests.training import rectangles

_DYNAMIC_DIMENSION = re.compile(r'\[[^\]]*<=\d+[^\]]*\]')
_CONVOLUTION = re.compile(r'= (\w+)\[[^\]]*\]\S* convolution\(')


@pytest.fixture
def bfloat16():
  before = tf_keras.mixed_precision.global_policy()
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  yield
  tf_keras.mixed_precision.set_global_policy(before)


def test_train_step_compiles_with_static_shapes(bfloat16, tmp_path):
  prefix = rectangles.write(tmp_path, num_images=2, num_shards=1)
  params = rectangles.experiment(
    prefix,
    task={
      'backbone_lr_multiplier': 0.5,
      'losses': {'l2_weight_decay': 1e-4},
      'train_data': {'dtype': 'bfloat16', 'seed': 1},
      'model': {'decoder': {'feature_pyramid': {'dropblock_keep_prob': 0.9, 'dropblock_ramp_steps': 4}}},
    },
    trainer={
      'optimizer_config': {
        'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
        'learning_rate': {'type': 'stepwise', 'stepwise': {'boundaries': [2, 4], 'values': [0.01, 0.001, 0.0001]}},
        'warmup': {'type': 'linear', 'linear': {'warmup_steps': 2, 'warmup_learning_rate': 0.001}},
      }
    },
  )
  params = recipe.complete(params, 'train').params
  task = DetectionTask(params.task)
  model = task.build_model()
  optimizer = optimizer_lib.build_optimizer(params, model)
  loop.follow_step(model, optimizer.iterations)  # DropBlock's ramp compiles too.
  loop.build_slots(optimizer, model.trainable_variables)
  metrics = task.build_metrics(training=True)
  images, labels = next(iter(inputs.build_inputs(params.task.train_data, params.task.model)))
  assert images.dtype == tf.bfloat16 and images.shape.is_fully_defined()

  @tf.function(jit_compile=True)
  def step(images, labels):
    return task.train_step((images, labels), model, optimizer, metrics)['loss']

  hlo = step.experimental_get_compiler_ir(images, labels)(stage='hlo')
  assert not _DYNAMIC_DIMENSION.search(hlo), 'a dimension is bounded, not static'
  assert 'custom-call' not in hlo
  assert 'infeed' not in hlo and 'outfeed' not in hlo and 'send(' not in hlo
  convolutions = _CONVOLUTION.findall(hlo)
  assert len(convolutions) > 50 and set(convolutions) == {'bf16'}

  # It also runs, and learns on its batch; the weights stay float32.
  before = [v.numpy() for v in model.trainable_variables]
  losses = [float(step(images, labels)) for _ in range(3)]
  assert np.all(np.isfinite(losses)) and losses[-1] < losses[0]
  assert {v.dtype for v in model.trainable_variables} == {tf.float32}
  assert any(np.any(v.numpy() != b) for v, b in zip(model.trainable_variables, before, strict=True))
  assert int(optimizer.iterations) == 3
