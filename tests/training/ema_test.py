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

"""The moving average swaps in and out without changing a bit."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.training import ema


@pytest.mark.parametrize('strategy', [None, 'one_device'])
def test_swapping_twice_is_exact(strategy):
  strategy = tf.distribute.OneDeviceStrategy('CPU:0') if strategy else tf.distribute.get_strategy()
  with strategy.scope():
    layer = tf_keras.layers.Dense(3, kernel_initializer=tf_keras.initializers.RandomNormal(stddev=1e3, seed=1))
    layer.build([None, 4])
    average = ema.MovingAverage(tf_keras.optimizers.legacy.SGD(1e-7), average_decay=0.7, dynamic_decay=False)
    average.shadow_copy(layer)

    def step():
      average.apply_gradients([(tf.ones_like(w), w) for w in layer.trainable_variables])

    tf.function(lambda: strategy.run(step))()
    weights = [w.numpy() for w in layer.trainable_variables]
    average.swap_weights()
    averaged = [w.numpy() for w in layer.trainable_variables]
    for w, a in zip(weights, averaged, strict=True):
      np.testing.assert_allclose(a, 0.3 * w, rtol=1e-5)  # From zero, by one step of decay 0.7.
    average.swap_weights()
    for w, again in zip(weights, layer.trainable_variables, strict=True):
      np.testing.assert_array_equal(w, again.numpy())
    average.swaps = False
    average.swap_weights()
    np.testing.assert_array_equal(weights[0], layer.trainable_variables[0].numpy())
