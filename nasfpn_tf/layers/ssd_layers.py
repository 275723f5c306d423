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
"""Implements the feature layers of SSDLite: no fusion; strided convolutions make the coarse levels one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class SSDLayers(tf_keras.layers.Layer):
  """SSDLite's features (arXiv 1801.04381, sec. 6.2): the backbone's as they are, then a separable block for each level.

  A block is a 1x1 convolution to half of its width, a depthwise 3x3 one of stride 2 and a 1x1 one to its width, each
  with batch norm and activation, as in the Object Detection API.

  Args:
    min_level: finest level handed out; the backbone has it.
    extra_filters: width of each level behind the backbone's last, from fine to coarse.
    backbone_max_level: coarsest level that is read from the backbone; None: the coarsest that is given.
    **kwargs: the fields of `ConvOptions`, with the activation after every batch norm (relu6 by default) and the
      regularizer for 1x1 kernels only (depthwise ones have none, as in Model Garden's MobileNets); and arguments of the
      Keras layer (name, dtype).

  Raises:
    ValueError: a width is not positive.
  """

  def __init__(
    self,
    min_level: int = 4,
    extra_filters: Sequence[int] = (512, 256, 256, 128),
    backbone_max_level: int | None = None,
    **kwargs,
  ):
    conv_options = ConvOptions.take(kwargs, activation='relu6')
    super().__init__(**kwargs)
    if any(width < 2 for width in extra_filters):
      raise ValueError(f'extra_filters {list(extra_filters)}: a layer needs at least 2 filters.')
    self._config = {
      'min_level': min_level,
      'extra_filters': list(extra_filters),
      **conv_options.to_dict(),
      'backbone_max_level': backbone_max_level,
    }
    self._activation = blocks.get_activation(conv_options.activation)
    dtype = self.dtype_policy
    options = {'padding': 'same', 'use_bias': False, 'dtype': dtype}

    def pointwise(width, name):
      return tf_keras.layers.Conv2D(
        width,
        1,
        kernel_initializer=blocks.kernel_initializer(),
        kernel_regularizer=conv_options.kernel_regularizer,
        name=name,
        **options,
      )

    # Flat lists: Keras' own file format does not look into nested ones.
    self.convs = []
    for i, width in enumerate(extra_filters):
      self.convs += [
        pointwise(width // 2, f'block_{i}_reduce'),
        tf_keras.layers.DepthwiseConv2D(
          3, 2, depthwise_initializer=blocks.kernel_initializer(), name=f'block_{i}_depthwise', **options
        ),
        pointwise(width, f'block_{i}_expand'),
      ]
    self.norms = [conv_options.batch_norm(dtype=dtype, name=f'{conv.name}_norm') for conv in self.convs]

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
    """Adds the coarse levels.

    Args:
      features: {level: [batch, height_l, width_l, channels_l]}; levels finer than `min_level` or coarser than
        `backbone_max_level` are left out.
      training: whether batch norms use the statistics of the batch.

    Returns:
      {level: [batch, height_l, width_l, channels_l]}; sides behind the backbone are halved and rounded up.
    """
    level = self._config['backbone_max_level'] or max(map(int, features))
    outputs = {key: x for key, x in features.items() if self._config['min_level'] <= int(key) <= level}
    x = features[str(level)]
    for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
      x = self._activation(norm(conv(x), training=training))
      if i % 3 == 2:  # A block ends.
        level += 1
        outputs[str(level)] = x
    return outputs

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}
