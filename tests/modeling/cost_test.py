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
"""Tests of the counters of a built detector; the published figures are in golden_test.py."""

import types

import tensorflow as tf
import tf_keras

from nasfpn_tf.modeling import cost


def _parts(layers, head=lambda features: features):
  """Something with the parts of a detector: `layers` as its backbone."""
  backbone = tf_keras.Sequential(layers)
  backbone.build((None, 32, 64, 3))
  return types.SimpleNamespace(backbone=backbone, decoder=None, head=head)


def test_counts_convolutions_by_what_they_read():
  layers = [
    tf_keras.layers.Conv2D(8, 3, strides=2, padding='same'),
    tf_keras.layers.BatchNormalization(),
    tf_keras.layers.DepthwiseConv2D(5, padding='same'),
    tf_keras.layers.SeparableConv2D(16, 3, padding='valid'),
    tf_keras.layers.Conv2D(4, 1, groups=2),
    tf_keras.layers.GlobalAveragePooling2D(),
    tf_keras.layers.Dense(10),
  ]
  expected = 16 * 32 * 8 * 9 * 3 + 16 * 32 * 8 * 25 + 14 * 30 * (8 * 9 + 8 * 16) + 14 * 30 * 4 * 8 + 4 * 10
  assert cost.count_multiply_adds(_parts(layers), (32, 64)) == expected


def test_counts_what_is_inside_a_called_function():
  convolution = tf_keras.layers.Conv2D(8, 3, padding='same', use_bias=False)
  convolution.build((None, 32, 64, 3))
  wrapped = tf.function(lambda x: tf.nn.conv2d(x, convolution.kernel, 1, 'SAME'), autograph=False)
  parts = _parts([tf_keras.layers.ReLU()], head=wrapped)
  assert cost.count_multiply_adds(parts, (32, 64)) == 32 * 64 * 8 * 27


def test_counts_a_shared_parameter_once():
  shared = tf_keras.layers.Dense(4)
  model = tf_keras.Sequential([tf_keras.Input([4]), shared, tf_keras.layers.BatchNormalization(), shared])
  assert cost.count_params(model) == 4 * 4 + 4 + 4 * 4
