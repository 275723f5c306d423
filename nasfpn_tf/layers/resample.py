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

"""From one level of the pyramid to another, without weights: max pooling down, nearest neighbour up."""

import tensorflow as tf


def resample(feature: tf.Tensor, from_level: int, to_level: int) -> tf.Tensor:
  """Brings a feature from stride 2**from_level to stride 2**to_level (arXiv 1904.07392, sec. 3.1.2).

  Args:
    feature: [batch, height, width, channels] at `from_level`; height and width static when it is upsampled.
    from_level: level of `feature`.
    to_level: level wanted; coarser is max pooling, finer is nearest-neighbour upsampling.

  Returns:
    [batch, height * 2**(from_level - to_level), width * 2**(from_level - to_level), channels].
  """
  if to_level > from_level:
    return downsample(feature, 2 ** (to_level - from_level))
  if to_level < from_level:
    return upsample(feature, 2 ** (from_level - to_level))
  return feature


def downsample(feature: tf.Tensor, factor: int) -> tf.Tensor:
  """Max pooling with kernel and stride `factor`."""
  return tf.nn.max_pool2d(feature, factor, factor, 'SAME')


def upsample(feature: tf.Tensor, factor: int) -> tf.Tensor:
  """Nearest-neighbour upsampling by an integer.

  Model Garden stacks copies and reshapes; one resize op is a TFLite builtin, quantises to int8 without a
  rescale, and is faster. Its registered gradient has no XLA kernel, so the gradient is written here: each source
  cell receives the sum over its factor x factor copies.
  """
  height, width = feature.shape[1:3]
  size = [height * factor, width * factor]

  @tf.custom_gradient
  def nearest(x):
    def gradient(upstream):
      return tf.nn.avg_pool2d(upstream, factor, factor, 'VALID') * (factor * factor)

    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size), gradient

  return nearest(feature)
