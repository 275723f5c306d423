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
"""Names of the variables of tensorflow/tpu's detectors beside the layers of ours."""

from collections.abc import Iterator
from typing import Any

import tf_keras
from official.vision.modeling import retinanet_model
from official.vision.modeling.backbones import spinenet, spinenet_mobile
from official.vision.modeling.layers import nn_blocks

from nasfpn_tf.public_weights.name_map import Rule

_CELL = 'fpn_cells/cell_{stage}/sub_policy{cell}/op_after_combine{node}/'
_BLOCK = 'spinenet/sub_policy{block}/'
_MOBILE = 'spinenet_mbconv/'
_MOBILE_BLOCK = _MOBILE + 'sub_policy{block}/scale_permuted_block_{feature}/'
_MOBILE_SIDE = _MOBILE + 'sub_policy{block}/resample_with_sepconv_resample_{same}_{side}/'
RULES = (
  Rule('resnet{depth}/conv2d{_n}', 'backbone.convs.{n}'),
  Rule('resnet{depth}/batch_normalization{_n}', 'backbone.norms.{n}'),
  Rule('spinenet/conv2d{_n}', 'backbone.convs.{n}'),
  Rule('spinenet/batch_normalization{_n}', 'backbone.norms.{n}'),
  Rule(_BLOCK + 'resample_with_alpha_resample_{same}_{side}/conv2d{_n}', 'backbone.blocks.{block}.{side}.convs.{n}'),
  Rule(
    _BLOCK + 'resample_with_alpha_resample_{same}_{side}/batch_normalization{_n}',
    'backbone.blocks.{block}.{side}.norms.{n}',
  ),
  Rule(_BLOCK + 'scale_permuted_block_{feature}/conv2d{_n}', 'backbone.blocks.{block}.2.convs.{n}'),
  Rule(_BLOCK + 'scale_permuted_block_{feature}/batch_normalization{_n}', 'backbone.blocks.{block}.2.norms.{n}'),
  *(
    Rule(f'{scope}{name}{{_n}}', f'{layers}.{kind}.{{n}}')
    for scope, layers in (
      (_MOBILE, 'backbone'),
      (_MOBILE_SIDE, 'backbone.blocks.{block}.{side}'),
      (_MOBILE_BLOCK, 'backbone.blocks.{block}.2'),
    )
    for name, kind in (('conv2d', 'convs'), ('depthwise_conv2d', 'depthwise'), ('batch_normalization', 'norms'))
  ),
  Rule('resample_l{level}/conv2d', 'decoder.projection.convs.{level}.conv'),
  Rule('resample_l{level}/bn', 'decoder.projection.convs.{level}.norm'),
  Rule(_CELL + 'conv', 'decoder.stages.{stage}.cells.{cell}.conv_norm.conv'),
  Rule(_CELL + 'bn', 'decoder.stages.{stage}.cells.{cell}.conv_norm.norm'),
  Rule('fpn/l{level}', 'fpn.lateral_{level}'),
  Rule('fpn/post_hoc_d{level}', 'fpn.post_hoc_{level}'),
  Rule('fpn/p{level}', 'fpn.coarser_{level}'),
  Rule('fpn/p{level}-bn', 'fpn.norm_{level}'),
  Rule('retinanet/class_net/class-{i}', 'head.class_convs.{i}'),
  Rule('retinanet/class_net/class-{i}-{level}', 'head.class_norms.{level}.{i}'),
  Rule('retinanet/class_net/class-predict', 'head.class_predict'),
  Rule('retinanet/box_net/box-{i}', 'head.box_convs.{i}'),
  Rule('retinanet/box_net/box-{i}-{level}', 'head.box_norms.{level}.{i}'),
  Rule('retinanet/box_net/box-predict', 'head.box_predict'),
)

_BLOCK_CONVS = ('_shortcut', '_conv1', '_conv2', '_conv3')
_BLOCK_NORMS = ('_norm0', '_norm1', '_norm2', '_norm3')
_STEM_BLOCKS = 2
_RESAMPLING_CONVS = {True: 3, False: 2}  # On the way down, and otherwise.


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of a detector under the names that the rules use."""
  backbone, decoder, head = model.backbone, model.decoder, model.head
  levels = [str(level) for level in range(head.get_config()['min_level'], head.get_config()['max_level'] + 1)]
  return {
    'backbone': _backbone(backbone),
    'decoder': decoder,
    'fpn': {layer.name: layer for layer in decoder.layers} if isinstance(decoder, tf_keras.Model) else {},
    'head': {
      'class_convs': head._cls_convs,
      'class_norms': dict(zip(levels, head._cls_norms, strict=True)),
      'class_predict': head._classifier,
      'box_convs': head._box_convs,
      'box_norms': dict(zip(levels, head._box_norms, strict=True)),
      'box_predict': head._box_regressor,
    },
  }


def _backbone(backbone: tf_keras.Model) -> dict[str, Any]:
  if isinstance(backbone, spinenet.SpineNet):
    return _spinenet(backbone)
  if isinstance(backbone, spinenet_mobile.SpineNetMobile):
    return _mobile(backbone)
  return _gathered(backbone.layers)


def _gathered(layers: list[tf_keras.layers.Layer]) -> dict[str, list[tf_keras.layers.Layer]]:
  """Returns the convolutions and batch norms that layers are or have, in the order in which TPU's code makes them."""
  convs, norms, depthwise = [], [], []
  for layer in layers:
    if isinstance(layer, nn_blocks.InvertedBottleneckBlock):
      gate = layer._squeeze_excitation
      convs += [layer._conv0, *([gate._se_reduce, gate._se_expand] if gate else []), layer._conv2]
      norms += [layer._norm0, layer._norm1, layer._norm2]
      depthwise.append(layer._conv1)
    elif isinstance(layer, tf_keras.layers.DepthwiseConv2D):
      depthwise.append(layer)
    elif isinstance(layer, nn_blocks.ResidualBlock | nn_blocks.BottleneckBlock):
      convs += _those_of(layer, _BLOCK_CONVS)
      norms += _those_of(layer, _BLOCK_NORMS)
    elif isinstance(layer, tf_keras.layers.Conv2D):
      convs.append(layer)
    elif isinstance(layer, tf_keras.layers.BatchNormalization):
      norms.append(layer)
  return {'convs': convs, 'norms': norms, 'depthwise': depthwise}


def _spinenet(backbone: spinenet.SpineNet) -> dict[str, Any]:
  """Returns the layers of a SpineNet: of stem and outputs, and of each block its two resamplings and itself.

  Both codes make the layers in the order of the architecture; Keras lists them by depth, and numbers them as made.
  """
  made = {
    kind: iter(sorted((layer for layer in backbone.layers if isinstance(layer, kind)), key=_number))
    for kind in (
      tf_keras.layers.Conv2D,
      tf_keras.layers.BatchNormalization,
      nn_blocks.BottleneckBlock,
      nn_blocks.ResidualBlock,
    )
  }
  blocks_of = {'bottleneck': made[nn_blocks.BottleneckBlock], 'residual': made[nn_blocks.ResidualBlock]}
  repeats = backbone.get_config()['block_repeats']

  def conv_norms(number: int) -> list[tf_keras.layers.Layer]:
    kinds = (tf_keras.layers.Conv2D, tf_keras.layers.BatchNormalization) * number
    return [next(made[kind]) for kind in kinds]

  outer = [*conv_norms(1), *_next(blocks_of['bottleneck'], _STEM_BLOCKS * repeats)]
  levels, blocks = [2] * _STEM_BLOCKS, []
  for spec in backbone._block_specs:
    if spec.is_output and str(spec.level) not in backbone.output_specs:
      continue  # Model Garden's last one, of level 2, which is not part of the network and which TPU's code lacks.
    sides = [_gathered(conv_norms(_RESAMPLING_CONVS[levels[parent] < spec.level])) for parent in spec.input_offsets]
    blocks.append([*sides, _gathered(_next(blocks_of[spec.block_fn], repeats))])
    levels.append(spec.level)
  outer += conv_norms(len(backbone.output_specs))
  return {**_gathered(outer), 'blocks': blocks}


def _mobile(backbone: spinenet_mobile.SpineNetMobile) -> dict[str, Any]:
  """Returns the layers of a Mobile SpineNet as `_spinenet` does; to the next level leads a depthwise convolution."""
  kinds = (
    tf_keras.layers.Conv2D,
    tf_keras.layers.DepthwiseConv2D,
    tf_keras.layers.BatchNormalization,
    nn_blocks.InvertedBottleneckBlock,
  )
  made = {
    kind: iter(sorted((layer for layer in backbone.layers if type(layer) is kind), key=_number)) for kind in kinds
  }
  conv, depthwise, norm, block = (made[kind] for kind in kinds)
  repeats = backbone.get_config()['block_repeats']
  outer = [next(conv), next(norm), *_next(block, _STEM_BLOCKS * repeats)]
  levels, blocks = [1, 2], []
  for spec in backbone._block_specs:
    sides = []
    for parent in spec.input_offsets:
      down = [layer for _ in range(levels[parent], spec.level) for layer in (next(depthwise), next(norm))]
      sides.append(_gathered([*down, next(conv), next(norm)]))
    blocks.append([*sides, _gathered(_next(block, repeats))])
    levels.append(spec.level)
  for _ in backbone.output_specs:
    outer += [next(conv), next(norm)]
  return {**_gathered(outer), 'blocks': blocks}


def _next(layers: Iterator[tf_keras.layers.Layer], number: int) -> list[tf_keras.layers.Layer]:
  return [next(layers) for _ in range(number)]


def _number(layer: tf_keras.layers.Layer) -> int:
  """Returns how many layers of its class Keras had made before: 'conv2d' is 0, 'conv2d_12' is 12."""
  last = layer.name.rpartition('_')[-1]
  return int(last) if last.isdigit() else 0


def _those_of(block: tf_keras.layers.Layer, names: tuple[str, ...]) -> list[tf_keras.layers.Layer]:
  return [getattr(block, name) for name in names if getattr(block, name, None) is not None]
