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

"""Implements the merge operations of `topology/ops.py` as functions (arXiv 1904.07392, sec. 3.1.2)."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from nasfpn_tf.layers.resample import resample
from nasfpn_tf.topology import ops


@dataclasses.dataclass(frozen=True)
class MergeInputs:
  """The inputs of a merge operation.

  Attributes:
    features: the inputs, each [batch, height_l, width_l, num_filters] at its own level.
    levels: level of each input.
    level: level of the result.
    weights: learned scalars, as many as the operation has in all, those of the first input first; None if it has none.
    rounded: to be applied to a product before it is added: gives it as an int8 runtime stores it.
    overlap: whether pooling takes windows one cell larger than their stride.
  """

  features: tuple[tf.Tensor, ...]
  levels: tuple[int, ...]
  level: int
  weights: tf.Tensor | None = None
  rounded: Callable[[tf.Tensor], tf.Tensor] = lambda value: value
  overlap: bool = False

  def resampled(self) -> list[tf.Tensor]:
    """Brings every input to the level of the result."""
    return [self.resample(f, level) for f, level in zip(self.features, self.levels, strict=True)]

  def resample(self, feature: tf.Tensor, level: int) -> tf.Tensor:
    """Brings a feature of `level` to the level of the result."""
    return resample(feature, level, self.level, self.overlap)


MergeFunction = Callable[[MergeInputs], tf.Tensor]
_functions: dict[str, MergeFunction] = {}


def implements(name: str) -> Callable[[MergeFunction], MergeFunction]:
  """Decorates the function of operation `name`: inputs in, [batch, height, width, num_filters] out."""

  def add(function: MergeFunction) -> MergeFunction:
    if name in _functions:
      raise ValueError(f'op {name!r} already has a function: {_functions[name].__name__}.')
    _functions[ops.get(name).name] = function
    return function

  return add


def get(name: str) -> MergeFunction:
  """Returns the function of operation `name`.

  Raises:
    ValueError: if there is no such operation, or no function of it.
  """
  if ops.get(name).name not in _functions:
    raise ValueError(f'op {name!r} has no function in layers/merge_ops.py.')
  return _functions[name]


@implements('sum')
def add_all(inputs: MergeInputs) -> tf.Tensor:
  """Adds all inputs."""
  return _added(inputs.resampled())


@implements('global_pooling')
def pool_globally(inputs: MergeInputs) -> tf.Tensor:
  """Gives c + f * sigmoid(max over space of c), with c the coarser of the two inputs.

  At equal levels c is the first (the tie as in the authors' code).
  """
  coarse, fine = (0, 1) if inputs.levels[0] >= inputs.levels[1] else (1, 0)
  resampled = inputs.resampled()
  # Neither resampling changes the maximum, so it is taken where the map is smaller.
  smaller = (inputs.features if inputs.levels[coarse] > inputs.level else resampled)[coarse]
  attention = tf.sigmoid(tf.reduce_max(smaller, axis=[1, 2], keepdims=True))
  return resampled[coarse] + inputs.rounded(resampled[fine] * attention)


@implements('global_average_pooling')
def pool_averages_globally(inputs: MergeInputs) -> tf.Tensor:
  """Gives f + c * sigmoid(mean over space of f), with f the finer of the two inputs (mmcv, `GlobalPoolingCell`).

  The mean is over f at the level of the result. At equal levels f is the second.
  """
  coarse, fine = (0, 1) if inputs.levels[0] >= inputs.levels[1] else (1, 0)
  resampled = inputs.resampled()
  attention = tf.sigmoid(tf.reduce_mean(resampled[fine], axis=[1, 2], keepdims=True))
  return resampled[fine] + inputs.rounded(resampled[coarse] * attention)


@implements('weighted_sum')
def add_weighted(inputs: MergeInputs) -> tf.Tensor:
  """Gives the sum of w_i * x_i / (sum of w + 1e-4), with w = relu(a learned scalar).

  BiFPN's fast normalized fusion, arXiv 1911.09070, sec. 3.3.
  """
  weights = tf.nn.relu(inputs.weights)
  weights = tf.unstack(weights / (tf.reduce_sum(weights) + 1e-4))
  scaled = []
  for feature, level, weight in zip(inputs.features, inputs.levels, weights, strict=True):
    # Multiplied where the map is smaller.
    if level > inputs.level:
      scaled.append(inputs.resample(feature * weight, level))
    else:
      scaled.append(inputs.resample(feature, level) * weight)
  return _added(scaled)


def _added(features: list[tf.Tensor]) -> tf.Tensor:
  """Adds one by one: an AddN is no TFLite builtin that quantizes."""
  total = features[0]
  for feature in features[1:]:
    total += feature
  return total
