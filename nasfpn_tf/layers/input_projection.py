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

"""Projects backbone features to the inputs of a pyramid: one width, all levels."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.resample import downsample


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class InputProjection(tf_keras.layers.Layer):
  """Backbone features to one width and to all levels of the pyramid.

  A level whose width differs from `num_filters` passes a 1x1 convolution and batch norm; a level coarser than the
  backbone's coarsest is 2x2 max pooled from the projected level before it; with `coarse_convs`, from a 1x1 convolution
  and batch norm of that (mmdetection, `NASFPN.extra_downsamples`). (The paper pools C5 with stride 2 and 4;
  pooling the projected C5 is what the authors' code and Model Garden do.)
  """

  def __init__(
    self,
    min_level: int,
    max_level: int,
    num_filters: int,
    conv_options: Mapping[str, Any],
    backbone_max_level: int | None = None,
    coarse_convs: bool = False,
    overlapping_pools: bool = False,
    **kwargs,
  ):
    """Keeps the settings.

    Args:
      min_level: finest level of the pyramid.
      max_level: coarsest level of the pyramid.
      num_filters: width of the projected features.
      conv_options: further arguments of `ConvBatchNorm`.
      backbone_max_level: coarsest level that is read from the backbone; None: every level that is given.
      coarse_convs: a convolution before each pooling to a level that the backbone lacks.
      overlapping_pools: pool 3x3 instead of 2x2.
      **kwargs: of the Keras layer (name, dtype).
    """
    super().__init__(**kwargs)
    self._min_level = min_level
    self._max_level = max_level
    self._num_filters = num_filters
    self._conv_options = dict(conv_options)
    self._backbone_max_level = backbone_max_level
    self._coarse_convs = coarse_convs
    self._overlapping_pools = overlapping_pools
    self.convs: dict[str, blocks.ConvBatchNorm] = {}

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    given = self.given_levels(input_shape)
    levels = [level for level in given if tf.TensorShape(input_shape[level])[-1] != self._num_filters]
    if self._coarse_convs:
      levels += [str(level) for level in range(int(given[-1]) + 1, self._max_level + 1)]
    self.convs = {
      level: blocks.ConvBatchNorm(
        self._num_filters, 1, **self._conv_options, dtype=self.dtype_policy, name=f'level_{level}'
      )
      for level in levels
    }
    super().build(input_shape)

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
    """Projects the features.

    Args:
      features: {level: [batch, height_l, width_l, channels_l]}, levels as strings. Levels out of the pyramid's range
        and coarser than `backbone_max_level` are ignored; coarse ones may be missing.
      training: whether batch norm uses and updates batch statistics.

    Returns:
      [batch, height_l, width_l, num_filters] for each level, finest first.

    Raises:
      ValueError: if the finest level is missing, if there is a gap, if a shape is dynamic but for the batch, or if the
        sizes do not halve from level to level.
    """
    given = self.given_levels(features)
    self._check_sizes({level: features[level].shape for level in given})
    projected = []
    for level in given:
      feature = features[level]
      projected.append(self.convs[level](feature, training=training) if level in self.convs else feature)
    for level in range(int(given[-1]) + 1, self._max_level + 1):
      feature = projected[-1]
      if self._coarse_convs:
        feature = self.convs[str(level)](feature, training=training)
      projected.append(downsample(feature, 2, self._overlapping_pools))
    return projected

  def get_config(self) -> dict[str, Any]:
    return {
      **super().get_config(),
      'min_level': self._min_level,
      'max_level': self._max_level,
      'num_filters': self._num_filters,
      'conv_options': self._conv_options,
      'backbone_max_level': self._backbone_max_level,
      'coarse_convs': self._coarse_convs,
      'overlapping_pools': self._overlapping_pools,
    }

  def given_levels(self, features: Mapping[str, Any]) -> list[str]:
    """Lists the levels of `features` that the pyramid takes, finest first."""
    if not isinstance(features, Mapping):
      raise ValueError(f"feature pyramid: a dict {{'3': c3, '4': c4, ...}} is needed, not a {type(features).__name__}.")
    wanted = [str(level) for level in range(self._min_level, self._max_level + 1)]
    coarsest = self._max_level if self._backbone_max_level is None else self._backbone_max_level
    given = [level for level in wanted if level in features and int(level) <= coarsest]
    if given != wanted[: max(len(given), 1)]:
      missing = next(level for level in wanted if level not in given)
      raise ValueError(
        f'feature pyramid: level {missing!r} is missing; levels {self._min_level}..{self._max_level} are built from the'
        f" backbone's, which has {', '.join(sorted(map(repr, features)))}. Only the coarsest may be left out."
      )
    return given

  def _check_sizes(self, shapes: Mapping[str, tf.TensorShape]) -> None:
    finest = str(self._min_level)
    stride = 2**self._min_level
    for level, shape in shapes.items():
      if shape.rank != 4 or any(size is None for size in shape[1:]):
        raise ValueError(
          f'feature pyramid: level {level!r} has shape {shape}; [batch, height, width, channels] is needed, static but'
          ' for the batch: give the model a fixed image size.'
        )
      shift = int(level) - self._min_level
      if any(fine != size << shift for fine, size in zip(shapes[finest][1:3], shape[1:3], strict=True)):
        raise ValueError(
          f'feature pyramid: level {level!r} is {_hw(shape)} and level {finest!r} is {_hw(shapes[finest])}, not exactly'
          f' {2**shift} times as large; image height and width must be multiples of {2**self._max_level}'
          f' (2**max_level).'
        )
    height, width = shapes[finest][1:3]
    times = 2 ** (self._max_level - self._min_level)
    if height % times or width % times:
      need = 2**self._max_level
      fit = [-(-size // times) * need for size in (height, width)]
      raise ValueError(
        f'feature pyramid: level {finest!r} is {height}x{width}, an image of {height * stride}x{width * stride}; for'
        f' levels up to {self._max_level} image height and width must be multiples of {need} (2**max_level). The next'
        f' size that fits is {fit[0]}x{fit[1]}.'
      )


def _hw(shape: tf.TensorShape) -> str:
  return f'{shape[1]}x{shape[2]}'
