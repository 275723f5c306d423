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

"""Resamples features between levels without weights: max pooling down, nearest neighbor up."""

import tensorflow as tf


def resample(feature: tf.Tensor, from_level: int, to_level: int, overlap: bool = False) -> tf.Tensor:
  """Brings a feature from stride 2**from_level to stride 2**to_level (arXiv 1904.07392, sec. 3.1.2).

  Args:
    feature: [batch, height, width, channels] at `from_level`; height and width static when it is upsampled.
    from_level: level of `feature`.
    to_level: level wanted; coarser is max pooling, finer is nearest-neighbor upsampling.
    overlap: see `downsample`.

  Returns:
    [batch, height * 2**(from_level - to_level), width * 2**(from_level - to_level), channels].
  """
  if to_level > from_level:
    return downsample(feature, 2 ** (to_level - from_level), overlap)
  if to_level < from_level:
    return upsample(feature, 2 ** (from_level - to_level))
  return feature


def downsample(feature: tf.Tensor, factor: int, overlap: bool = False) -> tf.Tensor:
  """Downsamples by max pooling with kernel and stride `factor`; with `overlap` the kernel is one cell larger."""
  return tf.nn.max_pool2d(feature, factor + overlap, factor, 'SAME')


def upsample(feature: tf.Tensor, factor: int) -> tf.Tensor:
  """Upsamples to the nearest neighbor by an integer factor.

  One resize op: a TFLite builtin that quantizes to int8 without a rescale, and faster on CPU than stacking copies as
  Model Garden does. XLA would make a gather of it, so on TPU it is a broadcast, which fuses with what follows. The
  gradient is written here, for the resize op's own has no XLA kernel: each source cell receives the sum over its
  factor x factor copies.
  """
  forward = _broadcast if _on_tpu() else _resize

  @tf.custom_gradient
  def nearest(x):
    def gradient(upstream):
      return tf.nn.avg_pool2d(upstream, factor, factor, 'VALID') * (factor * factor)

    return forward(x, factor), gradient

  return nearest(feature)


def _resize(x: tf.Tensor, factor: int) -> tf.Tensor:
  height, width = x.shape[1:3]
  return tf.raw_ops.ResizeNearestNeighbor(images=x, size=[height * factor, width * factor])


def _broadcast(x: tf.Tensor, factor: int) -> tf.Tensor:
  height, width, channels = x.shape[1:]
  copies = tf.broadcast_to(x[:, :, None, :, None, :], [tf.shape(x)[0], height, factor, width, factor, channels])
  return tf.reshape(copies, [-1, height * factor, width * factor, channels])


def _on_tpu() -> bool:
  tpu_strategies = (tf.distribute.TPUStrategy, tf.distribute.experimental.TPUStrategy)
  return isinstance(tf.distribute.get_strategy(), tpu_strategies)
