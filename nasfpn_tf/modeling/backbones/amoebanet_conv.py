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

"""Builds the convolutions of AmoebaNet: activation, convolution without bias, batch norm."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions


def _kernel_initializer() -> tf_keras.initializers.Initializer:
  """Returns the initializer of the authors' code: He's, over fan-out, truncated."""
  return tf_keras.initializers.VarianceScaling(scale=2.0, mode='fan_out', distribution='truncated_normal')


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class ActivatedConv(tf_keras.layers.Layer):
  """Activation, convolution without bias and with 'same' padding, batch norm."""

  def __init__(
    self,
    num_filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    **kwargs,
  ):
    """Creates the layers.

    Args:
      num_filters: width of the output.
      kernel_size: of the convolution.
      strides: of the convolution.
      **kwargs: of `ConvOptions`, and of the Keras layer (name, dtype).
    """
    options = ConvOptions.take(kwargs)
    super().__init__(**kwargs)
    self._config = {
      'num_filters': num_filters,
      'kernel_size': kernel_size,
      'strides': strides,
      **options.to_dict(),
    }
    self._activation = blocks.get_activation(options.activation)
    self.conv = self._new_conv(num_filters, kernel_size, strides, options.kernel_regularizer, 'conv')
    self.norm = options.batch_norm(dtype=self.dtype_policy, name='norm')

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Maps [batch, height, width, channels] to [batch, height / stride, width / stride, num_filters]."""
    return self.norm(self.conv(self._activation(inputs)), training=training)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}

  def _new_conv(self, num_filters, kernel_size, strides, regularizer, name) -> tf_keras.layers.Conv2D:
    return tf_keras.layers.Conv2D(
      num_filters,
      kernel_size,
      strides,
      padding='same',
      use_bias=False,
      kernel_initializer=_kernel_initializer(),
      kernel_regularizer=regularizer,
      dtype=self.dtype_policy,
      name=name,
    )


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class HalvingConv(ActivatedConv):
  """Activation; two 1x1 convolutions of stride 2, one of them shifted right and down by one, side by side; batch norm.

  The factorised reduction of NASNet (arXiv 1707.07012): both halves together read every second cell along the diagonal.
  """

  def __init__(self, num_filters: int, **kwargs):
    """Creates the layers.

    Args:
      num_filters: width of the output, even.
      **kwargs: of `ActivatedConv`.
    """
    # The striding is done by slices: a strided 1x1 convolution of few channels is not safe with oneDNN.
    for key in ('kernel_size', 'strides'):
      kwargs.pop(key, None)
    if num_filters % 2:
      raise ValueError(f'AmoebaNet: its widths must be even to be split in two, not {num_filters}.')
    super().__init__(num_filters // 2, 1, **kwargs)
    self._config['num_filters'] = num_filters
    regularizer = tf_keras.regularizers.get(self._config['kernel_regularizer'])
    self.shifted_conv = self._new_conv(num_filters // 2, 1, 1, regularizer, 'shifted_conv')

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Maps [batch, height, width, channels] to [batch, ceil(height / 2), ceil(width / 2), num_filters]."""
    inputs = self._activation(inputs)
    # Zeros follow an odd last row or column.
    odd = [[0, 0], *([0, 0 if size is not None and size % 2 == 0 else 1] for size in inputs.shape[1:3]), [0, 0]]
    shifted = inputs if odd == [[0, 0]] * 4 else tf.pad(inputs, odd)
    shifted = shifted[:, 1::2, 1::2]
    halves = [self.conv(inputs[:, ::2, ::2]), self.shifted_conv(shifted)]
    return self.norm(tf.concat(halves, axis=-1), training=training)
