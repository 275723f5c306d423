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

"""Holds one set of weights for all pyramids of a space.

A merging cell's convolution does not depend on which features it merges, nor on their levels, so the cell at one
position of one repeat has the same convolution in every pyramid. The batch norm after it is one for each output level,
as in RetinaNet's head, because features of different levels have different statistics.

The convolutions begin near the identity. Begun at random, each would give its channels a meaning of its own, and a cell
whose inputs are drawn anew in every step could learn nothing from them: the loss stays where it is. Near the identity a
channel means the same in all features from the first step on.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from nasfpn_tf.layers.blocks import ConvBatchNorm
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid, PyramidStage
from nasfpn_tf.topology import PyramidSpec, ops

_NOISE = 0.3  # Share of its usual initial values that a convolution has beside the identity.


class Bank:
  """A detector whose pyramid can be exchanged while its weights stay.

  Attributes:
    detector: the detector with the pyramid that was chosen last; run it eagerly, as a traced function keeps the pyramid
      it was traced with.
  """

  def __init__(self, detector: tf_keras.Model, near_identity: bool = True):
    """Takes over a detector that `build_detector` has built with any pyramid of the space.

    Args:
      detector: the detector; its cells' weights are changed.
      near_identity: whether convolutions of cells begin near the identity; with the weights they have otherwise, as for
        children that are trained alone.

    Raises:
      ValueError: the decoder is none of ours, or has projections that belong to one pyramid.
    """
    if not isinstance(detector.decoder, FeaturePyramid):
      raise ValueError('the decoder has no cells to share: task.model.decoder.type must be feature_pyramid.')
    if detector.decoder.get_config()['project_each_edge']:
      raise ValueError(
        'a projection per edge is specific to one pyramid: unset task.model.decoder.feature_pyramid.project_each_edge.'
      )
    self.detector = detector
    stages = detector.decoder.stages
    self._stage_config = stages[0].get_config()
    # The batch norm of a residual output begins with gamma 0, that of a cell within with 1; it is made for one of both.
    self._outputs = [cell.is_output for cell in detector.decoder.spec.cells] if detector.decoder.residual else None
    self._units = [
      [{level: _unit(cell.conv_norm, level) for level in detector.decoder.spec.levels} for cell in stage.cells]
      for stage in stages
    ]
    for cell in (cell for stage in stages for cell in stage.cells if near_identity):
      _begin_near_identity(cell.conv_norm.conv)
    self._projection, self._backbone, self._head = detector.decoder.projection, detector.backbone, detector.head

  @property
  def variables(self) -> list[tf.Variable]:
    """All that is shared, of every level's batch norms."""
    return self._collect('variables')

  @property
  def trainable_variables(self) -> list[tf.Variable]:
    """Those of `variables` that training changes."""
    return self._collect('trainable_variables')

  def checkpoint_items(self) -> dict[str, tf.Module]:
    """Returns the items of a checkpoint by name."""
    items = {'backbone': self._backbone, 'head': self._head, 'projection': self._projection}
    for i, cells in enumerate(self._units):
      for j, units in enumerate(cells):
        items |= {f'stage_{i}_cell_{j}_level_{level}': unit for level, unit in units.items()}
    return items

  def choose(self, spec: PyramidSpec) -> None:
    """Makes the detector's pyramid `spec`, in every repeat.

    Raises:
      ValueError: it has other levels or another number of cells than the bank, or an operation with weights of its own;
        or, in a residual pyramid, outputs where the bank has cells within. In the spaces `nasfpn` the outputs are the
        last cells of every pyramid.
    """
    decoder = self.detector.decoder
    if (spec.levels, len(spec.cells)) != (decoder.spec.levels, len(self._units[0])):
      raise ValueError(
        f'pyramid {spec.name!r} has {len(spec.cells)} cells on levels {spec.min_level}..{spec.max_level}; the shared'
        f' weights are for {len(self._units[0])} on {decoder.spec.min_level}..{decoder.spec.max_level}.'
      )
    for cell in spec.cells:
      if ops.get(cell.op).weights_per_input:  # They mean something else in every pyramid.
        raise ValueError(
          f'pyramid {spec.name!r}: {cell.op} has weights that cannot be shared; remove it from the space.'
        )
    if self._outputs not in (None, [cell.is_output for cell in spec.cells]):
      raise ValueError(
        f'pyramid {spec.name!r} has its outputs in other cells than the shared weights of a residual pyramid; unset'
        ' task.model.decoder.feature_pyramid.residual.'
      )
    stages = []
    for i, units in enumerate(self._units):
      stage = PyramidStage.from_config({**self._stage_config, 'spec': spec.to_dict(), 'name': f'stage_{i}'})
      for cell, cell_spec, by_level in zip(stage.cells, spec.cells, units, strict=True):
        cell.conv_norm = by_level[cell_spec.level]
      stages.append(stage)
    decoder.spec, decoder.stages = spec, stages

  def calibrate(self, batches: Sequence[tf.Tensor]) -> None:
    """Sets the statistics of the batch norms after the backbone to those that the chosen pyramid has on some images.

    The moving statistics of training are means over many pyramids and fit none. Here they begin at zero, follow the
    batches, and are divided by the weight that the batches then have in them.

    Args:
      batches: `[batch, height, width, 3]` each.
    """
    backbone = {id(variable) for variable in self._backbone.variables}
    kept = [(variable, variable.numpy()) for variable in self._backbone.non_trainable_variables]
    norms = [module for module in self.detector.submodules if hasattr(module, 'moving_variance')]
    norms = [norm for norm in norms if id(norm.moving_variance) not in backbone]
    for norm in norms:
      norm.moving_mean.assign(tf.zeros_like(norm.moving_mean))
      norm.moving_variance.assign(tf.zeros_like(norm.moving_variance))
    for images in batches:
      self.detector(images, training=True)
    for norm in norms:
      weight = 1.0 - np.float64(norm.momentum) ** len(batches)
      norm.moving_mean.assign(norm.moving_mean / weight)
      norm.moving_variance.assign(norm.moving_variance / weight)
    for variable, value in kept:
      variable.assign(value)

  def _collect(self, kind: str) -> list[tf.Variable]:
    parts = list(self.checkpoint_items().values())
    return list({id(variable): variable for part in parts for variable in getattr(part, kind)}.values())


def _unit(base: ConvBatchNorm, level: int) -> ConvBatchNorm:
  """Builds the convolution of `base` with its own batch norm."""
  unit = ConvBatchNorm.from_config({**base.get_config(), 'name': f'{base.name}_level_{level}'})
  unit.conv = base.conv
  unit.norm.build([None, None, None, base.conv.filters])
  return unit


def _begin_near_identity(conv: tf_keras.layers.Layer) -> None:
  """Adds the identity to the kernels of a convolution, separable or not, and lessens what they had."""
  separable = isinstance(conv, tf_keras.layers.SeparableConv2D)
  for kernel in (conv.depthwise_kernel, conv.pointwise_kernel) if separable else (conv.kernel,):
    values = _NOISE * kernel.numpy()
    height, width, channels, filters = values.shape  # Of a depthwise kernel the last is 1: a filter for each channel.
    values[height // 2, width // 2] += np.eye(channels) if channels == filters else 1.0
    kernel.assign(values)
