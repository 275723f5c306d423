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


import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.layers.drop_path import DropPath
from tests import testing


def test_keeps_the_layer_contract():
  testing.run_layer_test(
    DropPath,
    {'keep_prob': 0.5, 'ramp_steps': 0, 'seed': 1},
    np.random.default_rng(0).normal(size=[8, 4, 6, 3]).astype('float32'),
    (8, 4, 6, 3),
  )


@pytest.mark.parametrize('dtype', ['float32', 'mixed_bfloat16'])
def test_whole_examples_are_dropped_and_the_mean_is_kept(dtype):
  tf.random.set_seed(1)
  outputs = DropPath(0.8, dtype=dtype)(tf.ones([4000, 2, 3, 2]), training=True).numpy().astype('float32')
  of_example = outputs.reshape(4000, -1)
  assert np.array_equal(of_example.min(axis=1), of_example.max(axis=1)), 'an example is dropped in parts'
  assert {round(float(v), 2) for v in np.unique(outputs)} == {0.0, 1.25}
  # 4000 draws of variance 1.25**2 * .8 * .2: the deviation of the mean is .008.
  assert abs(outputs.mean() - 1.0) < 0.04


def test_identity_at_inference_and_with_keep_prob_one():
  x = tf.ones([2, 4, 4, 3])
  assert DropPath(0.5)(x, training=False) is x
  assert DropPath(1.0)(x, training=True) is x


def test_keep_probability_follows_the_step():
  layer = DropPath(0.5, ramp_steps=10)
  assert layer.current_keep_prob() == 0.5, 'without a step to follow it holds from the start'
  step = tf.Variable(0, dtype=tf.int64)
  layer.follow_step(step)
  run = tf.function(lambda x: layer(x, training=True), jit_compile=True)
  rates = []
  for value in (0, 5, 100):
    step.assign(value)
    rates.append(np.mean(run(tf.ones([8000, 1, 1, 1])).numpy() == 0))
  np.testing.assert_allclose(rates, [0.0, 0.25, 0.5], atol=0.03)


@pytest.mark.parametrize(
  ('kwargs', 'key'), [({'keep_prob': 0.0}, 'keep_prob'), ({'keep_prob': 0.5, 'ramp_steps': -1}, 'ramp_steps')]
)
def test_settings_out_of_range_are_named(kwargs, key):
  with pytest.raises(ValueError, match=f'DropPath: {key}'):
    DropPath(**kwargs)
