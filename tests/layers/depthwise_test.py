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

"""Tests the strided depthwise convolution beside the layer of tf_keras, in the precisions that it is trained in."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import depthwise
from nasfpn_tf.layers.depthwise import StridedDepthwiseConv2D


def _pair(dtype, **options):
  """The layer and the one of tf_keras with the same weights."""
  options = {'kernel_size': 3, 'strides': 2, 'dtype': dtype, **options}
  layers = StridedDepthwiseConv2D(**options), tf_keras.layers.DepthwiseConv2D(**options)
  for layer in layers:
    layer.build([None, 16, 24, 8])
  layers[1].set_weights(layers[0].get_weights())
  return layers


def _gradients(layer, images, upstream):
  with tf.GradientTape() as tape:
    tape.watch(images)
    outputs = layer(images, training=True)
  of_images, of_kernel = tape.gradient(outputs, [images, layer.trainable_variables[0]], upstream)
  return [np.array(tf.cast(x, tf.float32)) for x in (outputs, of_images, of_kernel)]


@pytest.mark.parametrize(
  'options',
  [{}, {'padding': 'same'}, {'depth_multiplier': 2}, {'use_bias': False, 'activation': 'relu6', 'strides': 4}],
  ids=str,
)
def test_outputs_and_gradients_are_those_of_tf_keras(options):
  ours, theirs = _pair('mixed_bfloat16', **options)
  random = tf.random.Generator.from_seed(0)
  images = tf.cast(random.normal([2, 16, 24, 8]), tf.bfloat16)
  upstream = tf.cast(random.normal(theirs(images).shape), tf.bfloat16)
  for mine, other in zip(_gradients(ours, images, upstream), _gradients(theirs, images, upstream), strict=True):
    np.testing.assert_allclose(mine, other, rtol=2e-2, atol=2e-2)
    assert np.abs(mine).max() > 0.1


def test_only_a_training_step_in_bfloat16_has_a_gradient_of_its_own(monkeypatch):
  def called(self, inputs, kernel):
    raise AssertionError('called')

  monkeypatch.setattr(StridedDepthwiseConv2D, '_convolve', called)
  images = tf.ones([1, 16, 24, 8])
  _pair('float32')[0](images, training=True)
  ours = _pair('mixed_bfloat16')[0]
  ours(images, training=False)
  with pytest.raises(AssertionError, match='called'):
    ours(images, training=True)
  monkeypatch.setattr(depthwise, 'has_cpu_only', lambda: False)
  ours(images, training=True)


def test_the_gradient_in_a_graph_knows_sizes_that_are_not_static():
  layer, _ = _pair('mixed_bfloat16', padding='same')

  @tf.function(input_signature=[tf.TensorSpec([None, None, None, 8], tf.bfloat16)])
  def of_images(images):
    return tf.gradients(layer(images, training=True), images)[0]

  assert of_images(tf.ones([3, 10, 6, 8], tf.bfloat16)).shape == [3, 10, 6, 8]
