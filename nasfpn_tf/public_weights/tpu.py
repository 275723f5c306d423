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
"""Detectors of tensorflow/tpu, models/official/detection: RetinaNet with ResNet and NAS-FPN."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from official.vision.modeling import retinanet_model
from official.vision.modeling.layers import nn_blocks

from nasfpn_tf.public_weights import name_map, tf1_checkpoint
from nasfpn_tf.public_weights.contents import Contents
from nasfpn_tf.public_weights.name_map import Rule

_CELL = 'fpn_cells/cell_{stage}/sub_policy{cell}/op_after_combine{node}/'
RULES = (
  Rule('resnet{depth}/conv2d{_n}', 'backbone.convs.{n}'),
  Rule('resnet{depth}/batch_normalization{_n}', 'backbone.norms.{n}'),
  Rule('resample_l{level}/conv2d', 'decoder.projection.convs.{level}.conv'),
  Rule('resample_l{level}/bn', 'decoder.projection.convs.{level}.norm'),
  Rule(_CELL + 'conv', 'decoder.stages.{stage}.cells.{cell}.conv_norm.conv'),
  Rule(_CELL + 'bn', 'decoder.stages.{stage}.cells.{cell}.conv_norm.norm'),
  Rule('retinanet/class_net/class-{i}', 'head.class_convs.{i}'),
  Rule('retinanet/class_net/class-{i}-{level}', 'head.class_norms.{level}.{i}'),
  Rule('retinanet/class_net/class-predict', 'head.class_predict'),
  Rule('retinanet/box_net/box-{i}', 'head.box_convs.{i}'),
  Rule('retinanet/box_net/box-{i}-{level}', 'head.box_norms.{level}.{i}'),
  Rule('retinanet/box_net/box-predict', 'head.box_predict'),
)

# In the order in which nn_blocks.residual_block and bottleneck_block make their layers.
_BLOCK_CONVS = ('_shortcut', '_conv1', '_conv2', '_conv3')
_BLOCK_NORMS = ('_norm0', '_norm1', '_norm2', '_norm3')
_STEM_FILTERS = 64
_ASPECT_RATIOS = [1.0, 2.0, 0.5]  # configs/detection_config.py, in this order.
_BASE_ANCHOR_SIZE = 4.0


def open_checkpoint(path: str, known_model: Mapping[str, Any] | None = None) -> Contents:
  """Opens a checkpoint: prefix, or the directory that holds it; nothing beside it is needed.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, or of another model.
  """
  del known_model
  values = tf1_checkpoint.read(path)
  return Contents(model_settings(values, path), lambda built: name_map.assign(built, parts(built), values, RULES, path))


def model_settings(values: Mapping[str, np.ndarray], source: str) -> dict[str, Any]:
  """Reads `task.model` of a detector off the shapes of the variables of its checkpoint.

  The rest are the constants of the authors' code, which their published configurations do not change.

  Raises:
    ValueError: it is not a RetinaNet with ResNet and NAS-FPN of this source.
  """
  depths = {m.group(1) for name in values if (m := re.match(r'resnet(\d+)/conv2d/kernel$', name))}
  needed = ('fpn_cells/cell_0/sub_policy0/op_after_combine5/conv/kernel', 'retinanet/class_net/class-0/kernel')
  needed += ('retinanet/class_net/class-predict/bias', 'retinanet/box_net/box-predict/bias')
  missing = [name for name in needed if name not in values] + ([] if depths else ['resnet50/conv2d/kernel'])
  if missing:
    raise ValueError(
      f'checkpoint {source!r} is not a RetinaNet with ResNet and NAS-FPN of tensorflow/tpu: it has no {missing[0]}; it'
      f' has {", ".join(list(values)[:3])}, ... . docs/weights.md lists the models that can be imported.'
    )
  depth = int(depths.pop())
  anchors = len(values['retinanet/box_net/box-predict/bias']) // 4
  return {
    'num_classes': len(values['retinanet/class_net/class-predict/bias']) // anchors,
    'min_level': 3,
    'max_level': 7,
    'norm_activation': {'activation': 'relu', 'norm_momentum': 0.997, 'norm_epsilon': 1e-4, 'use_sync_bn': False},
    'backbone': {
      'type': 'resnet',
      'resnet': {
        'model_id': depth,
        'depth_multiplier': values[f'resnet{depth}/conv2d/kernel'].shape[-1] / _STEM_FILTERS,
        'padding': 'explicit',
      },
    },
    'decoder': {
      'type': 'feature_pyramid',
      'feature_pyramid': {
        'topology': 'nas_fpn',
        'num_repeats': _count(values, r'fpn_cells/cell_(\d+)/'),
        'num_filters': values[needed[0]].shape[-1],
        'residual': False,
      },
    },
    'head': {
      'num_convs': _count(values, r'retinanet/class_net/class-(\d+)/kernel'),
      'num_filters': values[needed[1]].shape[-1],
    },
    'anchor': {
      'num_scales': anchors // len(_ASPECT_RATIOS),
      'aspect_ratios': _ASPECT_RATIOS,
      'anchor_size': _BASE_ANCHOR_SIZE,
    },
    'detection_generator': {
      'pre_nms_top_k': 5000,
      'pre_nms_score_threshold': 0.05,
      'nms_iou_threshold': 0.5,
      'max_num_detections': 100,
    },
  }


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of a detector under the names that the rules use."""
  convs, norms = [], []
  for layer in model.backbone.layers:
    if isinstance(layer, nn_blocks.ResidualBlock | nn_blocks.BottleneckBlock):
      convs += _those_of(layer, _BLOCK_CONVS)
      norms += _those_of(layer, _BLOCK_NORMS)
    elif isinstance(layer, tf_keras.layers.Conv2D):
      convs.append(layer)
    elif isinstance(layer, tf_keras.layers.BatchNormalization):
      norms.append(layer)
  head = model.head
  levels = [str(level) for level in range(head.get_config()['min_level'], head.get_config()['max_level'] + 1)]
  return {
    'backbone': {'convs': convs, 'norms': norms},
    'decoder': model.decoder,
    'head': {
      'class_convs': head._cls_convs,
      'class_norms': dict(zip(levels, head._cls_norms, strict=True)),
      'class_predict': head._classifier,
      'box_convs': head._box_convs,
      'box_norms': dict(zip(levels, head._box_norms, strict=True)),
      'box_predict': head._box_regressor,
    },
  }


def _those_of(block: tf_keras.layers.Layer, names: tuple[str, ...]) -> list[tf_keras.layers.Layer]:
  return [getattr(block, name) for name in names if getattr(block, name, None) is not None]


def _count(values: Mapping[str, np.ndarray], pattern: str) -> int:
  return 1 + max(int(match.group(1)) for name in values if (match := re.match(pattern, name)))
