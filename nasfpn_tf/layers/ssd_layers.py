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
"""The feature layers of SSDLite: no fusion, the coarse levels made one after the other by stride 2."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class SSDLayers(tf_keras.layers.Layer):
  """SSDLite's features (arXiv 1801.04381, sec. 6.2): the backbone's as they are, then a separable block for each level.

  A block is a 1x1 convolution to half of its width, a depthwise 3x3 one of stride 2 and a 1x1 one to its width, each
  with batch norm and activation, as in the Object Detection API.

  Args:
    min_level: finest level handed out; the backbone has it.
    extra_filters: width of each level behind the backbone's last, from fine to coarse.
    activation: behind every batch norm.
    use_sync_bn: batch statistics over all replicas instead of one.
    norm_momentum: momentum of the moving statistics.
    norm_epsilon: added to the variance.
    kernel_regularizer: of the 1x1 kernels; depthwise ones have none, as in Model Garden's MobileNets.
    backbone_max_level: coarsest level that is read from the backbone; None: the coarsest that is given.
    **kwargs: of the Keras layer (name, dtype).

  Raises:
    ValueError: a width is not positive.
  """

  def __init__(
    self,
    min_level: int = 4,
    extra_filters: Sequence[int] = (512, 256, 256, 128),
    activation: str = 'relu6',
    use_sync_bn: bool = False,
    norm_momentum: float = 0.99,
    norm_epsilon: float = 0.001,
    kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
    backbone_max_level: int | None = None,
    **kwargs,
  ):
    super().__init__(**kwargs)
    if any(width < 2 for width in extra_filters):
      raise ValueError(f'extra_filters {list(extra_filters)}: a layer needs 2 filters at least.')
    regularizer = tf_keras.regularizers.get(kernel_regularizer)
    self._config = {
      'min_level': min_level,
      'extra_filters': list(extra_filters),
      'activation': activation,
      'use_sync_bn': use_sync_bn,
      'norm_momentum': norm_momentum,
      'norm_epsilon': norm_epsilon,
      'kernel_regularizer': tf_keras.regularizers.serialize(regularizer),
      'backbone_max_level': backbone_max_level,
    }
    self._activation = blocks.get_activation(activation)
    dtype = self.dtype_policy
    options = {'padding': 'same', 'use_bias': False, 'dtype': dtype}

    def pointwise(width, name):
      return tf_keras.layers.Conv2D(
        width, 1, kernel_initializer=blocks.kernel_initializer(), kernel_regularizer=regularizer, name=name, **options
      )

    def norm(name):
      return tf_keras.layers.BatchNormalization(
        momentum=norm_momentum, epsilon=norm_epsilon, synchronized=use_sync_bn, dtype=dtype, name=name
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
    self.norms = [norm(f'{conv.name}_norm') for conv in self.convs]

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
