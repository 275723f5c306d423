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

"""Augments a training image: a list of operations, with scale jitter and a random crop between them."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.data.input.augment.operation import Operation, shared_draw

_FIRST_SEED = 2  # Folded into the seed of the first operation; AutoAugment folds 1 into the image's.


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Random changes of a training image; none by default.

  Every draw comes from the seed that is passed in, so an image is augmented alike wherever and whenever it is.

  Attributes:
    operations: applied one after the other, those with `before_scaling` before the image is scaled.
    scale_min: least scale of the image in the network's input.
    scale_max: greatest scale; what exceeds the input is cropped at a random position.
  """

  operations: tuple[Operation, ...] = ()
  scale_min: float = 1.0
  scale_max: float = 1.0

  def __post_init__(self):
    if not 0.0 < self.scale_min <= self.scale_max:
      raise ValueError(f'need 0 < aug_scale_min <= aug_scale_max, got {self.scale_min} and {self.scale_max}')
    shared = [operation.name for operation in self.operations if operation.shares_seed]
    for name in shared:
      if shared.count(name) > 1:
        raise ValueError(f'the augmentation {name!r} is given twice, by its own key or in aug_operations')

  def __call__(
    self,
    image: tf.Tensor,
    boxes: tf.Tensor,
    seed: tf.Tensor,
    output_size: Sequence[int],
    keep_aspect_ratio: bool = True,
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Augments an image, fits it into the network's input and moves its boxes along.

    Args:
      image: uint8 `[height, width, 3]`.
      boxes: float32 `[num_boxes, 4]`, yxyx, 0..1 of the image.
      seed: integers `[2]`.
      output_size: height and width of the network's input.
      keep_aspect_ratio: False stretches the image to `output_size` before it is scaled.

    Returns:
      float32 image `[h, w, 3]` of 0..255 with h, w at most `output_size`; boxes in its pixels, clipped to it and empty
      where nothing is left of them; and `image_info`, see `preprocess.geometry` (it knows of no operation).
    """
    image, boxes = self._apply(True, image, boxes, seed)
    image, boxes, image_info = self._scale_and_crop(image, boxes, seed, output_size, keep_aspect_ratio)
    if not all(operation.before_scaling for operation in self.operations):
      extent = tf.tile(tf.cast(tf.shape(image)[:2], tf.float32), [2])
      image, boxes = self._apply(False, image, boxes / extent, seed)
      boxes *= tf.tile(tf.cast(tf.shape(image)[:2], tf.float32), [2])
    return image, boxes, image_info

  def _apply(self, before_scaling, image, boxes, seed):
    for place, operation in enumerate(self.operations, _FIRST_SEED):
      if operation.before_scaling != before_scaling:
        continue
      own_seed = seed if operation.shares_seed else tf.random.experimental.stateless_fold_in(seed, place)
      image, moved = operation(image, boxes, own_seed)
      # Else the boxes behind a missing one would silently get the labels of others.
      fits = tf.debugging.assert_equal(
        tf.shape(moved), tf.shape(boxes), f'the augmentation {operation.name!r} changed the number of boxes'
      )
      with tf.control_dependencies([fits] if fits is not None else []):
        boxes = tf.identity(moved)
    return image, boxes

  def _scale_and_crop(self, image, boxes, seed, output_size, keep_aspect_ratio):
    jitters_scale = self.scale_min != 1.0 or self.scale_max != 1.0
    scaled_size, image_info = preprocess.geometry(
      tf.shape(image)[:2],
      output_size,
      scale=self.scale_min + (self.scale_max - self.scale_min) * shared_draw(seed, 0) if jitters_scale else 1.0,
      position=tf.stack([shared_draw(seed, 1), shared_draw(seed, 2)]) if jitters_scale else None,
      keep_aspect_ratio=keep_aspect_ratio,
    )
    boxes = preprocess.place_boxes(boxes, image_info)
    image = preprocess.resize(image, scaled_size)
    if jitters_scale:
      offset = tf.cast(image_info[3], tf.int32)
      end = offset + tf.constant(output_size[:2])
      image = image[offset[0] : end[0], offset[1] : end[1]]
    return image, boxes, image_info
