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

"""Varies brightness, contrast and saturation."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from nasfpn_tf.data.input.augment.operation import Operation, register, shared_draw

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma.


@register
@dataclasses.dataclass(frozen=True)
class Color(Operation):
  """Varies brightness, contrast and saturation (`aug_color`).

  Attributes:
    strength: c: each of the three is multiplied by a number from `1 - 0.5 c` to `1 + 0.5 c`.
  """

  name: ClassVar[str] = 'color'
  shares_seed: ClassVar[bool] = True

  strength: float = 0.4

  def __post_init__(self):
    if not 0.0 <= self.strength <= 1.0:
      raise ValueError(f'the strength of aug_color must be from 0 to 1, got {self.strength}')

  def __call__(self, image: tf.Tensor, boxes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Recolors one image; see `Operation`."""
    factors = [1.0 + self.strength * (shared_draw(seed, index) - 0.5) for index in (5, 6, 7)]
    return adjust_color(image, *factors), boxes


def adjust_color(image: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
  """Scales an image's brightness, its contrast about its mean gray, and its saturation, in one linear map.

  Args:
    image: float32 `[height, width, 3]`, 0..255.
    brightness: scalar factor, 1 changes nothing; so for the others.
    contrast: scalar factor.
    saturation: scalar factor; 0 leaves a gray image.

  Returns:
    float32 `[height, width, 3]`, clipped to 0..255.
  """
  shape = tf.shape(image)
  pixels = tf.reshape(image, [-1, 3])
  grey = tf.constant([_GREY] * 3)
  mean_grey = tf.tensordot(tf.reduce_mean(pixels, axis=0), tf.constant(_GREY), 1)
  mixing = brightness * contrast * (saturation * tf.eye(3) + (1.0 - saturation) * tf.transpose(grey))
  shift = brightness * (1.0 - contrast) * mean_grey
  return tf.reshape(tf.clip_by_value(tf.matmul(pixels, mixing) + shift, 0.0, 255.0), shape)
