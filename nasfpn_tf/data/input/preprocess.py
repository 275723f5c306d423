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

"""Preprocesses images, alike in training, evaluation, export, calibration and prediction."""

from collections.abc import Sequence

import tensorflow as tf

# ImageNet's statistics in units of 0..255 pixels, as Model Garden's `preprocess_ops.normalize_image` applies them.
MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
STDDEV = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def normalize(images: tf.Tensor) -> tf.Tensor:
  """Returns float32 images of zero mean and unit variance.

  Args:
    images: `[..., 3]`, RGB, integer or float, 0..255 (a float image too, unlike in Model Garden).
  """
  return (tf.cast(images, tf.float32) - tf.constant(MEAN)) / tf.constant(STDDEV)


def to_network(images: tf.Tensor) -> tf.Tensor:
  """Normalizes uint8 images, on the device that the network runs on; others are normalized already."""
  return normalize(images) if images.dtype == tf.uint8 else images


def check_output_size(output_size: Sequence[int], level: int) -> tuple[int, int]:
  """Returns `(height, width)` of the network's input.

  Args:
    output_size: height, width and possibly channels.
    level: coarsest level that has to be an exact part of the input.

  Raises:
    ValueError: a side is not a positive multiple of the stride `2**level`: the levels of a pyramid would
      not be exact halves of one another.
  """
  height, width = (int(side) for side in output_size[:2])
  stride = 2**level
  if min(height, width) <= 0 or height % stride or width % stride:
    nearest = [max(stride, round(side / stride) * stride) for side in (height, width)]
    raise ValueError(
      f'input_size {height}x{width} must be a multiple of {stride} (2**{level}) in both '
      f'directions; the nearest is {nearest[0]}x{nearest[1]}'
    )
  return height, width


def geometry(
  image_size: tf.Tensor,
  output_size: Sequence[int],
  scale: tf.Tensor | float = 1.0,
  position: tf.Tensor | None = None,
  keep_aspect_ratio: bool = True,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Computes where an image is placed in the network's input.

  Args:
    image_size: int32 `[2]`, height and width.
    output_size: height and width of the network's input.
    scale: the image is fitted into `scale * output_size`; scale jitter draws it at random.
    position: float32 `[2]` in 0..1, of the crop window in what exceeds `output_size`; None is the top left.
    keep_aspect_ratio: False stretches the image to the whole of `output_size`.

  Returns:
    scaled_size: int32 `[2]`, size of the resized image before cropping and padding.
    image_info: float32 `[4, 2]`, rows in (y, x) as Model Garden's: the original size, `output_size`, the scale
      (input pixels per original pixel) and the offset of the crop window in the resized image.
  """
  image_size = tf.cast(image_size, tf.float32)
  desired = tf.constant([float(output_size[0]), float(output_size[1])])
  target = desired if isinstance(scale, float) and scale == 1.0 else tf.round(scale * desired)
  if keep_aspect_ratio:
    target = tf.round(image_size * tf.reduce_min(target / image_size))
  target = tf.maximum(target, 1.0)  # A very long and narrow image keeps a row of pixels.
  offset = tf.zeros([2]) if position is None else tf.floor(tf.maximum(target - desired, 0.0) * position)
  return tf.cast(target, tf.int32), tf.stack([image_size, desired, target / image_size, offset])


def place_boxes(boxes: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Moves boxes `[n, 4]`, yxyx in 0..1 of the original image, to pixels of the network's input, clipped to it."""
  original, desired, scale, offset = tf.unstack(image_info)
  boxes = boxes * tf.tile(original, [2]) * tf.tile(scale, [2]) - tf.tile(offset, [2])
  return tf.clip_by_value(boxes, 0.0, tf.tile(desired, [2]))


def resize(image: tf.Tensor, scaled_size: tf.Tensor) -> tf.Tensor:
  """Resizes `[height, width, 3]` bilinearly to float32.

  TensorFlow's kernel gives the same values for integers and for floats, in half the time for floats. Converting a large
  original takes longer than that saves.
  """

  def resized(pixels: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.ResizeBilinear(images=pixels[tf.newaxis], size=scaled_size, half_pixel_centers=True)[0]

  if image.dtype == tf.float32:
    return resized(image)
  is_small = tf.reduce_prod(tf.shape(image)[:2]) <= tf.maximum(2 * tf.reduce_prod(scaled_size), 2**19)
  return tf.cond(is_small, lambda: resized(tf.cast(image, tf.float32)), lambda: resized(image))


def normalize_and_pad(image: tf.Tensor, output_size: Sequence[int]) -> tf.Tensor:
  """Normalizes a float32 `[height, width, 3]` image of 0..255 and pads it with zeros to the bottom and the right.

  The work is done on rows of `width * 3` values: broadcasting a vector of three over an image is several times slower
  on a CPU.
  """
  height, width = output_size
  scale = tf.constant([1.0 / s for s in STDDEV] * width)
  shift = tf.constant([-m / s for m, s in zip(MEAN, STDDEV, strict=True)] * width)
  size = tf.shape(image)
  row = size[1] * 3
  rows = tf.reshape(image, [size[0], row]) * scale[:row] + shift[:row]
  rows = tf.pad(rows, [[0, height - size[0]], [0, width * 3 - row]])
  return tf.reshape(rows, [height, width, 3])


def round_and_pad(image: tf.Tensor, output_size: Sequence[int]) -> tf.Tensor:
  """Rounds a float32 `[height, width, 3]` image of 0..255 to uint8 and pads it with the mean color, also rounded.

  A quarter of the bytes of a normalized image; `normalize` on the device makes one of it, 0.009 away at most.
  """
  height, width = output_size
  size = tf.shape(image)
  row = size[1] * 3
  rows = tf.reshape(tf.cast(image + 0.5, tf.uint8), [size[0], row])
  mean = tf.constant([[round(value) for value in MEAN] * width], tf.uint8)
  rows = tf.concat([rows, tf.repeat(mean[:, row:], size[0], axis=0)], axis=1)
  rows = tf.concat([rows, tf.repeat(mean, height - size[0], axis=0)], axis=0)
  return tf.reshape(rows, [height, width, 3])


def letterbox(
  image: tf.Tensor, output_size: Sequence[int], keep_aspect_ratio: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
  """Fits an image into the network's input at the top left, as every use of a trained detector does.

  Args:
    image: `[height, width, 3]`, RGB, uint8 or float, 0..255.
    output_size: height and width of the network's input.
    keep_aspect_ratio: False stretches the image instead of padding it.

  Returns:
    float32 `[output_height, output_width, 3]`, normalized, zeros in the padding; and `image_info`, see `geometry`:
    boxes in input pixels divided by its third row are in original pixels.
  """
  scaled_size, image_info = geometry(tf.shape(image)[:2], output_size, keep_aspect_ratio=keep_aspect_ratio)
  return normalize_and_pad(resize(image, scaled_size), output_size), image_info
