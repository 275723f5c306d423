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

"""Implements AutoAugment's operations for detection: Model Garden's on the pixels, with the boxes moved along.

Every random number is an argument, so that an image is distorted alike whenever its seed is the same. The boxes are
moved here: Model Garden turns a box that has left the image into one of a twentieth of it at the edge, with nothing
inside; here it is left empty, and the input drops it.

Images are uint8 `[height, width, 3]`; boxes float32 `[num_boxes, 4]`, yxyx in 0..1 of the image.
"""

import math
from collections.abc import Callable

import tensorflow as tf
from official.vision.ops import augment

GREY = 128  # Fills what a distortion leaves empty.
_REPLACE = [GREY] * 3


def translate(image: tf.Tensor, boxes: tf.Tensor, pixels: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Shifts the image by `pixels` towards the top (axis 0) or the left (axis 1)."""
  move = augment.translate_x if axis else augment.translate_y

  def moved(y, x, size):
    return (y, x - pixels / size[1]) if axis else (y - pixels / size[0], x)

  return move(image, pixels, _REPLACE), _move_boxes(image, boxes, moved)


def shear(image: tf.Tensor, boxes: tf.Tensor, level: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Shears along the rows (axis 1) or the columns (axis 0); `level` is the shift in pixels for each pixel away."""
  slant = augment.shear_x if axis else augment.shear_y

  def moved(y, x, size):
    aspect = size[1] / size[0]
    return (y, x - level * y / aspect) if axis else (y - level * x * aspect, x)

  return slant(image, level, _REPLACE), _move_boxes(image, boxes, moved)


def rotate(image: tf.Tensor, boxes: tf.Tensor, degrees: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Turns the image counterclockwise about its center."""
  radians = degrees * math.pi / 180.0
  cosine, sine = tf.cos(radians), tf.sin(radians)

  def moved(y, x, size):
    down, right = (y - 0.5) * size[0], (x - 0.5) * size[1]
    return (
      (cosine * down - sine * right) / size[0] + 0.5,
      (sine * down + cosine * right) / size[1] + 0.5,
    )

  return augment.wrapped_rotate(image, degrees, _REPLACE), _move_boxes(image, boxes, moved)


def cutout(image: tf.Tensor, center: tf.Tensor, half_size: tf.Tensor) -> tf.Tensor:
  """Grays out a rectangle.

  Args:
    image: see the module.
    center: float32 `[2]`, y and x in 0..1 of the image.
    half_size: `[2]`, half the height and the width of the rectangle in pixels.
  """
  size = tf.shape(image)[:2]
  middle = tf.cast(center * tf.cast(size, tf.float32), tf.int32)
  half_size = tf.cast(half_size, tf.int32)
  inside = [
    (tf.range(size[axis]) >= middle[axis] - half_size[axis]) & (tf.range(size[axis]) < middle[axis] + half_size[axis])
    for axis in range(2)
  ]
  mask = inside[0][:, tf.newaxis, tf.newaxis] & inside[1][tf.newaxis, :, tf.newaxis]
  return tf.where(mask, tf.constant(GREY, image.dtype), image)


def cutout_in_box(image: tf.Tensor, box: tf.Tensor, center: tf.Tensor, fraction: float) -> tf.Tensor:
  """Grays out a part of one box `[4]`: `fraction` of its height and width, about `center` in 0..1 of the box."""
  size = tf.cast(tf.shape(image)[:2], tf.float32)
  extent = box[2:] - box[:2]
  return cutout(image, box[:2] + center * extent, tf.maximum(0.5 * fraction * extent * size, 1.0))


def within_boxes(
  image: tf.Tensor, boxes: tf.Tensor, is_chosen: tf.Tensor, distort: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
  """Distorts the contents of some boxes, one after the other; the boxes stay.

  Args:
    image: see the module.
    boxes: see the module.
    is_chosen: bool `[num_boxes]`.
    distort: maps the contents of a box, uint8 `[h, w, 3]`, and its number.
  """

  def body(i, pixels):
    distorted = tf.cond(
      is_chosen[i],
      lambda: augment._apply_bbox_augmentation(pixels, boxes[i], lambda contents: distort(contents, i)),
      lambda: pixels,
    )
    return i + 1, tf.ensure_shape(distorted, image.shape)

  num_boxes = tf.shape(boxes)[0]
  return tf.while_loop(
    lambda i, _: i < num_boxes, body, (0, image), shape_invariants=(tf.TensorShape([]), image.shape)
  )[1]


def shift_rows(contents: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
  """Shifts the contents of a box towards the top."""
  return augment.translate_y(contents, pixels, _REPLACE)


def slant(contents: tf.Tensor, level: tf.Tensor, axis: int) -> tf.Tensor:
  """Shears the contents of a box along an axis."""
  return (augment.shear_x if axis else augment.shear_y)(contents, level, _REPLACE)


def _move_boxes(image: tf.Tensor, boxes: tf.Tensor, moved: Callable) -> tf.Tensor:
  """Bounds the corners of `boxes` after `moved(y, x, size)` moved them, clipped to the image."""
  size = tf.cast(tf.shape(image)[:2], tf.float32)
  top, left, bottom, right = tf.split(boxes, 4, axis=1)
  y, x = moved(tf.concat([top, top, bottom, bottom], 1), tf.concat([left, right, left, right], 1), size)
  corners = [tf.reduce_min(y, 1), tf.reduce_min(x, 1), tf.reduce_max(y, 1), tf.reduce_max(x, 1)]
  return tf.clip_by_value(tf.stack(corners, axis=1), 0.0, 1.0)
