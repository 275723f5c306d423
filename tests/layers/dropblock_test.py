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

from nasfpn_tf.layers.dropblock import DropBlock2D
from tests import testing


def _dropped(layer, shape, seed=1):
  """Where a map of ones is dropped, as bool."""
  tf.random.set_seed(seed)
  return layer(tf.ones(shape), training=True).numpy() == 0


def test_keeps_the_layer_contract():
  testing.run_layer_test(
    DropBlock2D,
    {'keep_prob': 0.7, 'block_size': 3, 'ramp_steps': 10},
    np.random.default_rng(0).normal(size=[2, 8, 6, 4]).astype('float32'),
    (2, 8, 6, 4),
  )


@pytest.mark.parametrize('size', [(16, 16), (8, 20), (20, 8), (4, 4), (5, 5), (1, 1), (3, 9)])
@pytest.mark.parametrize('block_size', [3, 7])
def test_every_cell_is_dropped_with_the_same_probability(size, block_size):
  samples = 4000
  dropped = _dropped(DropBlock2D(0.8, block_size), [samples // 8, *size, 8])
  rate = dropped.mean(axis=(0, 3))
  # 4000 independent draws a cell: the standard deviation of a rate of .2 is .0063.
  assert np.abs(rate - 0.2).max() < 5 * 0.0063
  assert abs(rate.mean() - 0.2) < 0.02


@pytest.mark.parametrize('size', [(16, 24), (4, 4), (5, 5)])
def test_expected_output_is_the_input(size):
  tf.random.set_seed(2)
  x = tf.random.stateless_uniform([1, *size, 1], [1, 2], minval=1.0, maxval=2.0)
  outputs = DropBlock2D(0.9, 7)(tf.tile(x, [2000, 1, 1, 4]), training=True)
  assert np.isfinite(outputs).all()
  mean = np.mean(outputs, axis=(0, 3))
  # Kept values are divided by .9: the deviation of one is x / 3, of the mean of 8000 x / 268.
  np.testing.assert_allclose(mean, x[0, :, :, 0], rtol=5 / 268)


def test_what_is_dropped_are_whole_blocks():
  dropped = _dropped(DropBlock2D(0.95, 3), [16, 24, 40, 4])
  assert dropped.any()
  blocks = tf.nn.max_pool2d(
    -tf.nn.max_pool2d(-tf.cast(tf.pad(dropped, [[0, 0], [2, 2], [2, 2], [0, 0]], constant_values=True), 'float32'),
                      3, 1, 'VALID'), 3, 1, 'VALID')  # fmt: skip
  np.testing.assert_array_equal(blocks.numpy() == 1, dropped)  # Opening by a 3x3 square changes nothing.


def test_channels_and_examples_are_dropped_independently():
  dropped = _dropped(DropBlock2D(0.5, 3), [2, 16, 16, 2])
  patterns = {dropped[i, :, :, j].tobytes() for i in range(2) for j in range(2)}
  assert len(patterns) == 4


def test_identity_at_inference_and_with_keep_prob_one():
  x = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
  assert DropBlock2D(0.5, 3)(x, training=False) is x
  assert DropBlock2D(0.5, 3)(x) is x
  assert DropBlock2D(1.0, 3)(x, training=True) is x


def test_small_probabilities_survive_bfloat16():
  layer = DropBlock2D(0.99, 7, dtype='mixed_bfloat16')
  tf.random.set_seed(3)
  outputs = layer(tf.ones([64, 16, 16, 16]), training=True)
  assert outputs.dtype == 'bfloat16'
  assert abs(np.mean(outputs.numpy().astype('float32') == 0) - 0.01) < 0.003


def test_compiles_with_xla():
  layer = DropBlock2D(0.8, 3)
  compiled = tf.function(lambda x: layer(x, training=True), jit_compile=True)
  outputs = compiled(tf.ones([64, 8, 12, 8])).numpy()
  assert set(np.unique(outputs)) == {0.0, np.float32(1.25)}
  assert abs(np.mean(outputs == 0) - 0.2) < 0.02


def test_keep_probability_follows_the_step():
  layer = DropBlock2D(0.5, 3, ramp_steps=100)
  step = tf.Variable(0, dtype=tf.int64)
  layer.follow_step(step)
  run = tf.function(lambda x: layer(x, training=True))
  rates = []
  for value in (0, 50, 100, 1000):
    step.assign(value)
    tf.random.set_seed(4)
    rates.append(np.mean(run(tf.ones([64, 16, 16, 8])).numpy() == 0))
  np.testing.assert_allclose(rates, [0.0, 0.25, 0.5, 0.5], atol=0.01)
  assert not layer.weights
  assert not tf.train.Checkpoint(layer=layer)._lookup_dependency('step')


@pytest.mark.parametrize(
  ('kwargs', 'key'),
  [
    ({'keep_prob': 0.0}, 'keep_prob'),
    ({'keep_prob': 1.1}, 'keep_prob'),
    ({'keep_prob': 0.9, 'block_size': 0}, 'block_size'),
    ({'keep_prob': 0.9, 'ramp_steps': -1}, 'ramp_steps'),
  ],
)
def test_settings_out_of_range_are_named(kwargs, key):
  with pytest.raises(ValueError, match=f'DropBlock2D: {key}'):
    DropBlock2D(**kwargs)
