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
"""Detectors of tensorflow/tpu, models/official/detection: RetinaNet with NAS-FPN, FPN or SpineNet."""

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml
from official.vision.modeling.backbones import spinenet, spinenet_mobile

from nasfpn_tf.config import safe_yaml
from nasfpn_tf.public_weights import name_map, tf1_checkpoint, tpu_names
from nasfpn_tf.public_weights.contents import Contents

_STEM_FILTERS = 64
_ASPECT_RATIOS = [1.0, 2.0, 0.5]  # configs/detection_config.py, in this order.
_BASE_ANCHOR_SIZE = 4.0
_NASFPN = 'fpn_cells/cell_0/sub_policy0/op_after_combine5/conv/kernel'
_FPN = 'fpn/l3/kernel'
_SPINENET = 'spinenet/conv2d/kernel'
_MOBILE = 'spinenet_mbconv/conv2d/kernel'
_HEAD = (
  'retinanet/class_net/class-0/bias',
  'retinanet/class_net/class-predict/bias',
  'retinanet/box_net/box-predict/bias',
)
_Values = Mapping[str, np.ndarray]


def open_checkpoint(path: str, known_model: Mapping[str, Any] | None = None) -> Contents:
  """Opens a checkpoint: prefix, or the directory that holds it.

  Args:
    path: where it is.
    known_model: `task.model` of it, as far as known. SpineNets were trained with ReLU and with swish, and with anchors
      of different sizes, which no variable tells: without it a SpineNet needs the params.yaml that training wrote
      beside it.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, of another model, or a SpineNet of which nothing tells the activation.
  """
  values = tf1_checkpoint.read(path)
  settings = model_settings(values, path, known_model or _described(path))
  return Contents(settings, lambda built: name_map.assign(built, tpu_names.parts(built), values, tpu_names.RULES, path))


def model_settings(values: _Values, source: str, known_model: Mapping[str, Any] | None = None) -> dict[str, Any]:
  """Reads `task.model` of a detector off the shapes of the variables of its checkpoint.

  The rest are the constants of the authors' code, which their published configurations do not change.

  Raises:
    ValueError: it is not a RetinaNet with ResNet and NAS-FPN or FPN, or with SpineNet, of this source.
  """
  depths = {m.group(1) for name in values if (m := re.match(r'resnet(\d+)/conv2d/kernel$', name))}
  missing = [name for name in _HEAD if name not in values]
  has_spinenet = _SPINENET in values or _MOBILE in values
  if not has_spinenet and not (depths and (_NASFPN in values or _FPN in values)):
    missing = [_NASFPN if depths else 'resnet50/conv2d/kernel']
  if missing:
    raise ValueError(
      f'checkpoint {source!r} is not a RetinaNet with ResNet and NAS-FPN or FPN, or with SpineNet, of tensorflow/tpu:'
      f' it has no {missing[0]}; it has {", ".join(list(values)[:3])}, ... . docs/weights.md lists the models that can'
      ' be imported.'
    )
  parts = _with_spinenet(values, source, known_model) if has_spinenet else _with_resnet(values, int(depths.pop()))
  anchors = len(values['retinanet/box_net/box-predict/bias']) // 4
  return {
    'num_classes': len(values['retinanet/class_net/class-predict/bias']) // anchors,
    'min_level': 3,
    'max_level': 7,
    'norm_activation': {'norm_momentum': 0.997, 'norm_epsilon': 1e-4, 'use_sync_bn': False, **parts['norm_activation']},
    'backbone': parts['backbone'],
    'decoder': parts['decoder'],
    'head': {
      'num_convs': name_map.count(values, r'retinanet/class_net/class-(\d+)/bias'),
      'num_filters': values[_HEAD[0]].shape[-1],
      'use_separable_conv': 'retinanet/class_net/class-0/pointwise_kernel' in values,
    },
    'anchor': {
      'num_scales': anchors // len(_ASPECT_RATIOS),
      'aspect_ratios': _ASPECT_RATIOS,
      'anchor_size': parts.get('anchor_size', _BASE_ANCHOR_SIZE),
    },
    'detection_generator': {
      'pre_nms_top_k': 5000,
      'pre_nms_per_class': True,
      'box_coder_plus_one': True,
      'pre_nms_score_threshold': 0.05,
      'nms_iou_threshold': 0.5,
      'max_num_detections': 100,
    },
  }


def _with_resnet(values: _Values, depth: int) -> dict[str, Any]:
  resnet = {
    'model_id': depth,
    'depth_multiplier': values[f'resnet{depth}/conv2d/kernel'].shape[-1] / _STEM_FILTERS,
    'padding': 'explicit',
  }
  if _NASFPN in values:
    pyramid = {
      'topology': 'nas_fpn',
      'num_repeats': name_map.count(values, r'fpn_cells/cell_(\d+)/'),
      'num_filters': values[_NASFPN].shape[-1],
      'residual': False,
    }
    decoder = {'type': 'feature_pyramid', 'feature_pyramid': pyramid}
  else:
    decoder = {'type': 'fpn', 'fpn': {'num_filters': values[_FPN].shape[-1]}}
  return {
    'backbone': {'type': 'resnet', 'resnet': resnet},
    'decoder': decoder,
    'norm_activation': {'activation': 'relu'},
  }


def _with_spinenet(values: _Values, source: str, known_model: Mapping[str, Any] | None) -> dict[str, Any]:
  if known_model is None:
    raise ValueError(
      f'checkpoint {source!r} is a SpineNet, trained with ReLU or with swish; its variables do not tell. Give its name'
      ' as --url beside --checkpoint (docs/weights.md), or copy the params.yaml of its training into its directory.'
    )
  return {
    'backbone': _mobile(values, source) if _MOBILE in values else _spinenet(values, source),
    'decoder': {'type': 'identity'},
    'norm_activation': {'activation': known_model['norm_activation']['activation']},
    'anchor_size': float(known_model['anchor']['anchor_size']),
  }


def _spinenet(values: _Values, source: str) -> dict[str, Any]:
  resampling = values['spinenet/sub_policy0/resample_with_alpha_resample_0_0/conv2d/kernel']
  block = 'spinenet/sub_policy0/scale_permuted_block_2/conv2d{}/kernel'
  found = {
    'endpoints_num_filters': values[_last(values, r'spinenet/conv2d_(\d+)/kernel')].shape[-1],
    'width': values['spinenet/sub_policy0/scale_permuted_block_2/conv2d/kernel'].shape[-1],
    'resampled': resampling.shape[-1],
    'block_repeats': sum(1 for n in range(99) if block.format(f'_{n}' if n else '') in values) // 3,
  }
  sizes = {name: _sizes_of(setting) for name, setting in spinenet.SCALING_MAP.items()}
  model_ids = [name for name, size in sizes.items() if size == found]
  if not model_ids:
    raise ValueError(f'checkpoint {source!r} is a SpineNet of another size ({found}) than {", ".join(sizes)}.')
  return {'type': 'spinenet', 'spinenet': {'model_id': model_ids[0], 'padding': 'explicit'}}


def _mobile(values: _Values, source: str) -> dict[str, Any]:
  found = {
    'endpoints_num_filters': values[_last(values, r'spinenet_mbconv/conv2d_(\d+)/kernel')].shape[-1],
    'width': values[_MOBILE].shape[-1],
  }
  sizes = {
    name: {
      'endpoints_num_filters': setting['endpoints_num_filters'],
      'width': int(spinenet_mobile.FILTER_SIZE_MAP[0] * setting['filter_size_scale']),
    }
    for name, setting in spinenet_mobile.SCALING_MAP.items()
  }
  model_ids = [name for name, size in sizes.items() if size == found]
  if not model_ids:
    raise ValueError(f'checkpoint {source!r} is a Mobile SpineNet of another size ({found}) than {", ".join(sizes)}.')
  settings = {
    'model_id': model_ids[0],
    'padding': 'explicit',
    'se_inner_activation': 'swish',
    'se_gating_activation': 'sigmoid',
  }
  return {'type': 'spinenet_mobile', 'spinenet_mobile': settings}


def _sizes_of(setting: Mapping[str, Any]) -> dict[str, int]:
  """Returns what tells one SpineNet from another: channels of outputs, first block and its input, blocks in a row."""
  width = int(spinenet.FILTER_SIZE_MAP[2] * setting['filter_size_scale'])
  return {
    'endpoints_num_filters': setting['endpoints_num_filters'],
    'width': width,
    'resampled': int(width * setting['resample_alpha']),
    'block_repeats': setting['block_repeats'],
  }


def _described(path: str) -> dict[str, Any] | None:
  """Reads what the params.yaml that the authors' training wrote beside a checkpoint tells; None without one."""
  path = os.path.join(os.path.dirname(tf1_checkpoint.prefix(path)), 'params.yaml')
  if not os.path.exists(path):
    return None
  try:
    with open(path, encoding='utf-8') as file:
      params = safe_yaml.load(file.read())
    return {
      'norm_activation': {'activation': params['batch_norm_activation']['activation']},
      'anchor': {'anchor_size': float(params['anchor']['anchor_size'])},
    }
  except (ValueError, LookupError, TypeError, yaml.YAMLError) as error:
    raise ValueError(
      f'{path} is not of a training with tensorflow/tpu: batch_norm_activation.activation and anchor.anchor_size are'
      f' wanted ({error}).'
    ) from error


def _last(values: _Values, pattern: str) -> str:
  return max((int(match.group(1)), name) for name in values if (match := re.match(pattern, name)))[1]
