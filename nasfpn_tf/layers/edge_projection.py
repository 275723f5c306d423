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

"""Projects backbone features with a separate convolution for each use, as EfficientDet's first BiFPN does."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.input_projection import InputProjection
from nasfpn_tf.layers.resample import downsample
from nasfpn_tf.topology import PyramidSpec


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class EdgeProjection(InputProjection):
  """Projects like `InputProjection`, but with a separate 1x1 convolution for each cell that reads a backbone feature.

  The first level that the backbone lacks has a convolution of its own too, on the backbone's coarsest feature before
  the max pooling (google/automl efficientdet, `fpn_configs` and `resample_feature_map`).
  """

  def __init__(
    self,
    num_uses: Mapping[str, int],
    min_level: int,
    max_level: int,
    num_filters: int,
    conv_options: Mapping[str, Any],
    **kwargs,
  ):
    """Keeps the settings.

    Args:
      num_uses: {level: how many cells read the pyramid's input of that level}; see `uses`.
      min_level: see `InputProjection`.
      max_level: see `InputProjection`.
      num_filters: see `InputProjection`.
      conv_options: see `InputProjection`.
      **kwargs: of the Keras layer (name, dtype).
    """
    super().__init__(min_level, max_level, num_filters, conv_options, **kwargs)
    self._num_uses = dict(num_uses)

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    given = self.given_levels(input_shape)
    names = [
      f'{level}_{i}'
      for level in given
      if tf.TensorShape(input_shape[level])[-1] != self._num_filters
      for i in range(self._num_uses[level])
    ]
    first_missing = int(given[-1]) + 1
    if first_missing <= self._max_level and tf.TensorShape(input_shape[given[-1]])[-1] != self._num_filters:
      names.append(str(first_missing))
    self.convs = {
      name: blocks.ConvBatchNorm(
        self._num_filters, 1, **self._conv_options, dtype=self.dtype_policy, name=f'level_{name}'
      )
      for name in names
    }
    tf_keras.layers.Layer.build(self, input_shape)

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor | list[tf.Tensor]]:
    """Projects like `InputProjection.call`, but to a list per level: a feature for each use, in order of the cells."""
    given = self.given_levels(features)
    self._check_sizes({level: features[level].shape for level in given})
    projected = []
    for level in given:
      names = [f'{level}_{i}' for i in range(self._num_uses[level])]
      convs = [self.convs[name] for name in names if name in self.convs]
      feature = features[level]
      projected.append([conv(feature, training=training) for conv in convs] if convs else feature)
    coarsest = features[given[-1]]
    for level in range(int(given[-1]) + 1, self._max_level + 1):
      if str(level) in self.convs:
        coarsest = self.convs[str(level)](coarsest, training=training)
      coarsest = downsample(coarsest, 2, self._overlapping_pools)
      projected.append(coarsest)
    return projected

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'num_uses': self._num_uses}


def uses(spec: PyramidSpec) -> dict[str, int]:
  """Counts, by level, the cells of a pyramid that read its input of that level."""
  read = [feature for wires in spec.wiring() for feature in wires]
  return {str(level): read.count(i) for i, level in enumerate(spec.levels)}
