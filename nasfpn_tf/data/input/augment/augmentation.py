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

"""Random scale, crop, flips and colour of one training image, and AutoAugment before them."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.data.input.augment.autoaugment import AutoAugment

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma.


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """What happens to a training image at random; the default is nothing.

  Every draw comes from the seed that is passed in, so an image is augmented alike wherever and whenever it is.

  Attributes:
    horizontal_flip: flip left to right with probability 1/2.
    vertical_flip: flip upside down with probability 1/2.
    scale_min: least scale of the image in the network's input.
    scale_max: greatest scale; what exceeds the input is cropped at a random position.
    color: strength c of the colour jitter: brightness, contrast and saturation are each multiplied by a number from
      `1 - 0.5 c` to `1 + 0.5 c`.
    policy: AutoAugment, applied before all else.
  """

  horizontal_flip: bool = False
  vertical_flip: bool = False
  scale_min: float = 1.0
  scale_max: float = 1.0
  color: float = 0.0
  policy: AutoAugment | None = None

  def __post_init__(self):
    if not 0.0 < self.scale_min <= self.scale_max:
      raise ValueError(f'need 0 < aug_scale_min <= aug_scale_max, got {self.scale_min} and {self.scale_max}')
    if not 0.0 <= self.color <= 1.0:
      raise ValueError(f'aug_color must be from 0 to 1, got {self.color}')

  def __call__(
    self,
    image: tf.Tensor,
    boxes: tf.Tensor,
    seed: tf.Tensor,
    output_size: Sequence[int],
    keep_aspect_ratio: bool = True,
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Resizes, crops, flips and recolours an image, and moves its boxes along.

    Args:
      image: uint8 `[height, width, 3]`.
      boxes: float32 `[num_boxes, 4]`, yxyx, 0..1 of the image.
      seed: integers `[2]`.
      output_size: height and width of the network's input.
      keep_aspect_ratio: False stretches the image to `output_size` before it is scaled.

    Returns:
      float32 image `[h, w, 3]` of 0..255 with h, w at most `output_size`; boxes in its pixels, clipped to it and empty
      where nothing is left of them; and `image_info`, see `preprocess.geometry` (it knows of no flips).
    """
    if self.policy is not None:
      image, boxes = self.policy(image, boxes, tf.random.experimental.stateless_fold_in(seed, 1))
    draws = tf.unstack(tf.random.stateless_uniform([8], seed))
    jitters_scale = self.scale_min != 1.0 or self.scale_max != 1.0
    scaled_size, image_info = preprocess.geometry(
      tf.shape(image)[:2],
      output_size,
      scale=self.scale_min + (self.scale_max - self.scale_min) * draws[0] if jitters_scale else 1.0,
      position=tf.stack(draws[1:3]) if jitters_scale else None,
      keep_aspect_ratio=keep_aspect_ratio,
    )
    boxes = preprocess.place_boxes(boxes, image_info)
    image = preprocess.resize(image, scaled_size)
    if jitters_scale:
      offset = tf.cast(image_info[3], tf.int32)
      end = offset + tf.constant(output_size[:2])
      image = image[offset[0] : end[0], offset[1] : end[1]]
    if self.horizontal_flip:
      image, boxes = _maybe_flip(image, boxes, draws[3] < 0.5, axis=1)
    if self.vertical_flip:
      image, boxes = _maybe_flip(image, boxes, draws[4] < 0.5, axis=0)
    if self.color:
      factors = [1.0 + self.color * (draw - 0.5) for draw in draws[5:8]]
      image = adjust_color(image, *factors)
    return image, boxes, image_info


def _maybe_flip(image: tf.Tensor, boxes: tf.Tensor, flip: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Mirrors an image and its boxes in pixels along an axis where `flip` is true."""
  extent = tf.cast(tf.shape(image)[axis], tf.float32)

  def mirrored():
    near, far = boxes[:, axis], boxes[:, axis + 2]
    columns = [boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]]
    columns[axis], columns[axis + 2] = extent - far, extent - near
    return tf.reverse(image, [axis]), tf.stack(columns, axis=1)

  return tf.cond(flip, mirrored, lambda: (image, boxes))


def adjust_color(image: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
  """Scales an image's brightness, its contrast about its mean grey, and its saturation, in one linear map.

  Args:
    image: float32 `[height, width, 3]`, 0..255.
    brightness: scalar factor, 1 changes nothing; so for the others.
    contrast: scalar factor.
    saturation: scalar factor; 0 leaves a grey picture.

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
