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

from nasfpn_tf import config
from nasfpn_tf.modeling import cost, detector


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


def test_counts_as_the_profiler_of_tensorflow():
  """Its float operations are a multiplication and an addition each; what is no convolution is left out of both."""
  model = detector.build_detector(
    config.Detector(
      num_classes=3,
      input_size=[128, 128, 3],
      max_level=5,
      backbone={'type': 'applications', 'applications': {'name': 'mobilenet_v3_small'}},
      decoder={'feature_pyramid': {'num_repeats': 1, 'num_filters': 16, 'use_separable_conv': True}},
      head={'num_convs': 1},
    )
  )

  def forward(images):
    return model.head(model.decoder(model.backbone(images, training=False), training=False))

  graph = tf.function(forward).get_concrete_function(tf.TensorSpec([1, 128, 128, 3])).graph
  options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
  options |= {'output': 'none', 'account_type_regexes': ['Conv2D', 'DepthwiseConv2dNative', 'MatMul', 'BatchMatMulV2']}
  profile = tf.compat.v1.profiler.profile(graph=graph, options=options)
  assert profile.total_float_ops == 2 * cost.count_multiply_adds(model, (128, 128))
  parts = cost.multiply_adds_by_part(model, (128, 128))
  assert list(parts) == ['backbone', 'decoder', 'head'] and min(parts.values()) > 0
  assert cost.count_trainable_params(model) < cost.count_params(model)
