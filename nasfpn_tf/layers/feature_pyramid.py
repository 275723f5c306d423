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

"""Stacks N pyramids on projected backbone features: the feature pyramid network (arXiv 1904.07392, sec. 3)."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks, recompute
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.layers.edge_projection import EdgeProjection, uses
from nasfpn_tf.layers.input_projection import InputProjection
from nasfpn_tf.layers.merging_cell import MergingCell
from nasfpn_tf.topology import PyramidSpec, resolve


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class PyramidStage(tf_keras.layers.Layer):
  """One pyramid: the cells of a `PyramidSpec`, wired as its `wiring()` says.

  With `residual` the output cell of each level adds the pyramid's input of that level to what it gives, and later cells
  read the sum. Its batch norm begins with gamma 0, so an untrained stage is the identity.

  Attributes:
    cells: the `MergingCell`s in order of computation.
  """

  def __init__(
    self,
    spec: PyramidSpec,
    num_filters: int,
    cell_options: Mapping[str, Any] | None = None,
    recompute_gradients: bool = False,
    residual: bool = False,
    **kwargs,
  ):
    """Creates the cells.

    Args:
      spec: the topology.
      num_filters: width of the inputs and of the outputs.
      cell_options: further arguments of every `MergingCell`.
      recompute_gradients: keep only the inputs for the backward pass and compute the pyramid again there.
      residual: add the inputs to the outputs, level by level.
      **kwargs: of the Keras layer (name, dtype).
    """
    super().__init__(**kwargs)
    self.spec = _as_spec(spec)
    self._num_filters = num_filters
    self._cell_options = dict(cell_options or {})
    self._recompute_gradients = recompute_gradients
    self.residual = residual
    self._wiring = self.spec.wiring()
    self.cells = [
      MergingCell(
        cell.level,
        cell.op,
        [self.spec.level_of(feature) for feature in cell.inputs],
        num_filters,
        num_joined=len(wires) - len(cell.inputs),
        residual=residual and cell.is_output,
        **self._cell_options,
        dtype=self.dtype_policy,
        name=f'cell_{i}',
      )
      for i, (cell, wires) in enumerate(zip(self.spec.cells, self._wiring, strict=True))
    ]
    if recompute_gradients:
      recompute.update_once(self)

  def call(self, features: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
    """Runs the pyramid once.

    Args:
      features: [batch, height_l, width_l, num_filters] for each level, finest first; or for a level a list with one
        such feature for each use (`EdgeProjection`).
      coarse_convs: a convolution before each pooling to a level that the backbone lacks (`InputProjection`).
      training: whether batch norm uses and updates batch statistics, and DropBlock drops.

    Returns:
      One feature for each level: stages stack.
    """
    if len(features) != self.spec.num_levels:
      raise ValueError(
        f'pyramid {self.spec.name!r}: takes {self.spec.num_levels} features, levels {self.spec.min_level}..'
        f'{self.spec.max_level}; {len(features)} were given.'
      )
    # The variables must exist before they are used inside of a gradient's function.
    if training and self._recompute_gradients and all(cell.built for cell in self.cells):

      def run(*tensors):
        return self._run(tf.nest.pack_sequence_as(features, tensors), training=True)

      features = list(features)
      return recompute.recompute(run, *tf.nest.flatten(features))
    return self._run(features, training)

  def _run(self, features: Sequence[tf.Tensor], training: bool | None) -> list[tf.Tensor]:
    # Shallow copies, because reading takes what is for one use.
    features = [list(feature) if isinstance(feature, list | tuple) else feature for feature in features]
    for cell, cell_spec, wires in zip(self.cells, self.spec.cells, self._wiring, strict=True):
      read = [features[i].pop(0) if isinstance(features[i], list) else features[i] for i in wires]
      if self.residual and cell_spec.is_output:
        read.append(features[cell_spec.level - self.spec.min_level])
      features.append(cell(read, training=training))
    return [features[i] for i in self.spec.outputs.values()]

  def get_config(self) -> dict[str, Any]:
    return {
      **super().get_config(),
      'spec': self.spec.to_dict(),
      'num_filters': self._num_filters,
      'cell_options': self._cell_options,
      'recompute_gradients': self._recompute_gradients,
      'residual': self.residual,
    }


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class FeaturePyramid(tf_keras.layers.Layer):
  """N stacked pyramids of D filters, `N @ D`, over the features of a backbone.

  ```python
  neck = FeaturePyramid(topology.get('nas_fpn'), num_repeats=7, num_filters=256)
  p = neck({'3': c3, '4': c4, '5': c5}, training=True)  # {'3': [b, h/8, w/8, 256], ..., '7': [b, h/128, w/128, 256]}
  ```

  The parts can be called alone, for detection from an intermediate pyramid (the paper's anytime detection, sec. 3.3):
  `features = neck.project(backbone_features)`, then `features = neck.stages[i](features)`; `stage_outputs` gives the
  features after every pyramid, `first(k)` is the neck of the first k pyramids on the same weights.

  Attributes:
    spec: the topology.
    projection: the `InputProjection`.
    stages: the `PyramidStage`s, first to last; weights of stage i are named `stage_<i>/cell_<j>/...`.
  """

  def __init__(
    self,
    spec: PyramidSpec | str,
    num_repeats: int = 7,
    num_filters: int = 256,
    use_separable_conv: bool = False,
    dropblock_keep_prob: float = 1.0,
    dropblock_size: int = 3,
    dropblock_ramp_steps: int = 0,
    project_each_edge: bool = False,
    coarse_convs: bool = False,
    recompute_gradients: bool = False,
    residual: bool = False,
    overlapping_pools: bool = False,
    backbone_max_level: int | None = None,
    **kwargs,
  ):
    """Creates the projection and the stages.

    Args:
      spec: the topology: a `PyramidSpec`, or what `topology.resolve` takes.
      num_repeats: how many pyramids are stacked (N).
      num_filters: width of every feature (D).
      use_separable_conv: separable convolutions, NAS-FPNLite.
      dropblock_keep_prob: DropBlock's keep probability after each cell's batch norm; 1.0 is off.
      dropblock_size: side of the dropped blocks, in cells of the feature map.
      dropblock_ramp_steps: training steps in which the keep probability falls to its value; see `follow_step`.
      project_each_edge: a projection for every use of a backbone feature (`EdgeProjection`).
      recompute_gradients: keep only the inputs of each stage for the backward pass and compute the stage again there:
        less memory, one more forward pass of time.
      residual: each pyramid adds its inputs to its outputs, level by level, and begins as the identity, so that a stack
        of any depth begins as its projection; no parameter more. Not in the paper, see docs/reproduction.md. With
        `project_each_edge` the first pyramid, whose inputs are not one feature a level, is as published.
      overlapping_pools: pool over windows one cell larger than their stride (3x3 of stride 2), as EfficientDet.
      backbone_max_level: coarsest level that is read from the backbone; None: every level that it gives.
      **kwargs: the fields of `ConvOptions`, with the activation before each 3x3 convolution, and arguments of the Keras
        layer (name, dtype).

    Raises:
      ValueError: if a setting is out of range or the topology cannot be read.
    """
    options = ConvOptions.take(kwargs)
    super().__init__(**kwargs)
    for key, value in (('num_repeats', num_repeats), ('num_filters', num_filters)):
      if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'feature pyramid: {key} must be a positive integer, not {value!r}.')
    if coarse_convs and project_each_edge:
      raise ValueError('feature pyramid: coarse_convs and project_each_edge exclude each other.')
    self.spec = _as_spec(spec)
    self.num_repeats = num_repeats
    self.num_filters = num_filters
    self.recompute_gradients = recompute_gradients
    self.residual = residual
    self._cell_options = {
      'use_separable_conv': use_separable_conv,
      **options.to_dict(),
      'dropblock_keep_prob': dropblock_keep_prob,
      'dropblock_size': dropblock_size,
      'dropblock_ramp_steps': dropblock_ramp_steps,
      'overlapping_pools': overlapping_pools,
    }
    self._project_each_edge = project_each_edge
    self._coarse_convs = coarse_convs
    self._backbone_max_level = backbone_max_level
    kind = functools.partial(EdgeProjection, uses(self.spec)) if project_each_edge else InputProjection
    self.projection = kind(
      self.spec.min_level,
      self.spec.max_level,
      num_filters,
      {'use_separable_conv': use_separable_conv, **options.to_dict(but=['activation'])},
      backbone_max_level=backbone_max_level,
      coarse_convs=coarse_convs,
      overlapping_pools=overlapping_pools,
      dtype=self.dtype_policy,
      name='projection',
    )
    self.stages = [
      PyramidStage(
        self.spec,
        num_filters,
        self._cell_options,
        recompute_gradients,
        residual and (i > 0 or not project_each_edge),
        dtype=self.dtype_policy,
        name=f'stage_{i}',
      )
      for i in range(num_repeats)
    ]

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """{level: [batch, height_l, width_l, num_filters]} of the features the layer was built with."""
    if not self.built:
      raise ValueError(f'feature pyramid {self.name!r}: output_specs are known once the layer is built; call it first.')
    return self._output_specs

  def follow_step(self, step: tf.Variable | None) -> None:
    """Makes `step`, the trainer's step counter, drive DropBlock's ramp; it does not become part of the checkpoint."""
    for stage in self.stages:
      for cell in stage.cells:
        if cell.dropblock is not None:
          cell.dropblock.follow_step(step)

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    self._output_specs = self.compute_output_shape(input_shape)
    super().build(input_shape)

  def project(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
    """Projects the backbone's features to the inputs of the first stage, one per level; see `InputProjection`."""
    return self.projection(features, training=training)

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
    """Computes the features of the pyramid from those of a backbone.

    Args:
      features: {level: [batch, height_l, width_l, channels_l]}, levels as strings, stride 2**level.
      training: whether batch norm uses and updates batch statistics, and DropBlock drops.

    Returns:
      {level: [batch, height_l, width_l, num_filters]} for all levels of the topology, without activation.

    Raises:
      ValueError: if features do not fit the topology; see `InputProjection`.
    """
    return self.stage_outputs(features, training=training)[-1]

  def stage_outputs(
    self, features: Mapping[str, tf.Tensor], training: bool | None = None
  ) -> list[dict[str, tf.Tensor]]:
    """Returns the outputs of `call` after each of the pyramids, first to last."""
    pyramid = self.project(features, training=training)
    outputs = []
    for stage in self.stages:
      pyramid = stage(pyramid, training=training)
      outputs.append(self.by_level(pyramid))
    return outputs

  def by_level(self, pyramid: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns {level: feature} of the outputs of a stage."""
    return {str(level): feature for level, feature in zip(self.spec.levels, pyramid, strict=True)}

  def first(self, num_repeats: int) -> 'FeaturePyramid':
    """Returns the first `num_repeats` pyramids as a layer that shares the weights; this one must be built."""
    if not 1 <= num_repeats <= self.num_repeats:
      raise ValueError(f'feature pyramid: first({num_repeats}) of {self.num_repeats} pyramids.')
    pyramid = type(self).from_config({**self.get_config(), 'num_repeats': num_repeats})
    pyramid.projection = self.projection
    pyramid.stages = list(self.stages[:num_repeats])
    pyramid._output_specs = self.output_specs
    pyramid.built = True
    return pyramid

  def compute_output_shape(self, input_shape: Mapping[str, tf.TensorShape]) -> dict[str, tf.TensorShape]:
    given = self.projection.given_levels(input_shape)
    batch, height, width, _ = tf.TensorShape(input_shape[given[0]])
    return {
      str(level): tf.TensorShape([batch, _scaled(height, i), _scaled(width, i), self.num_filters])
      for i, level in enumerate(self.spec.levels)
    }

  def get_config(self) -> dict[str, Any]:
    return {
      **super().get_config(),
      'spec': self.spec.to_dict(),
      'num_repeats': self.num_repeats,
      'num_filters': self.num_filters,
      **self._cell_options,
      'project_each_edge': self._project_each_edge,
      'coarse_convs': self._coarse_convs,
      'recompute_gradients': self.recompute_gradients,
      'residual': self.residual,
      'backbone_max_level': self._backbone_max_level,
    }


def _as_spec(spec: Any) -> PyramidSpec:
  """Converts a spec, its JSON dict (as in a layer's config) or a reference to a `PyramidSpec`."""
  return PyramidSpec.from_dict(spec) if isinstance(spec, Mapping) else resolve(spec)


def _scaled(size: int | None, halvings: int) -> int | None:
  return None if size is None else size >> halvings
