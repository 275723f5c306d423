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

"""Mirrors an image, left to right or upside down."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from nasfpn_tf.data.input.augment.operation import Operation, register, shared_draw


@dataclasses.dataclass(frozen=True)
class _Flip(Operation):
  """Mirrors an image and its boxes along an axis.

  Attributes:
    probability: how often.
  """

  shares_seed: ClassVar[bool] = True
  axis: ClassVar[int]
  draw: ClassVar[int]

  probability: float = 0.5

  def __post_init__(self):
    if not 0.0 <= self.probability <= 1.0:
      raise ValueError(f'probability must be from 0 to 1, got {self.probability}')

  def __call__(self, image: tf.Tensor, boxes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Flips one image; see `Operation`."""
    flip = shared_draw(seed, self.draw) < self.probability
    return tf.cond(flip, lambda: self._mirrored(image, boxes), lambda: (image, boxes))

  def _mirrored(self, image, boxes):
    columns = tf.unstack(boxes, num=4, axis=1)
    near, far = columns[self.axis], columns[self.axis + 2]
    columns[self.axis], columns[self.axis + 2] = 1.0 - far, 1.0 - near
    return tf.reverse(image, [self.axis]), tf.stack(columns, axis=1)


@register
@dataclasses.dataclass(frozen=True)
class HorizontalFlip(_Flip):
  """Flips left to right (`aug_rand_hflip`)."""

  name: ClassVar[str] = 'horizontal_flip'
  axis: ClassVar[int] = 1
  draw: ClassVar[int] = 3


@register
@dataclasses.dataclass(frozen=True)
class VerticalFlip(_Flip):
  """Flips upside down (`aug_rand_vflip`)."""

  name: ClassVar[str] = 'vertical_flip'
  axis: ClassVar[int] = 0
  draw: ClassVar[int] = 4
