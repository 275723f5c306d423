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
"""Stacks pyramids of inverted bottlenecks on the features of a backbone: MnasFPN (arXiv 1912.01106)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.layers.inverted_stage import MnasStage, as_spec, check_cells, pointwise, pool
from nasfpn_tf.topology import PyramidSpec

EXPANSIONS = (256, 128, 128, 128, 96)
KERNEL_SIZES = (3, 3, 3, 5, 3)


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class MnasFPN(tf_keras.layers.Layer):
  """N stacked pyramids of inverted bottlenecks of D filters.

  The first pyramid reads the backbone's features as they are, at any width. A level that the backbone lacks is the max
  pool of the level before, over 3x3 of stride 2, then a 1x1 convolution to D filters with batch norm.

  Attributes:
    spec: the topology.
    coarse_convs: {level: 1x1 convolution} of the levels that the backbone lacks.
    coarse_norms: {level: the batch norm after it}.
    stages: the `MnasStage`s, first to last.
  """

  def __init__(
    self,
    spec: PyramidSpec | Mapping[str, Any] | str = 'mnas_fpn',
    num_repeats: int = 4,
    num_filters: int = 48,
    expansions: Sequence[int] = EXPANSIONS,
    kernel_sizes: Sequence[int] = KERNEL_SIZES,
    backbone_max_level: int | None = None,
    **kwargs,
  ):
    """Creates the stages.

    Args:
      spec: the topology: a `PyramidSpec`, or what `topology.resolve` takes; its cells are sums.
      num_repeats: how many pyramids are stacked (N).
      num_filters: width of every output (D).
      expansions: width inside of each cell of a pyramid.
      kernel_sizes: side of the separable convolution of each cell of a pyramid.
      backbone_max_level: coarsest level that is read from the backbone; None: every level that it gives.
      **kwargs: the fields of `ConvOptions`, with the activation relu6 by default, and arguments of the Keras layer
        (name, dtype).

    Raises:
      ValueError: a setting is out of range, or the topology cannot be read or has other cells.
    """
    options = ConvOptions.take(kwargs, activation='relu6')
    super().__init__(**kwargs)
    for key, value in (('num_repeats', num_repeats), ('num_filters', num_filters)):
      if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'mnas_fpn: {key} must be a positive integer, not {value!r}.')
    self.spec = as_spec(spec)
    check_cells(self.spec, expansions, kernel_sizes)
    self.num_repeats = num_repeats
    self.num_filters = num_filters
    self._backbone_max_level = backbone_max_level
    self._options = options
    self._cells = {'expansions': list(expansions), 'kernel_sizes': list(kernel_sizes)}
    self.coarse_convs: dict[str, tf_keras.layers.Conv2D] = {}
    self.coarse_norms: dict[str, tf_keras.layers.BatchNormalization] = {}
    self.stages = [
      MnasStage(
        self.spec,
        num_filters,
        **self._cells,
        cell_options=options.to_dict(),
        dtype=self.dtype_policy,
        name=f'stage_{i}',
      )
      for i in range(num_repeats)
    ]

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """{level: [batch, height_l, width_l, num_filters]} of the features the layer was built with."""
    return self._output_specs

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    for level in self.spec.levels[len(self.given_levels(input_shape)) :]:
      name = f'coarse_{level}'
      self.coarse_convs[str(level)] = pointwise(self.num_filters, self._options, dtype=self.dtype_policy, name=name)
      self.coarse_norms[str(level)] = self._options.batch_norm(dtype=self.dtype_policy, name=f'{name}_norm')
    self._output_specs = self.compute_output_shape(input_shape)
    super().build(input_shape)

  def project(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
    """Returns the inputs of the first stage, one for each level, from the features of a backbone."""
    inputs = [features[level] for level in self.given_levels(features)]
    for level in map(str, self.spec.levels[len(inputs) :]):
      x = self.coarse_convs[level](pool(inputs[-1], 2))
      inputs.append(self.coarse_norms[level](x, training=training))
    return inputs

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
    """Computes the pyramid.

    Args:
      features: {level: [batch, height_l, width_l, channels_l]} of the backbone, levels as strings; each level is half
        the size of the one before. Levels finer than the topology's or coarser than `backbone_max_level` are left out.
      training: whether batch norms use and update the statistics of the batch.

    Returns:
      {level: [batch, height_l, width_l, num_filters]} for all levels of the topology, without activation.
    """
    pyramid = self.project(features, training=training)
    for stage in self.stages:
      pyramid = stage(pyramid, training=training)
    return {str(level): feature for level, feature in zip(self.spec.levels, pyramid, strict=True)}

  def given_levels(self, features: Mapping[str, Any]) -> list[str]:
    """Returns the levels that are read from a backbone's features, finest first.

    Raises:
      ValueError: the finest level of the topology is not among them, or one between two that are.
    """
    last = min(self._backbone_max_level or max(map(int, features)), self.spec.max_level)
    levels = [str(level) for level in range(self.spec.min_level, last + 1)]
    missing = [level for level in levels or [str(self.spec.min_level)] if level not in features]
    if missing:
      raise ValueError(
        f'mnas_fpn: pyramid {self.spec.name!r} reads levels {self.spec.min_level}..{last} of the backbone, which has'
        f' {", ".join(sorted(features))}: level {missing[0]} is missing.'
      )
    return levels

  def compute_output_shape(self, input_shape: Mapping[str, tf.TensorShape]) -> dict[str, tf.TensorShape]:
    batch, height, width, _ = tf.TensorShape(input_shape[self.given_levels(input_shape)[0]])
    return {
      str(level): tf.TensorShape([batch, height and height >> i, width and width >> i, self.num_filters])
      for i, level in enumerate(self.spec.levels)
    }

  def get_config(self) -> dict[str, Any]:
    return {
      **super().get_config(),
      'spec': self.spec.to_dict(),
      'num_repeats': self.num_repeats,
      'num_filters': self.num_filters,
      **self._cells,
      'backbone_max_level': self._backbone_max_level,
      **self._options.to_dict(),
    }
