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

"""Converts topologies and weights to and from Model Garden's NASFPN decoder."""

from collections.abc import Iterable, Sequence

import tf_keras
from official.vision.modeling.decoders import nasfpn

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from nasfpn_tf.topology import CellSpec, PyramidSpec

_TO_COMBINE_FN = {'sum': 'sum', 'global_pooling': 'attention'}
_TO_OP = {combine_fn: op for op, combine_fn in _TO_COMBINE_FN.items()}
_CONVS = (tf_keras.layers.Conv2D, tf_keras.layers.SeparableConv2D)

BlockTuple = tuple[int, str, tuple[int, int], bool]


def to_block_specs(spec: PyramidSpec) -> list[nasfpn.BlockSpec]:
  """Converts a topology to the `block_specs` of Model Garden's `NASFPN`.

  Raises:
    ValueError: if Model Garden cannot express it: an op other than sum and global_pooling, a cell that has not exactly
      two inputs, or output cells that are not the last ones.
  """
  where = f"topology {spec.name!r} as Model Garden's block specs"
  for i, cell in enumerate(spec.cells):
    if cell.op not in _TO_COMBINE_FN:
      raise ValueError(f'{where}: cell {i} has op {cell.op!r}, which Model Garden lacks.')
    if len(cell.inputs) != 2:
      raise ValueError(f'{where}: cell {i} has {len(cell.inputs)} inputs; Model Garden takes two.')
    if cell.is_output != (i >= len(spec.cells) - spec.num_levels):
      raise ValueError(f'{where}: the last {spec.num_levels} cells must be the outputs; cell {i} breaks that.')
  return [nasfpn.BlockSpec(c.level, _TO_COMBINE_FN[c.op], tuple(c.inputs), c.is_output) for c in spec.cells]


def from_block_specs(
  block_specs: Iterable[nasfpn.BlockSpec | BlockTuple] | None = None,
  min_level: int = 3,
  max_level: int = 7,
  name: str = 'model_garden',
) -> PyramidSpec:
  """Converts Model Garden's block specs, objects or tuples, to a topology; None is its default.

  Raises:
    ValueError: if a combine function is unknown, or if `PyramidSpec` finds the topology invalid.
  """
  cells = []
  for i, block in enumerate(nasfpn.NASFPN_BLOCK_SPECS if block_specs is None else block_specs):
    if not isinstance(block, nasfpn.BlockSpec):
      block = nasfpn.BlockSpec(*block)
    if block.combine_fn not in _TO_OP:
      raise ValueError(f'block {i}: combine_fn {block.combine_fn!r} is unknown; known are {", ".join(_TO_OP)}.')
    cells.append(CellSpec(block.level, _TO_OP[block.combine_fn], tuple(block.input_offsets), block.is_output))
  return PyramidSpec(name, min_level, max_level, tuple(cells))


def load_from_model_garden(pyramid: FeaturePyramid, decoder: nasfpn.NASFPN) -> None:
  """Copies the weights of Model Garden's decoder to `pyramid`; both built, of equal topology and width.

  Raises:
    ValueError: if they do not correspond.
  """
  for ours, theirs in layer_pairs(pyramid, decoder):
    ours.set_weights(theirs.get_weights())


def save_to_model_garden(pyramid: FeaturePyramid, decoder: nasfpn.NASFPN) -> None:
  """Copies the weights of `pyramid` to Model Garden's decoder: the inverse of `load_from_model_garden`."""
  for ours, theirs in layer_pairs(pyramid, decoder):
    theirs.set_weights(ours.get_weights())


def layer_pairs(
  pyramid: FeaturePyramid, decoder: nasfpn.NASFPN
) -> list[tuple[tf_keras.layers.Layer, tf_keras.layers.Layer]]:
  """Yields (our layer, Model Garden's) for each layer with weights."""
  if not pyramid.built:
    raise ValueError('weight transfer: the feature pyramid has no weights yet; call it on features first.')
  if pyramid.residual:
    raise ValueError(
      "weight transfer: the feature pyramid is residual, which Model Garden's decoder is not; its weights would fit"
      ' but compute something else. Build it with residual=False.'
    )
  ours = []
  for conv_norm in _conv_norms(pyramid):
    ours += [conv_norm.conv, conv_norm.norm]
  convs = _in_order(layer for layer in decoder.layers if isinstance(layer, _CONVS))
  norms = _in_order(layer for layer in decoder.layers if isinstance(layer, tf_keras.layers.BatchNormalization))
  theirs = [layer for pair in zip(convs, norms, strict=True) for layer in pair]
  if len(ours) != len(theirs):
    raise ValueError(
      f"weight transfer: the feature pyramid has {len(ours) // 2} convolutions, Model Garden's decoder {len(convs)}."
      " Topology, repeats and input widths must agree; at widths other than 256 Model Garden's NASFPN has further 1x1"
      ' convolutions inside the pyramid, which have no counterpart here.'
    )
  for our, their in zip(ours, theirs, strict=True):
    our_shapes, their_shapes = ([tuple(w.shape) for w in layer.weights] for layer in (our, their))
    if our_shapes != their_shapes:
      raise ValueError(f'weight transfer: {our.name!r} has weights {our_shapes}, {their.name!r} has {their_shapes}.')
  return list(zip(ours, theirs, strict=True))


def _conv_norms(pyramid: FeaturePyramid) -> list[blocks.ConvBatchNorm]:
  """Lists layers in Model Garden's order of creation: projections from fine to coarse, then the cells of each stage."""
  cells = [cell for stage in pyramid.stages for cell in stage.cells]
  return [*pyramid.projection.convs.values(), *(cell.conv_norm for cell in cells)]


def _in_order(layers: Iterable[tf_keras.layers.Layer]) -> Sequence[tf_keras.layers.Layer]:
  """Lists the layers of one class in order of creation.

  A functional model sorts its layers by depth; the number that Keras appends to an automatic name tells the order.
  """

  def number(layer: tf_keras.layers.Layer) -> int:
    suffix = layer.name.rpartition('_')[2]
    return int(suffix) if suffix.isdigit() else 0

  return sorted(layers, key=number)
