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
"""Builds MnasFPN: pyramids of inverted bottlenecks, for detectors on phones (arXiv 1912.01106)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks, resample
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.topology import CellSpec, PyramidSpec, resolve

_POOL = 3  # Side of the window, whatever the stride.


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class InvertedCell(tf_keras.layers.Layer):
  """Expands each input to `expansion` channels, adds them, and ends with activation and a separable convolution.

  An input is brought to the cell's level where it is smaller: a coarser one is expanded before it is upsampled, a finer
  one after it was pooled (sec. 3.2, size-dependent ordering). Batch norm follows each expansion and the separable
  convolution, which has no activation behind it.

  Attributes:
    expansions: the 1x1 convolution of each input.
    expansion_norms: the batch norm after it.
    conv: the separable convolution.
    norm: the batch norm after it.
  """

  def __init__(
    self,
    level: int,
    input_levels: Sequence[int],
    num_filters: int,
    expansion: int,
    kernel_size: int = 3,
    **kwargs,
  ):
    """Creates the layers.

    Args:
      level: of the output.
      input_levels: of each input.
      num_filters: width of the output.
      expansion: width of the expanded inputs and of their sum.
      kernel_size: side of the separable convolution.
      **kwargs: the fields of `ConvOptions`, and arguments of the Keras layer (name, dtype).
    """
    options = ConvOptions.take(kwargs)
    super().__init__(**kwargs)
    self._config = {
      'level': level,
      'input_levels': list(input_levels),
      'num_filters': num_filters,
      'expansion': expansion,
      'kernel_size': kernel_size,
      **options.to_dict(),
    }
    self._activation = blocks.get_activation(options.activation)
    names = [f'expansion_{i}' for i in range(len(self._config['input_levels']))]
    self.expansions = [pointwise(expansion, options, dtype=self.dtype_policy, name=name) for name in names]
    self.expansion_norms = [options.batch_norm(dtype=self.dtype_policy, name=f'{name}_norm') for name in names]
    self.conv = tf_keras.layers.SeparableConv2D(
      num_filters,
      kernel_size,
      padding='same',
      use_bias=False,
      depthwise_initializer=blocks.kernel_initializer(),
      pointwise_initializer=blocks.kernel_initializer(),
      depthwise_regularizer=options.kernel_regularizer,
      pointwise_regularizer=options.kernel_regularizer,
      dtype=self.dtype_policy,
      name='conv',
    )
    self.norm = options.batch_norm(dtype=self.dtype_policy, name='norm')

  def call(self, features: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
    """Merges features of the levels `input_levels` to [batch, height_l, width_l, num_filters]."""
    total = None
    level, input_levels = self._config['level'], self._config['input_levels']
    for x, of, conv, norm in zip(features, input_levels, self.expansions, self.expansion_norms, strict=True):
      if of < level:
        x = pool(x, 2 ** (level - of))
      x = norm(conv(x), training=training)
      if of > level:
        x = resample.upsample(x, 2 ** (of - level))
      total = x if total is None else total + x
    return self.norm(self.conv(self._activation(total)), training=training)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class MnasStage(tf_keras.layers.Layer):
  """One pyramid of MnasFPN; where an input is as wide as the output of its level, it is added to that in the end.

  Inside of the pyramid, cells read what other cells gave, without what is added in the end.

  Attributes:
    cells: the `InvertedCell`s in order of computation.
  """

  def __init__(
    self,
    spec: PyramidSpec | Mapping[str, Any] | str,
    num_filters: int,
    expansions: Sequence[int],
    kernel_sizes: Sequence[int],
    cell_options: Mapping[str, Any] | None = None,
    **kwargs,
  ):
    """Creates the cells.

    Args:
      spec: the topology, whose cells are all sums.
      num_filters: width of the outputs.
      expansions: width of the expanded inputs, cell by cell.
      kernel_sizes: side of the separable convolution, cell by cell.
      cell_options: fields of `ConvOptions` for every cell.
      **kwargs: of the Keras layer (name, dtype).
    """
    super().__init__(**kwargs)
    self.spec = as_spec(spec)
    check_cells(self.spec, expansions, kernel_sizes)
    self._config = {
      'spec': self.spec.to_dict(),
      'num_filters': num_filters,
      'expansions': list(expansions),
      'kernel_sizes': list(kernel_sizes),
      'cell_options': dict(cell_options or {}),
    }
    self._wiring = self.spec.wiring()
    self.cells = [
      InvertedCell(
        cell.level,
        [self.spec.level_of(feature) for feature in wires],
        num_filters,
        expansion,
        kernel_size,
        **self._config['cell_options'],
        dtype=self.dtype_policy,
        name=f'cell_{i}',
      )
      for i, (cell, wires, expansion, kernel_size) in enumerate(
        zip(self.spec.cells, self._wiring, expansions, kernel_sizes, strict=True)
      )
    ]

  def call(self, features: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
    """Runs the pyramid once: one feature for each level, finest first, to one of `num_filters` channels for each."""
    merged = list(features)
    for cell, wires in zip(self.cells, self._wiring, strict=True):
      merged.append(cell([merged[i] for i in wires], training=training))
    outputs = [merged[i] for i in self.spec.outputs.values()]
    return [y + x if x.shape[-1] == y.shape[-1] else y for x, y in zip(features, outputs, strict=True)]

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), **self._config}


def pointwise(num_filters: int, options: ConvOptions, **kwargs) -> tf_keras.layers.Conv2D:
  """Creates a 1x1 convolution without bias, for a batch norm to follow."""
  return tf_keras.layers.Conv2D(
    num_filters,
    1,
    use_bias=False,
    kernel_initializer=blocks.kernel_initializer(),
    kernel_regularizer=options.kernel_regularizer,
    **kwargs,
  )


def pool(feature: tf.Tensor, factor: int) -> tf.Tensor:
  """Downsamples by max pooling over 3x3, also where `factor` is 4."""
  return tf.nn.max_pool2d(feature, _POOL, factor, 'SAME')


def as_spec(spec: PyramidSpec | Mapping[str, Any] | str) -> PyramidSpec:
  """Returns the topology for one, its dictionary (as in a layer's configuration), or what `topology.resolve` takes."""
  return PyramidSpec.from_dict(spec) if isinstance(spec, Mapping) else resolve(spec)


def check_cells(spec: PyramidSpec, expansions: Sequence[int], kernel_sizes: Sequence[int]) -> None:
  """Raises a ValueError unless every cell of `spec` is a sum and has an expansion and a kernel size."""
  other = [cell for cell in spec.cells if not _is_sum(cell)]
  if other:
    raise ValueError(f'mnas_fpn: cells of pyramid {spec.name!r} must be sums; {other[0]} is not.')
  for key, values, least in (('expansions', expansions, 1), ('kernel_sizes', kernel_sizes, 1)):
    wrong = [value for value in values if not isinstance(value, int) or isinstance(value, bool) or value < least]
    if len(values) != len(spec.cells) or wrong:
      raise ValueError(
        f'mnas_fpn: {key} {list(values)}: the {len(spec.cells)} cells of pyramid {spec.name!r} need {len(spec.cells)}'
        ' positive integers, one each.'
      )


def _is_sum(cell: CellSpec) -> bool:
  return cell.op == 'sum'
