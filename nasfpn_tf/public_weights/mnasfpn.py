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
"""SSD with MobileNetV2 and MnasFPN of the Object Detection API's TensorFlow 1 zoo.

Backbone and pyramids have epsilon 0.01 of their batch norms, whatever the configuration of the training says, and the
predictor has what it says, 0.001. The wiring, which no variable tells, is that of the authors' code.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from official.vision.modeling import retinanet_model

from nasfpn_tf import topology
from nasfpn_tf.public_weights import name_map, odapi_head
from nasfpn_tf.public_weights.name_map import Rule

_BACKBONE, _NECK = 'FeatureExtractor/MobilenetV2/', 'FeatureExtractor/MnasFPN/'
_PREDICTOR = 'WeightSharedConvolutionalBoxPredictor/'
_BLOCK = _NECK + 'cell_{stage}/block_{cell}/'
_CELL = 'stages.{stage}.cells.{cell}.'
RULES = (
  Rule(_BACKBONE + 'Conv', 'stem.conv'),
  Rule(_BACKBONE + 'Conv/BatchNorm', 'stem.norm'),
  *(
    rule
    for part in ('expand', 'depthwise', 'project')
    for rule in (
      Rule(_BACKBONE + f'expanded_conv{{_n}}/{part}', f'blocks.{{n}}.{part}'),
      Rule(_BACKBONE + f'expanded_conv{{_n}}/{part}/BatchNorm', f'blocks.{{n}}.{part}_BN'),
    )
  ),
  Rule(_NECK + 'C{level}_Conv1x1', 'coarse.{level}'),
  Rule(_NECK + 'C{level}_Conv1x1/BatchNorm', 'coarse_norms.{level}'),
  Rule(_BLOCK + 'input_{i}/Conv1x1', _CELL + 'expansions.{i}'),
  Rule(_BLOCK + 'input_{i}/Conv1x1/BatchNorm', _CELL + 'expansion_norms.{i}'),
  Rule(_BLOCK + 'SepConv', _CELL + 'conv'),
  Rule(_BLOCK + 'SepConv/BatchNorm', _CELL + 'norm'),
  *odapi_head.RULES,
)
PUBLISHED = {'anchor_scale': 3.0, 'iou_threshold': 0.6, 'score_threshold': 1e-8}

_EPSILON, _MOMENTUM = 0.01, 0.99
_WIDEST = 320  # Channels of MobileNetV2's last block at width 1.
_LAST_BLOCK = 16
_LEAVES = {
  'weights': 'kernel',
  'biases': 'bias',
  'depthwise_weights': 'depthwise_kernel',
  'pointwise_weights': 'pointwise_kernel',
}
_NEEDED = (
  _BACKBONE + f'expanded_conv_{_LAST_BLOCK}/project/kernel',
  _NECK + 'C6_Conv1x1/kernel',
  *(_NECK + f'cell_0/block_{i}/SepConv/depthwise_kernel' for i in range(len(topology.MNAS_FPN.cells))),
  'ClassPredictor/bias',
  'BoxPredictor/bias',
  'BoxPredictor/pointwise_kernel',
)
_Values = Mapping[str, np.ndarray]


def recognizes(values: _Values) -> bool:
  """Tells whether the names of variables are those of MnasFPN."""
  return any(name.startswith(_NECK) for name in values)


def renamed(values: _Values) -> dict[str, np.ndarray]:
  """Returns the variables with TensorFlow 2's last names, those of the predictor without its scope."""
  found = {}
  for name, value in values.items():
    scope, _, leaf = name.removeprefix(_PREDICTOR).rpartition('/')
    found[f'{scope}/{_LEAVES.get(leaf, leaf)}'] = value
  return found


def model_settings(values: _Values, source: str, described: Mapping[str, float]) -> dict[str, Any]:
  """Reads `task.model` off the shapes of the variables, as `tpu.model_settings`.

  Args:
    values: as `renamed` returns them.
    source: the checkpoint, for messages.
    described: what pipeline.config says of the keys of `PUBLISHED`.
  """
  missing = [name for name in _NEEDED if name not in values]
  if missing:
    raise ValueError(
      f'checkpoint {source!r} is not an SSD with MobileNetV2 and MnasFPN of the Object Detection API: it has no'
      f' {missing[0]}. docs/weights.md lists the models that can be imported.'
    )
  spec = topology.MNAS_FPN
  kernels = [values[_NECK + f'cell_0/block_{i}/SepConv/depthwise_kernel'].shape for i in range(len(spec.cells))]
  return {
    'min_level': spec.min_level,
    'max_level': spec.max_level,
    'norm_activation': {'activation': 'relu6', 'norm_momentum': 0.997, 'norm_epsilon': 0.001, 'use_sync_bn': False},
    'backbone': {
      'type': 'applications',
      'applications': {
        'name': 'mobilenet_v2',
        'alpha': values[_NEEDED[0]].shape[-1] / _WIDEST,
        'norm_momentum': _MOMENTUM,
        'norm_epsilon': _EPSILON,
        'weights': 'none',
      },
    },
    'decoder': {
      'type': 'mnas_fpn',
      'mnas_fpn': {
        'topology': spec.to_json(),
        'num_repeats': name_map.count(values, _NECK + r'cell_(\d+)/'),
        'num_filters': values[_NECK + 'C6_Conv1x1/kernel'].shape[-1],
        'expansions': [shape[2] for shape in kernels],
        'kernel_sizes': [shape[0] for shape in kernels],
        'norm_momentum': _MOMENTUM,
        'norm_epsilon': _EPSILON,
      },
    },
    **odapi_head.settings(values, {**PUBLISHED, **described}),
  }


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of a detector under the names that the rules use."""
  decoder = model.decoder
  layers = {layer.name: layer for layer in model.backbone.submodules if isinstance(layer, tf_keras.layers.Layer)}
  blocks: list[dict[str, Any]] = [{} for _ in range(_LAST_BLOCK + 1)]
  for name, layer in layers.items():
    if match := re.fullmatch(r'(?:block_(\d+)|expanded_conv)_((?:expand|depthwise|project)(?:_BN)?)', name):
      blocks[int(match.group(1) or 0)][match.group(2)] = layer
  return {
    'stem': {'conv': layers['Conv1'], 'norm': layers['bn_Conv1']},
    'blocks': blocks,
    'coarse': decoder.coarse_convs,
    'coarse_norms': decoder.coarse_norms,
    'stages': decoder.stages,
    **odapi_head.parts(model),
  }
