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


import functools
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import recompute
from nasfpn_tf.layers.drop_path import DropPath
from nasfpn_tf.layers.dropblock import DropBlock2D
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from tests import testing

CHANNELS = {3: 6, 4: 8, 5: 10}


def _features(dtype='float32'):
  rng = np.random.default_rng(0)
  return {
    str(level): tf.constant(rng.normal(size=[2, 128 >> level, 256 >> level, width]), dtype)
    for level, width in CHANNELS.items()
  }


def _step(pyramid, features):
  with tf.GradientTape() as tape:
    outputs = pyramid(features, training=True)
    loss = tf.add_n([tf.reduce_sum(tf.cast(output, tf.float32) ** 3) for output in outputs.values()])
  return loss, tape.gradient(loss, pyramid.trainable_weights)


def _pyramid(recompute_gradients, **kwargs):
  tf_keras.utils.set_random_seed(0)
  pyramid = FeaturePyramid('nas_fpn', num_repeats=1, num_filters=8, recompute_gradients=recompute_gradients, **kwargs)
  pyramid(_features())
  return pyramid


@pytest.fixture(scope='module')
def plain():
  """(loss, gradients, weights after the step) of a pyramid that keeps everything."""
  pyramid = _pyramid(False)
  loss, gradients = tf.function(_step)(pyramid, _features())
  return loss, gradients, pyramid.get_weights()


@pytest.mark.parametrize('how', ['eager', 'graph', 'xla'])
def test_gradients_and_statistics_are_those_of_the_plain_pyramid(plain, how):
  pyramid = _pyramid(True)
  step = _step if how == 'eager' else tf.function(_step, jit_compile=how == 'xla')
  loss, gradients = step(pyramid, _features())
  np.testing.assert_allclose(loss, plain[0], rtol=1e-5)
  for weight, gradient, expected in zip(pyramid.trainable_weights, gradients, plain[1], strict=True):
    # The gradient of a bias before a batch norm is zero but for rounding.
    scale = np.abs(expected).max() if 'conv/bias' not in weight.name else 1e3
    np.testing.assert_allclose(gradient, expected, atol=2e-5 * scale, err_msg=weight.name)
  testing.assert_close(pyramid.get_weights(), plain[2], 1e-5)  # Moving statistics are updated, once.
  assert [w.name.partition('/')[2] for w in pyramid.weights] == [
    w.name.partition('/')[2] for w in _pyramid(False).weights
  ]


def test_config_carries_it_and_inference_is_plain():
  pyramid = _pyramid(True)
  rebuilt = FeaturePyramid.from_config(pyramid.get_config())
  assert rebuilt.recompute_gradients
  rebuilt(_features())
  rebuilt.set_weights(pyramid.get_weights())
  testing.assert_close(rebuilt(_features(), training=False), pyramid(_features(), training=False), 0.0)


def test_mixed_bfloat16_trains():
  pyramid = _pyramid(True, dtype='mixed_bfloat16', dropblock_keep_prob=0.9)
  loss, gradients = tf.function(_step)(pyramid, _features())
  assert np.isfinite(loss) and all(g.dtype == tf.float32 and np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize('layer', [DropBlock2D(0.7, 3), DropPath(0.5)])
@pytest.mark.parametrize('how', ['eager', 'graph', 'xla'])
def test_both_passes_drop_the_same(layer, how):
  tf.random.set_seed(1)
  x = tf.random.stateless_normal([64, 8, 8, 4], [1, 2])
  scale = tf.Variable(tf.ones([64, 8, 8, 4]))

  def step():
    with tf.GradientTape() as tape:
      outputs = recompute.recompute(lambda x: layer(layer(x * scale, training=True), training=True), x)
    return outputs, tape.gradient(outputs, scale)

  step = step if how == 'eager' else tf.function(step, jit_compile=how == 'xla')
  outputs, gradient = step()
  testing.assert_close(outputs, gradient, 1e-5)  # Of a product with ones: what both passes let through.
  again, _ = step()
  assert (outputs.numpy() != again.numpy()).any(), 'every step draws anew'
  kept_by_both = np.mean(outputs.numpy() != 0)
  assert kept_by_both < 0.9 * layer.keep_prob, 'two layers draw apart'


def _network():
  """A function whose layers take `training` from their caller, as those of Model Garden's heads; and its layers."""
  layers = tf_keras.Sequential([tf_keras.layers.Conv2D(4, 3), tf_keras.layers.BatchNormalization(momentum=0.5)])
  layers.build([None, 8, 8, 3])
  recompute.update_once(layers)
  return (lambda x: layers.layers[1](layers.layers[0](x))), layers


def test_training_reaches_the_layers_of_a_function_in_both_passes():
  function, layers = _network()
  norm = layers.layers[1]
  part = recompute.Recomputed(function)
  x = 3.0 + tf.random.stateless_normal([4, 8, 8, 3], [1, 2])
  with tf.GradientTape() as tape:
    outputs = part([x], training=True)
    loss = tf.reduce_sum(outputs**3)
  gradients = tape.gradient(loss, layers.trainable_variables)
  assert abs(float(tf.reduce_mean(outputs))) < 1e-4, 'statistics of the batch'
  convolved = layers.layers[0](x)
  np.testing.assert_allclose(norm.moving_mean, 0.5 * tf.reduce_mean(convolved, [0, 1, 2]), rtol=1e-4)
  # Scale: d(sum(y**3)) / d(gamma) = sum(3 * y**2 * y / gamma); only with the batch's statistics is it that.
  np.testing.assert_allclose(gradients[2], tf.reduce_sum(3 * outputs**3, [0, 1, 2]), rtol=1e-3)
  before = norm.moving_mean.numpy()
  inferred = part([x], training=False)
  np.testing.assert_array_equal(norm.moving_mean, before)
  assert abs(float(tf.reduce_mean(inferred))) > 1e-2


@pytest.mark.parametrize('compiled', [False, True])
def test_a_part_of_a_part_draws_the_same_in_every_pass(compiled):
  drawn = []

  def inner(x):
    drawn.append(recompute.uniform([8]))
    return x * drawn[-1]

  def outer(x):
    return recompute.recompute(inner, recompute.recompute(inner, x))

  def step(x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = recompute.recompute(outer, x)
    return y, tape.gradient(y, x)

  x = 1.0 + tf.range(8.0)
  y, gradient = (tf.function(step) if compiled else step)(x)
  np.testing.assert_allclose(gradient, y / x, rtol=1e-5)
  assert len(drawn) == 2 * 3, 'each in the first pass, again for the outer part, and again for itself'
  if not compiled:
    assert len({draw.numpy().tobytes() for draw in drawn}) == 2


def test_what_is_computed_on_the_way_is_let_go():
  on_the_way = []

  def function(x):
    y = tf.exp(x)
    on_the_way.append(weakref.ref(y))
    return tf.sin(y)

  x = tf.Variable([1.0, 2.0])
  with tf.GradientTape() as tape:
    y = recompute.recompute(function, x * 1.0)
  gc.collect()
  assert len(on_the_way) == 1 and on_the_way[0]() is None
  np.testing.assert_allclose(tape.gradient(y, x), tf.cos(tf.exp(x)) * tf.exp(x), rtol=1e-5)
  assert len(on_the_way) == 2


def _noted(x, name, log):
  """`x`, and a note in `log` when it is computed and when its gradient is."""

  def note(direction, tensor):
    noted = tf.numpy_function(lambda value: (log.append(f'{direction} {name}'), value)[1], [tensor], tensor.dtype)
    noted.set_shape(tensor.shape)
    return noted

  return tf.custom_gradient(lambda y: (note('forward', y), lambda dy: note('backward', dy)))(x)


def test_parts_that_take_turns_are_in_memory_one_by_one():
  log = []
  turns = recompute.Turns()

  @tf.function
  def gradient(x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      turns.begin()
      parts = [functools.partial(recompute.recompute, lambda y, i=i: _noted(y, i, log) ** 2) for i in range(3)]
      outputs = [turns.take(part, x) for part in parts]
      loss = tf.add_n([tf.reduce_sum(output) for output in outputs])
    return tape.gradient(loss, x)

  np.testing.assert_allclose(gradient(tf.constant([1.0, 3.0])), [6.0, 18.0])
  again = [f'{direction} {i}' for i in (2, 1, 0) for direction in ('forward', 'backward')]
  assert log == ['forward 0', 'forward 1', 'forward 2', *again]
