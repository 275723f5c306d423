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
"""What the Object Detection API's SSDs with a shared predictor have in common: names, anchors, box codes.

Anchors go by aspect ratio, then by scale, here the other way round.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from official.vision.modeling import retinanet_model

from nasfpn_tf.public_weights import name_map, tpu_names
from nasfpn_tf.public_weights.name_map import Rule

BOX_CODER = {'y_scale': 10.0, 'x_scale': 10.0, 'height_scale': 5.0, 'width_scale': 5.0}
ASPECT_RATIOS = (1.0, 2.0, 0.5)
_TOWER_CONV, _TOWER_NORM = 'conv2d_{i}', 'conv2d_{i}/BatchNorm/feature_{n}'
RULES = (
  *(
    rule
    for tower, kind in (('', 'class'), ('Class', 'class'), ('Box', 'box'))
    for rule in (
      Rule(f'{tower}PredictionTower/{_TOWER_CONV}', f'head.{kind}_convs.{{i}}'),
      Rule(f'{tower}PredictionTower/{_TOWER_NORM}', f'{kind}_norms.{{n}}.{{i}}'),
    )
  ),
  Rule('ClassPredictor', 'head.class_predict'),
  Rule('BoxPredictor', 'head.box_predict'),
)
_Values = Mapping[str, np.ndarray]


def settings(values: _Values, described: Mapping[str, float]) -> dict[str, Any]:
  """Reads the sections of `task.model` about head, anchors and detections off the shapes of the variables.

  Args:
    values: {name from the tower or predictor on: value}.
    described: anchor_scale, iou_threshold and score_threshold.
  """
  num_anchors = _num_anchors(values)
  tower = 'PredictionTower' if 'PredictionTower/conv2d_0/pointwise_kernel' in values else 'ClassPredictionTower'
  return {
    'num_classes': len(values['ClassPredictor/bias']) // num_anchors,
    'head': {
      'num_convs': name_map.count(values, tower + r'/conv2d_(\d+)/pointwise_kernel'),
      'num_filters': values['BoxPredictor/pointwise_kernel'].shape[-2],
      'use_separable_conv': True,
      'share_towers': tower == 'PredictionTower',
    },
    'anchor': {
      'num_scales': num_anchors // len(ASPECT_RATIOS),
      'aspect_ratios': list(ASPECT_RATIOS),
      'anchor_size': described['anchor_scale'],
    },
    'detection_generator': {
      'pre_nms_top_k': 5000,
      'pre_nms_score_threshold': described['score_threshold'],
      'nms_iou_threshold': described['iou_threshold'],
      'max_num_detections': 100,
      'box_coder_weights': list(BOX_CODER.values()),
    },
  }


def converted(values: _Values) -> dict[str, np.ndarray]:
  """Returns the variables with this project's order of anchors, and biases, of zeros, of the towers."""
  found = {}
  num_anchors = _num_anchors(values)
  num_scales = num_anchors // len(ASPECT_RATIOS)
  order = np.arange(num_anchors).reshape([len(ASPECT_RATIOS), num_scales]).T.reshape([-1])
  for name, value in values.items():
    if re.fullmatch(r'(Class|Box)Predictor/(pointwise_kernel|bias)', name):
      split = value.reshape([*value.shape[:-1], num_anchors, -1])
      found[name] = split[..., order, :].reshape(value.shape)
    else:
      found[name] = value
    if re.fullmatch(r'\w*PredictionTower/conv2d_\d+/pointwise_kernel', name):
      found[name.replace('pointwise_kernel', 'bias')] = np.zeros(value.shape[-1:], value.dtype)
  return found


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of the head of a detector under the names that the rules use."""
  head = tpu_names.parts(model)['head']
  return {
    'head': head,
    'class_norms': list(head['class_norms'].values()),
    'box_norms': list(head['box_norms'].values()),
  }


def _num_anchors(values: _Values) -> int:
  return len(values['BoxPredictor/bias']) // 4
