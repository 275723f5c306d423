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
"""Pads a backbone's strided layers independently of the image size.

'same' pads a 7x7 convolution of stride 2 by 2 before and 3 after an image of even size; tensorflow/tpu
(`conv2d_fixed_padding`) and PyTorch pad by 3 and 3. Weights trained with one compute something else with the other.
The networks are Model Garden's; their variables and checkpoints stay as they are.
"""

import functools

import tensorflow as tf
import tf_keras
from official.vision.modeling.layers import nn_blocks

SAME, EXPLICIT, PYTORCH = 'same', 'explicit', 'pytorch'
PADDINGS = {
  'resnet': (SAME, EXPLICIT, PYTORCH),
  'spinenet': (SAME, EXPLICIT),
  'spinenet_mobile': (SAME, EXPLICIT),
}
_BLOCKS = (nn_blocks.ResidualBlock, nn_blocks.BottleneckBlock, nn_blocks.InvertedBottleneckBlock)
_CONVOLUTIONS = (tf_keras.layers.Conv2D, tf_keras.layers.DepthwiseConv2D)


def apply(backbone: tf_keras.Model, padding: str) -> None:
  """Makes a built ResNet or SpineNet of Model Garden pad as one of `PADDINGS` says; 'same' is how it is built."""
  if padding == SAME:
    return
  pad_explicitly(backbone)
  join_pools(backbone)
  if padding == PYTORCH:
    pad_pools(backbone)


def pad_explicitly(backbone: tf_keras.Model) -> None:
  """Makes every convolution with a stride of a built network pad by half its kernel on each side."""
  for layer in backbone.layers:
    for conv in convolutions(layer):
      if max(conv.strides) > 1 and max(conv.kernel_size) > 1:
        if isinstance(conv, tf_keras.layers.DepthwiseConv2D):
          _pad_depthwise(conv)
        else:
          conv.convolution_op = _padded(conv)


def join_pools(backbone: tf_keras.Model) -> None:
  """Merges consecutive 3x3 max pools of stride 2 into one 5x5 max pool of their whole stride, as in SpineNet's code.

  A single pool stays, so that a ResNet, which has one, is not changed.
  """
  for layer in backbone.layers:
    if not _is_pool(layer) or any(_is_pool(before) for before in _layers_before(layer)):
      continue
    chain = [layer]
    while following := [node.layer for node in chain[-1].outbound_nodes if _is_pool(node.layer)]:
      chain += following
    if len(chain) > 1:
      for pool in chain[:-1]:
        pool.pool_function = _passed
      chain[-1].pool_function = functools.partial(_pooled, size=5, stride=2 ** len(chain))


def pad_pools(backbone: tf_keras.Model) -> None:
  """Makes the 3x3 max pool of a ResNet, whose input is never negative, pad by 1 on each side."""
  for layer in backbone.layers:
    if _is_pool(layer):
      layer.pool_function = _pooled_padded


def convolutions(layer: tf_keras.layers.Layer) -> list[tf_keras.layers.Layer]:
  """Returns the convolutions that a layer of a ResNet or SpineNet is or has, without those of its gates."""
  if isinstance(layer, _BLOCKS):
    return [part for part in vars(layer).values() if isinstance(part, _CONVOLUTIONS)]
  return [layer] if isinstance(layer, _CONVOLUTIONS) else []


def pad_inputs(conv: tf_keras.layers.DepthwiseConv2D, inputs: tf.Tensor) -> tf.Tensor:
  """Pads what a depthwise convolution is to convolve, if it pads explicitly; its own `padding` is 'valid' then."""
  sides = getattr(conv, 'explicit_sides', None)
  return inputs if sides is None else tf.pad(inputs, [(0, 0), *sides, (0, 0)])


def _is_pool(layer: tf_keras.layers.Layer) -> bool:
  return isinstance(layer, tf_keras.layers.MaxPool2D)


def _layers_before(layer: tf_keras.layers.Layer) -> list[tf_keras.layers.Layer]:
  return [before for node in layer.inbound_nodes for before in tf.nest.flatten(node.inbound_layers)]


def _passed(inputs: tf.Tensor, *_, **__) -> tf.Tensor:
  return inputs


def _pooled(inputs: tf.Tensor, *_, size: int, stride: int, **__) -> tf.Tensor:
  return tf.nn.max_pool2d(inputs, size, stride, 'SAME')


def _pooled_padded(inputs: tf.Tensor, *_, **__) -> tf.Tensor:
  return tf.nn.max_pool2d(tf.pad(inputs, [(0, 0), (1, 1), (1, 1), (0, 0)]), 3, 2, 'VALID')  # As TFLite has it.


def _pad_depthwise(conv: tf_keras.layers.DepthwiseConv2D) -> None:
  conv.explicit_sides, conv.padding, convolve = _sides(conv), 'valid', conv.call

  def call(inputs: tf.Tensor) -> tf.Tensor:
    return convolve(pad_inputs(conv, inputs))

  conv.call = tf.autograph.experimental.do_not_convert(call)


def _sides(conv: tf_keras.layers.Layer) -> tuple[tuple[int, int], ...]:
  return tuple(((size - 1) // 2, size // 2) for size in conv.kernel_size)


def _padded(conv: tf_keras.layers.Conv2D):
  sides = _sides(conv)

  def convolve(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(
      tf.pad(inputs, [(0, 0), *sides, (0, 0)]),
      kernel,
      strides=list(conv.strides),
      padding='VALID',
      dilations=list(conv.dilation_rate),
    )

  return convolve
