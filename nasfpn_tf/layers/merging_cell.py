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

"""Implements the merging cell: features of any levels in, one feature out (arXiv 1904.07392, sec. 3.1.2)."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks, dropblock, merge_ops
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.topology import ops


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class MergingCell(tf_keras.layers.Layer):
  """Merge, then activation, 3x3 convolution, batch norm; no activation after it, so a pyramid's outputs have none.

  The merge operations are the functions of `layers/merge_ops.py`; `topology/ops.py` is the table of them. Features that
  join by the rule of unused features (`PyramidSpec.wiring`) are added to the merged one.

  With `residual` the cell adds one more feature of its own level to what it gives, and its batch norm begins with gamma
  0, so that the untrained cell passes that feature on (arXiv 1706.02677, sec. 5.1). The paper's cells have none.

  Attributes:
    conv_norm: the `ConvBatchNorm`.
    dropblock: the `DropBlock2D` after it, or None.
    fusion_weights: learned scalars of the merge operation, or None.
    stored: names of what an int8 runtime stores between two operations: a 'product' inside the merge operation, what is
      'merged', after the activation, and the sum with the 'residual'.
    rounding: None, or a function of a name of `stored` and its value, whose result is used in place of the value.
  """

  def __init__(
    self,
    level: int,
    op: str,
    input_levels: Sequence[int],
    num_filters: int,
    num_joined: int = 0,
    use_separable_conv: bool = False,
    dropblock_keep_prob: float = 1.0,
    dropblock_size: int = 3,
    dropblock_ramp_steps: int = 0,
    residual: bool = False,
    overlapping_pools: bool = False,
    **kwargs,
  ):
    """Creates the cell's layers.

    Args:
      level: output level.
      op: name of a merge operation of `topology/ops.py`.
      input_levels: level of each merged input.
      num_filters: width of the inputs and of the output.
      num_joined: how many features of the cell's own level follow the merged inputs.
      use_separable_conv: depthwise then pointwise, as in NAS-FPNLite.
      dropblock_keep_prob: DropBlock's keep probability; 1.0 is off.
      dropblock_size: side of the dropped blocks, in cells of the feature map.
      dropblock_ramp_steps: see `DropBlock2D`.
      residual: add the last of the given features, which is of the cell's own level, to the output.
      overlapping_pools: pool an input of a finer level over windows one cell larger than their stride.
      **kwargs: the fields of `ConvOptions`, with the activation before the convolution, and arguments of the Keras
        layer (name, dtype).

    Raises:
      ValueError: if the op is unknown or has the wrong number of inputs.
    """
    options = ConvOptions.take(kwargs)
    super().__init__(**kwargs)
    try:
      self._merge_op = ops.check(op, len(input_levels))
    except ValueError as e:
      raise ValueError(f'merging cell: {e}') from e
    self._config = {
      'level': level,
      'op': op,
      'input_levels': list(input_levels),
      'num_filters': num_filters,
      'num_joined': num_joined,
      'use_separable_conv': use_separable_conv,
      **options.to_dict(),
      'dropblock_keep_prob': dropblock_keep_prob,
      'dropblock_size': dropblock_size,
      'dropblock_ramp_steps': dropblock_ramp_steps,
      'residual': residual,
      'overlapping_pools': overlapping_pools,
    }
    self._level = level
    self._input_levels = tuple(input_levels)
    self._num_filters = num_filters
    self._merge_function = merge_ops.get(op)
    self._activation = blocks.get_activation(options.activation)
    self.stored = ('product', 'merged', 'residual') if residual else ('product', 'merged')
    self.fusion_weights: tf.Variable | None = None
    self.rounding: Callable[[str, tf.Tensor], tf.Tensor] | None = None
    self.conv_norm = blocks.ConvBatchNorm(
      num_filters,
      3,
      use_separable_conv=use_separable_conv,
      **options.to_dict(but=['activation']),
      norm_gamma=0.0 if residual else 1.0,
      dtype=self.dtype_policy,
      name='conv_norm',
    )
    self.dropblock = None
    if dropblock_keep_prob != 1.0:
      self.dropblock = dropblock.DropBlock2D(
        dropblock_keep_prob, dropblock_size, dropblock_ramp_steps, dtype=self.dtype_policy, name='dropblock'
      )

  def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
    input_shape = [input_shape] if isinstance(input_shape, tf.TensorShape) else input_shape
    needed = len(self._input_levels) + self._config['num_joined'] + self._config['residual']
    if len(input_shape) != needed:
      raise ValueError(f'merging cell {self.name!r}: takes {needed} features, {len(input_shape)} were given.')
    widths = [tf.TensorShape(shape)[-1] for shape in input_shape]
    if any(width != self._num_filters for width in widths):
      raise ValueError(
        f'merging cell {self.name!r}: all features must have num_filters={self._num_filters} channels, not {widths}.'
      )
    num_weights = self._merge_op.weights_per_input * len(self._input_levels)
    self.fusion_weights = self.add_weight('fusion_weights', [num_weights], initializer='ones') if num_weights else None
    super().build(input_shape)

  def call(self, features: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
    """Merges the features.

    Args:
      features: the merged inputs, each [batch, height_l, width_l, num_filters] at its own level, then those that join,
        then the residual one.
      training: whether batch norm uses and updates batch statistics, and DropBlock drops.

    Returns:
      [batch, height, width, num_filters] at the cell's level.
    """
    features = tf.nest.flatten(features)  # Keras hands on a list of one as its element.
    residual = features.pop() if self._config['residual'] else None
    num_merged = len(self._input_levels)
    merged = self._merge(features[:num_merged])
    # Added one by one: an AddN is no TFLite builtin that quantizes.
    for joined in features[num_merged:]:
      merged += joined
    merged = self.conv_norm(self._rounded('merged', self._activation(merged)), training=training)
    if self.dropblock is not None:
      merged = self.dropblock(merged, training=training)
    return merged if residual is None else self._rounded('residual', merged + residual)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}

  def _rounded(self, name: str, value: tf.Tensor) -> tf.Tensor:
    return value if self.rounding is None else self.rounding(name, value)

  def _merge(self, features: Sequence[tf.Tensor]) -> tf.Tensor:
    rounded = functools.partial(self._rounded, 'product')
    return self._merge_function(
      merge_ops.MergeInputs(
        tuple(features),
        self._input_levels,
        self._level,
        self.fusion_weights,
        rounded,
        self._config['overlapping_pools'],
      )
    )
