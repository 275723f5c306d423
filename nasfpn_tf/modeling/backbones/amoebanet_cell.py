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

"""Builds the cells of AmoebaNet-D: two feature maps in, one out, wired by a genotype.

AmoebaNet is of arXiv 1802.01548 (fig. 1 and 4: the search space; the cells B, C and D are in its appendix). The
genotypes here are those of the authors' code (tensorflow/tpu, models/official/amoeba_net, `model_specs.py`,
`amoeba_net_d`; operations in `network_utils.py`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.layers.drop_path import DropPath
from nasfpn_tf.modeling.backbones.amoebanet_conv import ActivatedConv, HalvingConv


@dataclasses.dataclass(frozen=True)
class Genotype:
  """The wiring of a cell.

  State 0 is the map before the cell and state 1 the one before that, both brought to the cell's width; combination i
  adds two operations on earlier states and is state 2 + i.

  Attributes:
    combinations: ((operation, state), (operation, state)) for each combination.
    outputs: states that are concatenated, which are those that no combination reads, as in the authors' code.
  """

  combinations: tuple[tuple[tuple[str, int], tuple[str, int]], ...]
  outputs: tuple[int, ...]


# The authors' code concatenates states 0, 3, 4 and 6; the figure of the paper 4, 5 and 6.
NORMAL = Genotype(
  (
    (('1x1', 1), ('max_pool_3x3', 1)),
    (('none', 1), ('1x7_7x1', 0)),
    (('1x1', 0), ('1x7_7x1', 0)),
    (('max_pool_3x3', 2), ('none', 2)),
    (('avg_pool_3x3', 1), ('1x1', 5)),
  ),
  outputs=(0, 3, 4, 6),
)
REDUCTION = Genotype(
  (
    (('max_pool_2x2', 0), ('max_pool_3x3', 0)),
    (('none', 2), ('3x3', 1)),
    (('1x7_7x1', 2), ('max_pool_3x3', 2)),
    (('none', 3), ('max_pool_2x2', 1)),
    (('avg_pool_3x3', 2), ('1x1', 3)),
  ),
  outputs=(4, 5, 6),
)
_GENOTYPES = {'normal': NORMAL, 'reduction': REDUCTION}


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class Operation(tf_keras.layers.Layer):
  """An operation of a cell: convolutions, a pooling or nothing; then drop path, but not after nothing."""

  def __init__(
    self,
    operation: str,
    num_filters: int,
    stride: int = 1,
    needs_width: bool = False,
    drop_path: Sequence[float] = (1.0, 0),
    conv_options: Mapping[str, Any] | None = None,
    **kwargs,
  ):
    """Creates the layers.

    Args:
      operation: 'none', '1x1', '3x3', '1x7_7x1', or 'max_pool_kxk' or 'avg_pool_kxk'.
      num_filters: width of the output.
      stride: 2 halves the size.
      needs_width: whether the input has another width.
      drop_path: (keep probability, ramp steps), see `DropPath`.
      conv_options: further arguments of `ActivatedConv`.
      **kwargs: of the Keras layer (name, dtype).
    """
    super().__init__(**kwargs)
    self._config = {
      'operation': operation,
      'num_filters': num_filters,
      'stride': stride,
      'needs_width': needs_width,
      'drop_path': list(drop_path),
      'conv_options': dict(conv_options or {}),
    }
    self.convs = [
      ActivatedConv(
        filters, kernel_size, strides, **{**self._config['conv_options'], **options}, dtype=self.dtype_policy, name=name
      )
      for name, filters, kernel_size, strides, options in self._conv_settings()
    ]
    self.pool = None
    if '_pool_' in operation:
      kind, _, size = operation.partition('_pool_')
      pool = {'max': tf_keras.layers.MaxPool2D, 'avg': tf_keras.layers.AveragePooling2D}[kind]
      self.pool = pool(int(size[0]), stride, 'same', dtype=self.dtype_policy, name='pool')
    self.drop_path = None
    if operation != 'none' and drop_path[0] < 1.0:
      self.drop_path = DropPath(*drop_path, dtype=self.dtype_policy, name='drop_path')

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Maps [batch, height, width, channels] to [batch, height / stride, width / stride, num_filters]."""
    outputs = inputs if self.pool is None else self.pool(inputs)
    for conv in self.convs:
      outputs = conv(outputs, training=training)
    return outputs if self.drop_path is None else self.drop_path(outputs, training=training)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}

  def _conv_settings(self) -> list[tuple]:
    """Returns (name, filters, kernel size, strides, options) of each convolution."""
    operation, filters, stride = (self._config[key] for key in ('operation', 'num_filters', 'stride'))
    narrow = filters // 4
    whole = ('1x1', filters, 1, stride, {})
    if operation == '1x1':
      return [whole]
    if operation == 'none':
      return [whole] if stride > 1 or self._config['needs_width'] else []
    if '_pool_' in operation:
      # Without an activation before it, as in the authors' code.
      return [('1x1', filters, 1, 1, {'activation': 'linear'})] if self._config['needs_width'] else []
    middle = {
      '3x3': [('3x3', narrow, 3, stride, {})],
      '1x7_7x1': [('1x7', narrow, (1, 7), (1, stride), {}), ('7x1', narrow, (7, 1), (stride, 1), {})],
    }[operation]
    return [('narrow', narrow, 1, 1, {}), *middle, ('wide', filters, 1, 1, {})]


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class AmoebaCell(tf_keras.layers.Layer):
  """A cell of AmoebaNet-D: [map before the previous one, previous map] to a map.

  A reduction cell halves height and width. The output has `num_filters` channels for each output of the genotype, 4 for
  a normal cell and 3 for a reduction cell, and has not passed an activation.
  """

  def __init__(
    self,
    kind: str,
    num_filters: int,
    skip: str = 'project',
    drop_path_keep_prob: float = 1.0,
    drop_path_ramp_steps: int = 0,
    **kwargs,
  ):
    """Keeps the settings; the layers are made when the widths of the inputs are known.

    Args:
      kind: 'normal' or 'reduction'.
      num_filters: width of every state.
      skip: what becomes of the map before the previous one: 'project' (to the cell's width, if it has another), 'halve'
        (its size too) or 'keep'. The authors' first cell keeps it, as the only one.
      drop_path_keep_prob: of every operation but the identity; 1.0 is off.
      drop_path_ramp_steps: see `DropPath`.
      **kwargs: of `ConvOptions`, the activation being that before each convolution, and of the Keras layer (name,
        dtype).
    """
    self._options = ConvOptions.take(kwargs).to_dict()
    super().__init__(**kwargs)
    self._kind = kind
    self._genotype = _GENOTYPES[kind]
    self._num_filters = num_filters
    self._skip = skip
    self._drop_path = (drop_path_keep_prob, drop_path_ramp_steps)

  def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
    skip_width = tf.TensorShape(input_shape[0])[-1]
    options = {**self._options, 'dtype': self.dtype_policy}
    self.squeeze = ActivatedConv(self._num_filters, 1, **options, name='squeeze')
    self.squeeze_skip = None
    if self._skip == 'halve':
      self.squeeze_skip = HalvingConv(self._num_filters, **options, name='squeeze_skip')
    elif self._skip == 'project' and skip_width != self._num_filters:
      self.squeeze_skip = ActivatedConv(self._num_filters, 1, **options, name='squeeze_skip')
    needs_width = self._skip == 'keep' and skip_width != self._num_filters
    self.operations = [
      Operation(
        operation,
        self._num_filters,
        # Only what reads an input of the cell halves its size.
        stride=2 if self._kind == 'reduction' and state < 2 else 1,
        needs_width=needs_width and state == 1,
        drop_path=self._drop_path,
        conv_options=self._options,
        dtype=self.dtype_policy,
        name=f'combination_{i}_{side}',
      )
      for i, combination in enumerate(self._genotype.combinations)
      for side, (operation, state) in zip(('left', 'right'), combination, strict=True)
    ]
    super().build(input_shape)

  def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
    """Runs the cell.

    Args:
      inputs: [batch, height or 2 * height, width or 2 * width, channels] and [batch, height, width, channels]: the map
        before the previous one, and the previous one.
      training: whether batch norm uses and updates batch statistics, and paths are dropped.

    Returns:
      [batch, height, width, 4 * num_filters], or of half the size and 3 * num_filters for a reduction cell.
    """
    skip, previous = inputs
    if self.squeeze_skip is not None:
      skip = self.squeeze_skip(skip, training=training)
    states = [self.squeeze(previous, training=training), skip]
    operations = iter(self.operations)
    for combination in self._genotype.combinations:
      left, right = (next(operations)(states[state], training=training) for _, state in combination)
      states.append(left + right)
    return tf.concat([states[i] for i in self._genotype.outputs], axis=-1)

  def get_config(self) -> dict[str, Any]:
    keep_prob, ramp_steps = self._drop_path
    return {
      **super().get_config(),
      'kind': self._kind,
      'num_filters': self._num_filters,
      'skip': self._skip,
      'drop_path_keep_prob': keep_prob,
      'drop_path_ramp_steps': ramp_steps,
      **self._options,
    }
