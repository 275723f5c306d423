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
import tf_keras

from nasfpn_tf.layers import blocks
from tests import testing


@pytest.mark.parametrize('separable', [False, True])
def test_conv_batch_norm_keeps_the_layer_contract(separable):
  kwargs = {'num_filters': 6, 'kernel_size': 3, 'use_separable_conv': separable, 'kernel_regularizer': 'l2'}
  layer = testing.run_layer_test(
    blocks.ConvBatchNorm, kwargs, np.random.default_rng(0).normal(size=[2, 5, 4, 3]).astype('float32'), (2, 5, 4, 6)
  )
  assert len(layer.losses) == (2 if separable else 1), 'each kernel is regularized, the bias is not'


def test_sync_batch_norm_is_passed_on():
  layer = blocks.ConvBatchNorm(4, 1, use_sync_bn=True, norm_momentum=0.9, norm_epsilon=1e-4)
  assert layer.norm.synchronized
  assert (layer.norm.momentum, layer.norm.epsilon) == (0.9, 1e-4)


def test_kernels_start_with_the_variance_of_he_over_fan_out():
  layer = blocks.ConvBatchNorm(64, 3)
  layer.build([None, 8, 8, 32])
  layer(tf.zeros([1, 8, 8, 32]))
  kernel = layer.conv.kernel.numpy()
  np.testing.assert_allclose(kernel.var(), 2 / (9 * 64), rtol=0.05)
  assert np.abs(kernel).max() > 3 * kernel.std(), 'a truncated normal would end at two deviations'
  assert not layer.conv.bias.numpy().any()


def test_activations_are_those_of_the_configs():
  x = tf.constant([-4.0, -1.0, 0.0, 2.0, 8.0])
  np.testing.assert_allclose(blocks.get_activation('relu6')(x), [0, 0, 0, 2, 6])
  np.testing.assert_allclose(blocks.get_activation('hard_swish')(x), [0, -1 / 3, 0, 5 / 3, 8], rtol=1e-6)
  np.testing.assert_allclose(blocks.get_activation('swish')(x), tf_keras.activations.swish(x))
  np.testing.assert_allclose(blocks.get_activation('gelu')(x), tf_keras.activations.gelu(x))
  with pytest.raises(ValueError, match=r"activation 'rellu' is unknown.*relu6"):
    blocks.get_activation('rellu')
