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

"""Recomputes a detector's backbone and head in the backward pass; see `nasfpn_tf.layers.recompute`.

The networks are Model Garden's, and their variables and checkpoints stay as they are: the `call` of each block, of the
backbone and the towers of the head are replaced on the objects. The pyramid recomputes its stages itself.
"""

import tensorflow as tf
import tf_keras
from official.vision.modeling.heads import dense_prediction_heads
from official.vision.modeling.layers import nn_blocks, nn_layers

from nasfpn_tf.layers import recompute
from nasfpn_tf.layers.drop_path import DropPath
from nasfpn_tf.modeling.backbones import registry

# What Model Garden's backbones are made of, one feature map out of each.
_BLOCKS = (nn_blocks.ResidualBlock, nn_blocks.BottleneckBlock, nn_blocks.InvertedBottleneckBlock)


def recompute_blocks(backbone: tf_keras.Model) -> None:
  """Makes every block of a built backbone keep only its inputs, and be recomputed in the backward pass.

  So does the stem. Level 2 of a ResNet keeps only the images: its feature maps are the largest, and the inputs of its
  blocks are recomputed, too.

  Raises:
    ValueError: the backbone has no such blocks.
  """
  blocks = [layer for layer in backbone.layers if isinstance(layer, (*_BLOCKS, *registry.recomputable_blocks()))]
  if not blocks:
    raise ValueError(
      f'model.recompute_backbone: {backbone.name} is not made of blocks that can be recomputed; resnet, spinenet and'
      ' amoebanet are.'
    )
  for block in blocks:
    if isinstance(getattr(block, '_stochastic_depth', None), nn_layers.StochasticDepth):
      # Model Garden's would drop other examples the second time. Neither has variables.
      rate = block._stochastic_depth.get_config()['stochastic_depth_drop_rate']
      block._stochastic_depth = DropPath(1.0 - rate, name='stochastic_depth')
    block.call = _recomputed_call(block.call)
  recompute.update_once(backbone)
  whole = backbone
  for boundary in (backbone.output.get('2'), blocks[0].input):
    if tf.is_tensor(boundary) and (first := _recompute_before(boundary, whole)):
      whole = first


def _recompute_before(boundary: tf.Tensor, whole: tf_keras.Model) -> tf_keras.Model | None:
  """Recomputes the layers of a model before a feature map; returns them.

  Does nothing, and returns None, where a layer after it needs something else from before it.
  """
  outputs = whole.output if isinstance(whole.output, dict) else {'': whole.output}
  later = {name: output for name, output in outputs.items() if output is not boundary}
  try:
    rest = tf_keras.Model(boundary, later)
  except ValueError:
    return None
  first = tf_keras.Model(whole.input, boundary)
  layer = recompute.Recomputed(first)

  def call(inputs, training=None, mask=None):
    del mask
    x = layer([inputs], training=training)
    found = dict.fromkeys(outputs, x) | rest(x, training=training)
    return found.get('', found)

  whole.call = call
  return first


def recompute_towers(head: dense_prediction_heads.RetinaNetHead) -> None:
  """Makes the convolutions before the predictors of a built head, level by level, be recomputed in the same way.

  The gradients of all levels and of both towers are there at once; the towers take turns.
  """
  call, apply_tower = head.call, head._apply_prediction_tower
  turns = recompute.Turns()

  def call_in_turns(features):
    turns.begin()
    return call(features)

  def apply(features, convs, norms):
    return recompute.Recomputed(lambda x: apply_tower(x, convs, norms), turns)([features])

  recompute.update_once(head)
  head.call, head._apply_prediction_tower = call_in_turns, apply


def _recomputed_call(call):
  def run(*tensors):
    return call(tensors[0] if len(tensors) == 1 else list(tensors))

  layer = recompute.Recomputed(run)

  def recomputed(inputs, training=None):
    return layer(tf.nest.flatten(inputs), training=training)

  return recomputed
