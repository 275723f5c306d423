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
"""RetinaNet with ResNet and NAS-FPN of mmdetection (configs/nas_fpn), a PyTorch checkpoint.

Its network differs in what settings say here: padding, batch norms' epsilon, attention from the finer input, a
convolution before the pooling to P6 and P7. What no setting says is in the weights of the last convolutions: the order
of anchors and box coordinates, COCO's ids with their gaps, and anchors whose centers lie half a stride further up and
left, which for a box is a constant of each anchor, because anchors grow with the stride.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from official.vision.modeling import retinanet_model
from official.vision.modeling.backbones import resnet
from official.vision.modeling.layers import nn_blocks

from nasfpn_tf import topology
from nasfpn_tf.public_weights import coco, name_map, torch_checkpoint, tpu_names
from nasfpn_tf.public_weights.contents import Contents
from nasfpn_tf.public_weights.name_map import Rule

# Their merging cells with a convolution, in the order of the cells here; those without one are merged into the next.
_CELLS = ('gp_64_4', 'sum_44_4', 'sum_43_3', 'sum_34_4', 'sum_55_5', 'sum_77_7', 'gp_75_6')
_BLOCK = 'backbone/layer{group}/{block}/'
RULES = (
  Rule('backbone/conv1', 'stem.convs.0'),
  Rule('backbone/bn1', 'stem.norms.0'),
  Rule(_BLOCK + 'conv{i}', 'groups.{group}.{block}._conv{i}'),
  Rule(_BLOCK + 'bn{i}', 'groups.{group}.{block}._norm{i}'),
  Rule(_BLOCK + 'downsample/0', 'groups.{group}.{block}._shortcut'),
  Rule(_BLOCK + 'downsample/1', 'groups.{group}.{block}._norm0'),
  Rule('neck/lateral_convs/{i}/conv', 'laterals.{i}.conv'),
  Rule('neck/lateral_convs/{i}/bn', 'laterals.{i}.norm'),
  Rule('neck/extra_downsamples/{i}/0/conv', 'coarse.{i}.conv'),
  Rule('neck/extra_downsamples/{i}/0/bn', 'coarse.{i}.norm'),
  *(
    Rule(f'neck/fpn_stages/{{stage}}/{name}/out_conv/{theirs}', f'decoder.stages.{{stage}}.cells.{i}.conv_norm.{ours}')
    for i, name in enumerate(_CELLS)
    for theirs, ours in (('conv', 'conv'), ('bn', 'norm'))
  ),
  Rule('bbox_head/cls_convs/0/{i}/conv', 'head.class_convs.{i}'),
  Rule('bbox_head/cls_convs/{level}/{i}/bn', 'class_norms.{level}.{i}'),
  Rule('bbox_head/retina_cls', 'head.class_predict'),
  Rule('bbox_head/reg_convs/0/{i}/conv', 'head.box_convs.{i}'),
  Rule('bbox_head/reg_convs/{level}/{i}/bn', 'box_norms.{level}.{i}'),
  Rule('bbox_head/retina_reg', 'head.box_predict'),
)

_LEVELS = range(3, 8)
_NUM_SCALES = 3
_ASPECT_RATIOS = [0.5, 1.0, 2.0]  # Width to height; theirs are height to width, so in the opposite order.
_ANCHOR_SIZE = 4.0
_NUM_ANCHORS = _NUM_SCALES * len(_ASPECT_RATIOS)
_NEVER = -20.0  # Logit of an id that has no class, and of the background, which is not detected.
_NORM_LEAVES = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'moving_mean', 'running_var': 'moving_variance'}
_NEEDED = ('backbone.conv1.weight', 'neck.fpn_stages.0.gp_64_4.out_conv.conv.weight', 'bbox_head.retina_cls.bias')


def open_checkpoint(path: str, known_model: Mapping[str, Any] | None = None) -> Contents:
  """Opens a .pth file, or the directory that holds one; nothing beside it is needed.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, of another model, or cannot be read without running code or without PyTorch.
  """
  del known_model
  state = torch_checkpoint.read(path)
  settings, values = model_settings(state, path), converted(state)
  return Contents(settings, lambda built: name_map.assign(built, parts(built), values, RULES, path))


def model_settings(state: Mapping[str, np.ndarray], source: str) -> dict[str, Any]:
  """Reads `task.model` off the shapes of a state_dict, as `tpu.model_settings`."""
  missing = [name for name in _NEEDED if name not in state]
  blocks = [name_map.count(state, rf'backbone\.layer{group}\.(\d+)\.conv3\.weight') for group in range(1, 5)]
  depths = [depth for depth, groups in resnet.RESNET_SPECS.items() if depth >= 50 and [g[2] for g in groups] == blocks]
  if missing or not depths:
    raise ValueError(
      f'checkpoint {source!r} is not a RetinaNet with ResNet and NAS-FPN of mmdetection: it has no'
      f' {missing[0] if missing else f"ResNet, but blocks {blocks}"}; it has {", ".join(list(state)[:3])}, ... .'
      ' docs/weights.md lists the models that can be imported.'
    )
  channels = state['backbone.conv1.weight'].shape[0]
  filters = state[_NEEDED[1]].shape[0]
  num_classes = len(state[_NEEDED[2]]) // _NUM_ANCHORS
  return {
    'num_classes': max(_ids(num_classes)) + 1,
    'min_level': _LEVELS[0],
    'max_level': _LEVELS[-1],
    'norm_activation': {'activation': 'relu', 'norm_momentum': 0.9, 'norm_epsilon': 1e-5, 'use_sync_bn': False},
    'backbone': {
      'type': 'resnet',
      'resnet': {'model_id': depths[0], 'depth_multiplier': channels / 64, 'padding': 'pytorch'},
    },
    'decoder': {
      'type': 'feature_pyramid',
      'feature_pyramid': {
        'topology': _topology().to_json(),
        'num_repeats': name_map.count(state, r'neck\.fpn_stages\.(\d+)\.'),
        'num_filters': filters,
        'coarse_convs': True,
        'residual': False,
      },
    },
    'head': {
      'num_convs': name_map.count(state, r'bbox_head\.cls_convs\.0\.(\d+)\.'),
      'num_filters': state['bbox_head.retina_cls.weight'].shape[1],
    },
    'anchor': {'num_scales': _NUM_SCALES, 'aspect_ratios': _ASPECT_RATIOS, 'anchor_size': _ANCHOR_SIZE},
    'detection_generator': {
      'pre_nms_top_k': 1000,
      'pre_nms_per_level': True,
      'pre_nms_score_threshold': 0.05,
      'nms_iou_threshold': 0.5,
      'max_num_detections': 100,
    },
  }


def converted(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns {scope/variable: value} of a state_dict with TensorFlow's axes and this project's anchors and labels."""
  state = {**state, **_class_prediction(state), **_box_prediction(state)}
  values = {}
  for name, value in state.items():
    scope, _, leaf = name.rpartition('.')
    if re.match(r'bbox_head\.(cls|reg)_convs\.[1-9]\d*\.\d+\.conv$', scope):
      continue  # The convolutions of the first level once more.
    path = scope.replace('.', '/')
    if f'{scope}.running_var' in state:
      values[f'{path}/{_NORM_LEAVES[leaf]}'] = value
    elif leaf == 'weight':
      values[f'{path}/kernel'] = value.transpose(2, 3, 1, 0)
      if f'{scope}.bias' not in state and not path.startswith('backbone'):
        values[f'{path}/bias'] = np.zeros([value.shape[0]], value.dtype)  # Before a batch norm; ours have one.
    else:
      values[f'{path}/{leaf}'] = value
  return values


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of a detector under the names that the rules use."""
  names = tpu_names.parts(model)
  blocks = iter(layer for layer in model.backbone.layers if isinstance(layer, nn_blocks.BottleneckBlock))
  specs = resnet.RESNET_SPECS[model.backbone.get_config()['model_id']]
  groups = {str(i): [next(blocks) for _ in range(spec[2])] for i, spec in enumerate(specs, 1)}
  levels = [str(level) for level in _LEVELS]
  convs = model.decoder.projection.convs
  return {
    'stem': names['backbone'],
    'groups': groups,
    'decoder': model.decoder,
    'laterals': [convs[level] for level in levels[:3]],
    'coarse': [convs[level] for level in levels[3:]],
    'head': names['head'],
    'class_norms': [names['head']['class_norms'][level] for level in levels],
    'box_norms': [names['head']['box_norms'][level] for level in levels],
  }


def _topology() -> topology.PyramidSpec:
  """Returns NAS-FPN with attention by the average of the finer input."""
  spec = topology.get('nas_fpn')
  cells = [
    dataclasses.replace(cell, op='global_average_pooling') if cell.op == 'global_pooling' else cell
    for cell in spec.cells
  ]
  return dataclasses.replace(spec, name='nas_fpn_average', cells=tuple(cells))


def _ids(num_classes: int) -> list[int]:
  """Returns the label of each of their classes: COCO's ids, or 1, 2, ... where they are not COCO's 80."""
  labels = [label['label'] for label in coco.labels()]
  return labels if num_classes == len(labels) else list(range(1, num_classes + 1))


def _anchors() -> np.ndarray:
  """Returns, for each anchor here, scale outside and aspect inside, its number there, aspect outside."""
  scales, aspects = np.divmod(np.arange(_NUM_ANCHORS), len(_ASPECT_RATIOS))
  return (len(_ASPECT_RATIOS) - 1 - aspects) * _NUM_SCALES + scales


def _class_prediction(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  weight, bias = state['bbox_head.retina_cls.weight'], state['bbox_head.retina_cls.bias']
  ids = _ids(len(bias) // _NUM_ANCHORS)
  kernels = np.zeros([_NUM_ANCHORS, max(ids) + 1, *weight.shape[1:]], weight.dtype)
  biases = np.full(kernels.shape[:2], _NEVER, bias.dtype)
  kernels[:, ids] = weight.reshape([_NUM_ANCHORS, -1, *weight.shape[1:]])[_anchors()]
  biases[:, ids] = bias.reshape([_NUM_ANCHORS, -1])[_anchors()]
  return {
    'bbox_head.retina_cls.weight': kernels.reshape([-1, *weight.shape[1:]]),
    'bbox_head.retina_cls.bias': biases.reshape([-1]),
  }


def _box_prediction(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Reorders (x, y, width, height) to (y, x, height, width), and moves the centers by half a stride."""
  weight, bias = state['bbox_head.retina_reg.weight'], state['bbox_head.retina_reg.bias']
  kernels = weight.reshape([_NUM_ANCHORS, 4, *weight.shape[1:]])[_anchors()][:, [1, 0, 3, 2]]
  biases = bias.reshape([_NUM_ANCHORS, 4])[_anchors()][:, [1, 0, 3, 2]]
  scales, aspects = np.divmod(np.arange(_NUM_ANCHORS), len(_ASPECT_RATIOS))
  size = _ANCHOR_SIZE * 2.0 ** (scales / _NUM_SCALES)  # In strides.
  aspect = np.sqrt(np.array(_ASPECT_RATIOS)[aspects])
  half = np.stack([0.5 / (size / aspect), 0.5 / (size * aspect)], axis=1)
  biases[:, :2] -= half.astype(bias.dtype)
  return {
    'bbox_head.retina_reg.weight': kernels.reshape(weight.shape),
    'bbox_head.retina_reg.bias': biases.reshape(bias.shape),
  }
