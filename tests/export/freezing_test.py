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

"""Frozen functions say what they said with variables, and what they have in common is stored once."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.export import freezing

SIDE = 128
X = np.random.default_rng(1).normal(size=[3, SIDE]).astype(np.float32)


def make_functions(are_apart):
  """Two functions, each of a kernel and a scale of its own; the kernels are one variable unless apart."""
  rng = np.random.default_rng(0)
  kernel, other = (tf.Variable(rng.normal(size=[SIDE, SIDE]).astype(np.float32)) for _ in range(2))
  scales = [tf.Variable(rng.normal(size=[SIDE]).astype(np.float32)) for _ in range(2)]
  spec = {'x': tf.TensorSpec([None, SIDE], name='x')}

  def function(kernel, scale):
    return tf.function(lambda inputs: {'y': [tf.nn.relu(inputs['x'] @ kernel) * scale]}, input_signature=(spec,))

  return [function(kernel, scales[0]), function(other if are_apart else kernel, scales[1])]


@pytest.mark.parametrize('are_apart', [False, True], ids=['common', 'apart'])
def test_frozen_functions_in_a_saved_model(are_apart, tmp_path):
  functions = make_functions(are_apart)
  expected = [function({'x': tf.constant(X)})['y'][0].numpy() for function in functions]
  first, second = freezing.freeze(functions)
  module = tf.Module()
  signature = [tf.TensorSpec([None, SIDE], name='x')]
  signatures = {
    'first': tf.function(lambda x: {'y': first({'x': x})['y'][0]}, input_signature=signature),
    'second': tf.function(lambda x: {'y': second({'x': x})['y'][0]}, input_signature=signature),
    'twice': tf.function(lambda x: {'y': first({'x': x})['y'][0]}, input_signature=signature),
  }
  tf.saved_model.save(module, str(tmp_path), signatures=signatures)

  size = (tmp_path / 'saved_model.pb').stat().st_size
  kernel = 4 * SIDE**2
  assert (1 + are_apart) * kernel < size < (2 + are_apart) * kernel
  loaded = tf.saved_model.load(str(tmp_path)).signatures
  for name, value in zip(('first', 'second', 'twice'), [*expected, expected[0]], strict=True):
    np.testing.assert_allclose(loaded[name](x=tf.constant(X))['y'], value, rtol=1e-5)


def test_frozen_functions_keep_their_values():
  kernel = tf.Variable(tf.ones([SIDE, SIDE]))
  function = tf.function(lambda x: x @ kernel, input_signature=[tf.TensorSpec([None, SIDE])])
  (frozen,) = freezing.freeze([function])
  kernel.assign(tf.zeros([SIDE, SIDE]))
  np.testing.assert_allclose(frozen(tf.constant(X)), X.sum(-1, keepdims=True) * np.ones(SIDE), atol=1e-4)


def test_nothing_frozen_names_a_gradient(tmp_path):
  @tf.custom_gradient
  def double(x):
    return 2.0 * x, lambda upstream: 2.0 * upstream

  kernel = tf.Variable(tf.ones([SIDE, SIDE]))
  function = tf.function(lambda x: double(x @ kernel), input_signature=[tf.TensorSpec([None, SIDE], name='x')])
  expected = function(tf.constant(X))
  (frozen,) = freezing.freeze([function])
  signature = tf.function(lambda x: {'y': frozen(x)}, input_signature=[tf.TensorSpec([None, SIDE], name='x')])
  options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
  tf.saved_model.save(tf.Module(), str(tmp_path), signatures=signature, options=options)
  assert b'_gradient_op_type' not in (tmp_path / 'saved_model.pb').read_bytes()
  np.testing.assert_allclose(tf.saved_model.load(str(tmp_path)).signatures['serving_default'](x=X)['y'], expected)
