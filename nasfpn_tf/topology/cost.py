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

"""Computes parameters and multiply-adds of a stacked pyramid and a RetinaNet head in closed form.

Parameters count everything a checkpoint holds: kernels, biases, and four numbers a channel for each batch norm (gamma,
beta, moving mean, moving variance). Work is counted in multiply-adds of the convolutions, for one image; merging,
resampling, batch norm and activations are left out. That is the convention under which the published "FLOPs" of
RetinaNet models come out (docs/topology.md). Residual stacks therefore count the same: what they add to the outputs has
no parameter and is no multiply-add of a convolution.
"""

from collections.abc import Mapping

from nasfpn_tf.topology import ops
from nasfpn_tf.topology.spec import PyramidSpec

# Channels of C2..C5 of ResNet-50, 101 and 152 (arXiv 1512.03385, table 1).
RESNET_FILTERS = {2: 256, 3: 512, 4: 1024, 5: 2048}

_BATCH_NORM = 4  # Parameters a channel.


def params(
  spec: PyramidSpec,
  num_repeats: int = 7,
  num_filters: int = 256,
  input_filters: Mapping[int | str, int] = RESNET_FILTERS,
  separable: bool = False,
  project_each_edge: bool = False,
  coarse_convs: bool = False,
) -> int:
  """Counts parameters of `num_repeats` pyramids of `spec` with `num_filters` channels and the projection before them.

  Args:
    spec: the topology.
    num_repeats: how many pyramids are stacked.
    num_filters: width of every feature.
    input_filters: {level: channels} of the backbone's features; levels outside the pyramid are ignored, coarse levels
      that are missing are max-pooled from the level before.
    separable: separable convolutions, NAS-FPNLite.
    project_each_edge: a projection for every use of a backbone feature, and one before the first level pooled.
    coarse_convs: a convolution before each pooling to a level that the backbone lacks.

  Raises:
    ValueError: if a number is not positive, or a level other than the coarsest is missing among the backbone's.
  """
  _check_positive(num_repeats=num_repeats, num_filters=num_filters)
  total = 0
  for _, channels in _projections(spec, num_filters, input_filters, project_each_edge, coarse_convs):
    total += _conv_params(1, channels, num_filters, separable) + _BATCH_NORM * num_filters
  cell = _conv_params(3, num_filters, num_filters, separable) + _BATCH_NORM * num_filters
  # What joins is added unweighted.
  weights = sum(ops.get(c.op).weights_per_input * len(c.inputs) for c in spec.cells)
  return total + num_repeats * (len(spec.cells) * cell + weights)


def multiply_adds(
  spec: PyramidSpec,
  num_repeats: int = 7,
  num_filters: int = 256,
  image_size: int | tuple[int, int] = 640,
  input_filters: Mapping[int | str, int] = RESNET_FILTERS,
  separable: bool = False,
  project_each_edge: bool = False,
  coarse_convs: bool = False,
) -> int:
  """Counts multiply-adds of the convolutions of a stacked pyramid for one image; arguments as of `params`.

  Args:
    spec: see `params`.
    num_repeats: see `params`.
    num_filters: see `params`.
    image_size: (height, width) of the network's input in pixels, or the side of a square.
    input_filters: see `params`.
    separable: see `params`.
    project_each_edge: see `params`.
    coarse_convs: see `params`.

  Raises:
    ValueError: as `params`, or if the image size is not a multiple of the coarsest stride.
  """
  _check_positive(num_repeats=num_repeats, num_filters=num_filters)
  areas = level_areas(spec, image_size)
  total = 0
  for level, channels in _projections(spec, num_filters, input_filters, project_each_edge, coarse_convs):
    total += areas[level] * _conv_multiply_adds(1, channels, num_filters, separable)
  stage_area = sum(areas[cell.level] for cell in spec.cells)
  return total + num_repeats * stage_area * _conv_multiply_adds(3, num_filters, num_filters, separable)


def retinanet_head_params(
  spec: PyramidSpec,
  num_classes: int,
  num_filters: int = 256,
  input_filters: int | None = None,
  num_anchors: int = 9,
  num_convs: int = 4,
  separable: bool = False,
) -> int:
  """Counts parameters of RetinaNet's class and box towers (arXiv 1708.02002, sec. 4).

  The convolutions are shared by the levels, the batch norms are not.

  Args:
    spec: the topology; its levels count.
    num_classes: outputs per anchor of the class tower; Model Garden counts the background (91 for COCO).
    num_filters: width of the towers.
    input_filters: width of the pyramid; unset: that of the towers.
    num_anchors: anchors per position.
    num_convs: convolutions of a tower before the prediction.
    separable: separable convolutions.
  """
  _check_positive(num_classes=num_classes, num_filters=num_filters, num_anchors=num_anchors, num_convs=num_convs)
  convs = sum(_conv_params(3, a, b, separable) for a, b in _tower(num_convs, input_filters or num_filters, num_filters))
  norms = spec.num_levels * num_convs * _BATCH_NORM * num_filters
  predictions = sum(_conv_params(3, num_filters, num_anchors * n, separable) for n in (num_classes, 4))
  return 2 * (convs + norms) + predictions


def retinanet_head_multiply_adds(
  spec: PyramidSpec,
  num_classes: int,
  num_filters: int = 256,
  image_size: int | tuple[int, int] = 640,
  input_filters: int | None = None,
  num_anchors: int = 9,
  num_convs: int = 4,
  separable: bool = False,
) -> int:
  """Counts multiply-adds of RetinaNet's towers over all levels for one image; arguments as `retinanet_head_params`."""
  _check_positive(num_classes=num_classes, num_filters=num_filters, num_anchors=num_anchors, num_convs=num_convs)
  tower = _tower(num_convs, input_filters or num_filters, num_filters)
  position = 2 * sum(_conv_multiply_adds(3, a, b, separable) for a, b in tower)
  position += sum(_conv_multiply_adds(3, num_filters, num_anchors * n, separable) for n in (num_classes, 4))
  return position * sum(level_areas(spec, image_size).values())


def level_areas(spec: PyramidSpec, image_size: int | tuple[int, int]) -> dict[int, int]:
  """Returns {level: positions of its feature map}; a ValueError if the coarsest stride does not divide a side."""
  height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
  stride = 2**spec.max_level
  for side in (height, width):
    if side <= 0 or side % stride:
      fit = max(1, -(-side // stride)) * stride
      raise ValueError(
        f'image size {height}x{width}: {side} is not a multiple of {stride}, the stride of level {spec.max_level};'
        f' the next multiple is {fit}.'
      )
  return {level: (height >> level) * (width >> level) for level in spec.levels}


def _projections(
  spec: PyramidSpec, num_filters: int, input_filters: Mapping[int | str, int], each_edge: bool, coarse_convs: bool
) -> list[tuple[int, int]]:
  """Yields (level, channels) of each 1x1 convolution before the pyramid."""
  given = {int(level): channels for level, channels in input_filters.items()}
  levels = [level for level in spec.levels if level in given]
  if levels != list(spec.levels)[: max(len(levels), 1)]:
    missing = next(level for level in spec.levels if level not in given)
    raise ValueError(
      f'pyramid {spec.name!r}: level {missing} is missing among those of the backbone, {sorted(given)}; only the'
      f' coarsest may be missing.'
    )
  for level in levels:
    _check_positive(**{f'input_filters of level {level}': given[level]})
  projected = [(level, given[level]) for level in levels if given[level] != num_filters]
  if coarse_convs:
    return projected + [(level, num_filters) for level in range(levels[-1], spec.max_level)]  # Before the pooling.
  if not each_edge:
    return projected
  read = [feature for wires in spec.wiring() for feature in wires]
  edges = [(level, channels) for level, channels in projected for _ in range(read.count(level - spec.min_level))]
  if levels[-1] < spec.max_level and given[levels[-1]] != num_filters:
    edges.append((levels[-1], given[levels[-1]]))  # Computed before the pooling to the next level.
  return edges


def _tower(num_convs: int, input_filters: int, num_filters: int) -> list[tuple[int, int]]:
  """Lists (channels in, channels out) of each convolution of a tower."""
  return [(input_filters, num_filters)] + [(num_filters, num_filters)] * (num_convs - 1)


def _conv_params(kernel: int, channels: int, filters: int, separable: bool) -> int:
  """Counts kernel and bias; a separable convolution is a depthwise and a pointwise kernel with one bias."""
  return _conv_multiply_adds(kernel, channels, filters, separable) + filters


def _conv_multiply_adds(kernel: int, channels: int, filters: int, separable: bool) -> int:
  """Counts multiply-adds at one position, which is the number of weights without the bias."""
  if separable:
    return kernel * kernel * channels + channels * filters
  return kernel * kernel * channels * filters


def _check_positive(**numbers: int) -> None:
  for name, number in numbers.items():
    if number < 1:
      raise ValueError(f'{name} must be 1 or more, not {number}.')
