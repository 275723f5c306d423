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

"""Pads evaluation batches to one static shape, for devices that compile for shapes."""

from typing import Any

import tensorflow as tf

FILLER_ID = -1  # Source id of an image that only fills a batch.


def fill_batch(images: tf.Tensor, labels: dict[str, Any], batch_size: int) -> tuple[tf.Tensor, dict[str, Any]]:
  """Fills a batch, which may have no image at all, up with blank images.

  Args:
    images: `[batch, height, width, 3]`.
    labels: with 'source_id'.
    batch_size: images that the result has.

  Returns:
    Images and labels with a static batch dimension. Blank images have `FILLER_ID`, and zeros for all else, weights of
    the losses included.
  """
  missing = batch_size - tf.shape(images)[0]

  def pad(value: tf.Tensor, fill_value: int = 0) -> tf.Tensor:
    paddings = [[0, missing]] + [[0, 0]] * (value.shape.rank - 1)
    value = tf.pad(value, paddings, constant_values=tf.cast(fill_value, value.dtype))
    return tf.ensure_shape(value, [batch_size, *value.shape[1:]])

  filled = tf.nest.map_structure(pad, labels)
  filled['source_id'] = pad(labels['source_id'], FILLER_ID)
  return pad(images), filled


def num_images(labels: dict[str, Any]) -> tf.Tensor:
  """Counts the images of a batch that are not padding, float32."""
  return tf.reduce_sum(tf.cast(labels['source_id'] != FILLER_ID, tf.float32))


def fill_batches(dataset: tf.data.Dataset, batch_size: int, num_extra: int = 0) -> tf.data.Dataset:
  """Fills the last batch up with blank images and adds whole batches of them.

  A strategy of R replicas takes R batches of static shape at a time and drops what is left over, so with R - 1 extra
  batches it drops blank images alone.

  Args:
    dataset: finite dataset of (images, labels) with 'source_id' in the labels; the last batch may be small.
    batch_size: images per batch.
    num_extra: batches of blank images at the end.

  Returns:
    The dataset with the batch dimension static.
  """

  def fill(images: tf.Tensor, labels: dict[str, Any]) -> tuple[tf.Tensor, dict[str, Any]]:
    return fill_batch(images, labels, batch_size)

  filled = dataset.map(fill)
  if not num_extra:
    return filled
  blank = dataset.take(1).map(lambda *batch: fill(*tf.nest.map_structure(lambda value: value[:0], batch)))
  return filled.concatenate(blank.repeat(num_extra))
