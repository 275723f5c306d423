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

"""Batch norms become part of the convolutions before them where that changes nothing but rounding."""

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.python.framework import convert_to_constants

from nasfpn_tf.export import folding, freezing
from nasfpn_tf.modeling import precision

IMAGES = np.random.default_rng(0).normal(size=[2, 16, 16, 3]).astype(np.float32)
NORM = tf_keras.layers.BatchNormalization


def model_of(*layers):
  """A model of layers whose variables have values as after a training."""
  model = tf_keras.Sequential(layers)
  model.build([None, *IMAGES.shape[1:]])
  rng = np.random.default_rng(1)
  for variable in model.variables:
    variable.assign(rng.uniform(0.5, 1.5, variable.shape) * rng.choice([-1, 1], variable.shape[-1:]))
    if 'moving_variance' in variable.name:
      variable.assign(tf.abs(variable))
  return model


def function_of(model):
  spec = tf.TensorSpec([None, *IMAGES.shape[1:]])
  return tf.function(lambda images: model(images, training=False), input_signature=[spec])


def fold(function):
  """Returns how many batch norms were folded, and the operations that are left."""
  constant = convert_to_constants.convert_variables_to_constants_v2(function.get_concrete_function())
  graph = folding.fold_batch_norms(constant.graph.as_graph_def(), [tensor.name for tensor in constant.outputs])
  return sum(node.name.endswith('folded_kernel') for node in graph.node), [node.op for node in graph.node]


def check_values(function, tolerance):
  """The frozen function, in which batch norms are folded, computes the same."""
  (frozen,) = freezing.freeze([function])
  expected = function(tf.constant(IMAGES)).numpy()
  error = np.abs(frozen(tf.constant(IMAGES)).numpy() - expected).max()
  assert error < tolerance * np.abs(expected).max()


@pytest.mark.parametrize('synchronized', [False, True])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize(
  'convolution',
  [
    lambda: tf_keras.layers.Conv2D(8, 3, strides=2, use_bias=False),
    lambda: tf_keras.layers.Conv2D(8, 3),
    lambda: tf_keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding='same'),
    lambda: tf_keras.layers.SeparableConv2D(8, 3, use_bias=False),
  ],
  ids=['dense', 'with bias', 'depthwise', 'separable'],
)
def test_a_batch_norm_after_a_convolution(convolution, dtype, synchronized):
  with precision.computing_in(dtype):
    model = model_of(
      convolution(), NORM(epsilon=0.1, synchronized=synchronized), tf_keras.layers.ReLU(6.0), convolution()
    )
  function = function_of(model)
  number, operations = fold(function)
  assert number == 1 and operations.count('Const') < 8
  assert not {'FusedBatchNormV3', 'Mul', 'Rsqrt'} & set(operations)
  check_values(function, 0.02 if dtype == 'bfloat16' else 1e-5)


def test_a_kernel_of_several_convolutions_stays():
  shared, norms = tf_keras.layers.Conv2D(8, 3, name='shared'), [NORM(), NORM()]
  inputs = tf_keras.Input(IMAGES.shape[1:])
  sizes = [inputs, tf_keras.layers.MaxPool2D()(inputs)]
  outputs = [tf.reduce_sum(norm(shared(x)), [1, 2]) for norm, x in zip(norms, sizes, strict=True)]
  model = tf_keras.Model(inputs, outputs[0] + outputs[1])
  function = function_of(model)
  number, operations = fold(function)
  assert number == 0 and operations.count('FusedBatchNormV3') == 2
  check_values(function, 1e-5)


def test_a_convolution_that_something_else_reads_stays():
  inputs = tf_keras.Input(IMAGES.shape[1:])
  features = tf_keras.layers.Conv2D(8, 3)(inputs)
  model = tf_keras.Model(inputs, features + NORM()(features))
  assert fold(function_of(model))[0] == 0
  check_values(function_of(model), 1e-5)


def residual(use_norm):
  """Convolutions whose results are added to their inputs, several in a row."""
  layers = tf_keras.layers
  x = images = layers.Input(IMAGES.shape[1:])
  x = layers.Conv2D(16, 3, padding='same')(x)
  for _ in range(6):
    y = layers.Conv2D(16, 3, padding='same', use_bias=not use_norm)(x)
    x = layers.ReLU()(layers.Add()([x, NORM()(y) if use_norm else y]))
  model = tf_keras.Model(images, x)
  for variable in model.variables:
    if len(variable.shape) == 1:
      variable.assign_add(np.linspace(0.1, 0.5, 16))  # TensorFlow leaves out the biases that are 0.
  return model


@pytest.mark.parametrize('use_norm', [True, False])
def test_threads_may_share_residual_convolutions(use_norm):
  """TensorFlow's own convolution with bias and sum is not safe, and ends in a segmentation fault as a rule."""
  model = residual(use_norm)
  spec = tf.TensorSpec(IMAGES.shape)  # Only where shapes are known does TensorFlow join the sum to the convolution.
  (frozen,) = freezing.freeze([tf.function(lambda images: model(images, training=False), input_signature=[spec])])
  images = [tf.constant(np.roll(IMAGES, shift, axis=2)) for shift in range(16)] * 10
  alone = [frozen(image).numpy() for image in images]
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    together = [found.numpy() for found in pool.map(frozen, images)]
  for expected, found in zip(alone, together, strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_batch_norm_after_a_batch_norm_is_left():
  model = model_of(tf_keras.layers.Conv2D(8, 3), NORM(), NORM(), tf_keras.layers.ReLU())
  assert fold(function_of(model))[0] == 1
  check_values(function_of(model), 1e-5)
