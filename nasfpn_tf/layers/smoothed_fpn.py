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

"""Builds the FPN of the Object Detection API, whose separable form is FPNLite."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks, resample
from nasfpn_tf.layers.conv_options import ConvOptions


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class SmoothedFPN(tf_keras.layers.Layer):
  """Passes on smoothed features: each sum goes through a 3x3 convolution, batch norm and activation first.

  In FPN (arXiv 1612.03144) the sums go on, and their convolutions are for the outputs only. The backbone's coarsest
  level is its projection alone. Each coarser one is a 3x3 convolution of stride 2 of the level before, with batch norm
  and activation; where a side is odd, it is halved and rounded up (`KerasFpnTopDownFeatureMaps` and
  `SSDMobileNetV2FpnKerasFeatureExtractor` of the Object Detection API).

  Args:
    min_level: finest level; the backbone has it.
    max_level: coarsest level.
    num_filters: width of every feature.
    use_separable_conv: separable 3x3 convolutions, as in FPNLite.
    backbone_max_level: coarsest level that is read from the backbone; None: the coarsest that is given.
    **kwargs: the fields of `ConvOptions`, with the activation relu6 by default, and arguments of the Keras layer (name,
      dtype).

  Attributes:
    projections: {level: 1x1 convolution of the backbone's feature}.
    convs: {level: 3x3 convolution}, of all levels but the backbone's coarsest.
    norms: {level: the batch norm after it}.
  """

  def __init__(
    self,
    min_level: int = 3,
    max_level: int = 7,
    num_filters: int = 128,
    use_separable_conv: bool = True,
    backbone_max_level: int | None = None,
    **kwargs,
  ):
    options = ConvOptions.take(kwargs, activation='relu6')
    super().__init__(**kwargs)
    self._config = {
      'min_level': min_level,
      'max_level': max_level,
      'num_filters': num_filters,
      'use_separable_conv': use_separable_conv,
      'backbone_max_level': backbone_max_level,
      **options.to_dict(),
    }
    self._options = options
    self._activation = blocks.get_activation(options.activation)
    self.projections: dict[str, tf_keras.layers.Conv2D] = {}
    self.convs: dict[str, tf_keras.layers.Layer] = {}
    self.norms: dict[str, tf_keras.layers.BatchNormalization] = {}

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """{level: [batch, height_l, width_l, num_filters]} of the features the layer was built with."""
    return self._output_specs

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    first, last = self._config['min_level'], self._last(input_shape)
    width = self._config['num_filters']
    for level in range(first, last + 1):
      self.projections[str(level)] = tf_keras.layers.Conv2D(
        width,
        1,
        kernel_initializer=blocks.kernel_initializer(),
        kernel_regularizer=self._options.kernel_regularizer,
        dtype=self.dtype_policy,
        name=f'projection_{level}',
      )
    for level in range(first, self._config['max_level'] + 1):
      if level != last:
        self.convs[str(level)] = self._conv(2 if level > last else 1, f'conv_{level}')
        self.norms[str(level)] = self._options.batch_norm(dtype=self.dtype_policy, name=f'norm_{level}')
    self._output_specs = self.compute_output_shape(input_shape)
    super().build(input_shape)

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
    """Computes the pyramid.

    Args:
      features: {level: [batch, height_l, width_l, channels_l]} of the backbone, levels as strings; levels finer than
        `min_level` or coarser than `backbone_max_level` are left out.
      training: whether batch norms use the statistics of the batch.

    Returns:
      {level: [batch, height_l, width_l, num_filters]}.
    """
    first, last = self._config['min_level'], self._last(features)
    outputs = {str(last): self.projections[str(last)](features[str(last)])}
    for level in range(last - 1, first - 1, -1):
      summed = self.projections[str(level)](features[str(level)]) + resample.upsample(outputs[str(level + 1)], 2)
      outputs[str(level)] = self._smooth(summed, str(level), training)
    for level in range(last + 1, self._config['max_level'] + 1):
      outputs[str(level)] = self._smooth(outputs[str(level - 1)], str(level), training)
    return {str(level): outputs[str(level)] for level in range(first, self._config['max_level'] + 1)}

  def compute_output_shape(self, input_shape: Mapping[str, tf.TensorShape]) -> dict[str, tf.TensorShape]:
    last, shapes = self._last(input_shape), {}
    for level in range(self._config['min_level'], self._config['max_level'] + 1):
      if level <= last:
        batch, *sides, _ = tf.TensorShape(input_shape[str(level)])
      else:
        sides = [side and -(-side // 2) for side in sides]
      shapes[str(level)] = tf.TensorShape([batch, *sides, self._config['num_filters']])
    return shapes

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}

  def _last(self, features: Mapping[str, Any]) -> int:
    given = self._config['backbone_max_level'] or max(map(int, features))
    return min(given, self._config['max_level'])

  def _smooth(self, feature: tf.Tensor, level: str, training: bool | None) -> tf.Tensor:
    return self._activation(self.norms[level](self.convs[level](feature), training=training))

  def _conv(self, stride: int, name: str) -> tf_keras.layers.Layer:
    options = {'padding': 'same', 'use_bias': False, 'dtype': self.dtype_policy, 'name': name}
    if not self._config['use_separable_conv']:
      return tf_keras.layers.Conv2D(
        self._config['num_filters'],
        3,
        stride,
        kernel_initializer=blocks.kernel_initializer(),
        kernel_regularizer=self._options.kernel_regularizer,
        **options,
      )
    return tf_keras.layers.SeparableConv2D(
      self._config['num_filters'],
      3,
      stride,
      depthwise_initializer=blocks.kernel_initializer(),
      pointwise_initializer=blocks.kernel_initializer(),
      depthwise_regularizer=self._options.kernel_regularizer,
      pointwise_regularizer=self._options.kernel_regularizer,
      **options,
    )
