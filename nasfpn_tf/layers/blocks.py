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

"""Builds the convolutions of the pyramid, with NAS-FPN's initializers and batch norm."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers.conv_options import ConvOptions

PACKAGE = 'nasfpn_tf'


def _hard_swish(x: tf.Tensor) -> tf.Tensor:
  return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


_ACTIVATIONS = {
  'relu': tf.nn.relu,
  'relu6': tf.nn.relu6,
  'swish': tf.nn.silu,
  'silu': tf.nn.silu,
  'hard_swish': _hard_swish,
  'linear': tf.identity,
}


def get_activation(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the activation that Model Garden or tf_keras calls `name`; a ValueError if neither has it."""
  if name in _ACTIVATIONS:
    return _ACTIVATIONS[name]
  try:
    return tf_keras.activations.get(name)
  except (TypeError, ValueError) as e:
    raise ValueError(
      f'activation {name!r} is unknown; use one of {", ".join(_ACTIVATIONS)} or another name of tf_keras.activations.'
    ) from e


def kernel_initializer() -> tf_keras.initializers.Initializer:
  """Returns NAS-FPN's initializer of convolution kernels: He's, over fan-out, not truncated."""
  return tf_keras.initializers.VarianceScaling(scale=2.0, mode='fan_out', distribution='untruncated_normal')


@tf_keras.utils.register_keras_serializable(PACKAGE)
class ConvBatchNorm(tf_keras.layers.Layer):
  """Convolution with bias, then batch norm; stride 1, 'same' padding, no activation.

  The bias is redundant before a batch norm; it is kept because the authors' code and Model Garden have it, so that
  their weights can be loaded.

  Attributes:
    conv: the `Conv2D` or `SeparableConv2D`.
    norm: the `BatchNormalization`.
  """

  def __init__(
    self,
    num_filters: int,
    kernel_size: int,
    use_separable_conv: bool = False,
    norm_gamma: float = 1.0,
    **kwargs,
  ):
    """Creates the two layers.

    Args:
      num_filters: width of the output.
      kernel_size: side of the square kernel.
      use_separable_conv: depthwise then pointwise, as in NAS-FPNLite.
      norm_gamma: initial scale of the batch norm.
      **kwargs: the fields of `ConvOptions` but the activation, and arguments of the Keras layer (name, dtype).
    """
    options = ConvOptions.take(kwargs, but=['activation'])
    super().__init__(**kwargs)
    self._config = {
      'num_filters': num_filters,
      'kernel_size': kernel_size,
      'use_separable_conv': use_separable_conv,
      **options.to_dict(but=['activation']),
      'norm_gamma': norm_gamma,
    }
    dtype = self.dtype_policy
    if use_separable_conv:
      self.conv = tf_keras.layers.SeparableConv2D(
        num_filters,
        kernel_size,
        padding='same',
        depthwise_initializer=kernel_initializer(),
        pointwise_initializer=kernel_initializer(),
        depthwise_regularizer=options.kernel_regularizer,
        pointwise_regularizer=options.kernel_regularizer,
        dtype=dtype,
        name='conv',
      )
    else:
      self.conv = tf_keras.layers.Conv2D(
        num_filters,
        kernel_size,
        padding='same',
        kernel_initializer=kernel_initializer(),
        kernel_regularizer=options.kernel_regularizer,
        dtype=dtype,
        name='conv',
      )
    self.norm = options.batch_norm(
      gamma_initializer=tf_keras.initializers.Constant(norm_gamma), dtype=dtype, name='norm'
    )

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Maps [batch, height, width, channels] to [batch, height, width, num_filters]."""
    return self.norm(self.conv(inputs), training=training)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}
