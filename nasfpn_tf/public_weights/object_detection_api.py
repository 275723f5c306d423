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

"""SSD with MobileNetV2 of the Object Detection API: FPNLite of the TensorFlow 2 zoo, MnasFPN of the TensorFlow 1 zoo.

Names of FPNLite end as their layers are called; what stands before differs with the version of TensorFlow that wrote
them.
"""

import itertools
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from official.vision.modeling import retinanet_model

from nasfpn_tf.public_weights import mnasfpn, name_map, named_checkpoint, odapi_head
from nasfpn_tf.public_weights.contents import Contents
from nasfpn_tf.public_weights.name_map import Rule

RULES = (
  Rule('projection_{n}', 'projections.{n}'),
  Rule('smoothing_{n}_depthwise_conv', 'smoothing.{n}'),
  Rule('smoothing_{n}_batchnorm', 'smoothing_norms.{n}'),
  Rule('bottom_up_Conv2d_{n}_depthwise_conv', 'coarse.{n}'),
  Rule('bottom_up_Conv2d_{n}_batchnorm', 'coarse_norms.{n}'),
  *odapi_head.RULES,
)

_BACKBONE_LEVEL = 5
_FIRST_COARSE = 20  # Number of the first convolution behind C5, which their code counts as the nineteenth layer.
_WIDEST = 320  # Channels of MobileNetV2's last block at width 1.
_SCOPE = re.compile(r'(?:^|/)((?:(?:Class|Box)?PredictionTower/.+|[^/]+)/[^/]+)$')
_NEEDED = (
  'block_16_project/kernel',
  'Conv_1/kernel',
  'projection_1/kernel',
  'smoothing_1_depthwise_conv/pointwise_kernel',
  'ClassPredictor/bias',
  'BoxPredictor/bias',
)
# What their variables do not tell, as published; a pipeline.config beside the checkpoint overrides it.
_PUBLISHED = {'anchor_scale': 4.0, 'iou_threshold': 0.6, 'score_threshold': 1e-8}
_FIXED = {'epsilon': 0.001, **odapi_head.BOX_CODER}
_TF1 = ('FeatureExtractor/', 'FirstStageFeatureExtractor/', 'BoxPredictor_')  # Scopes of TensorFlow 1's detectors.
_Values = Mapping[str, np.ndarray]


def open_checkpoint(path: str, known_model: Mapping[str, Any] | None = None) -> Contents:
  """Opens a checkpoint: prefix, or the directory that holds it, with or without a pipeline.config.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, or of another model.
  """
  del known_model
  read = named_checkpoint.read(path)
  if mnasfpn.recognizes(read):
    named = mnasfpn.renamed(read)
    settings = mnasfpn.model_settings(named, path, _described(path))

    def fill_mnasfpn(built):
      return name_map.assign(built, mnasfpn.parts(built), odapi_head.converted(named), mnasfpn.RULES, path)

    return Contents(settings, fill_mnasfpn, keep_aspect_ratio=False)
  values = {match.group(1): value for name, value in read.items() if (match := _SCOPE.search(name))}
  settings = model_settings(values, path, _described(path), tuple(read))

  def fill(built):
    layers = parts(built)
    rules = (*RULES, *(Rule(name, f'backbone.{name}') for name in layers['backbone']))
    return name_map.assign(built, layers, odapi_head.converted(values), rules, path)

  return Contents(settings, fill, keep_aspect_ratio=False)


def model_settings(
  values: _Values, source: str, described: Mapping[str, float] | None = None, names: tuple[str, ...] = ()
) -> dict[str, Any]:
  """Reads `task.model` off the shapes of the variables, as `tpu.model_settings`.

  Args:
    values: {last two parts of the name: value}; of towers all from their own name on.
    source: the checkpoint, for messages.
    described: what pipeline.config says of the keys of `_PUBLISHED`.
    names: the whole names, for messages.
  """
  missing = [name for name in _NEEDED if name not in values]
  if missing and any(name.startswith(_TF1) for name in names):
    raise ValueError(
      f'checkpoint {source!r} is of the TensorFlow 1 zoo, of which MnasFPN alone can be imported, and it has no'
      ' FeatureExtractor/MnasFPN. docs/weights.md lists the models that can be imported.'
    )
  if missing:
    raise ValueError(
      f'checkpoint {source!r} is not an SSD with MobileNetV2 and FPNLite of the Object Detection API: it has no'
      f' {missing[0]}; it has {", ".join(names[:3] or list(values)[:3])}, ... . docs/weights.md lists the models that'
      ' can be imported.'
    )
  described = {**_PUBLISHED, **(described or {})}
  num_fine = name_map.count(values, r'projection_(\d+)/kernel')
  num_coarse = len([name for name in values if re.fullmatch(r'bottom_up_Conv2d_\d+_batchnorm/gamma', name)])
  return {
    'min_level': _BACKBONE_LEVEL - num_fine + 1,
    'max_level': _BACKBONE_LEVEL + num_coarse,
    'norm_activation': {'activation': 'relu6', 'norm_momentum': 0.997, 'norm_epsilon': 0.001, 'use_sync_bn': False},
    'backbone': {
      'type': 'applications',
      'applications': {
        'name': 'mobilenet_v2',
        'alpha': values['block_16_project/kernel'].shape[-1] / _WIDEST,
        'last_filters': values['Conv_1/kernel'].shape[-1],
        'norm_momentum': 0.997,
        'weights': 'none',
      },
    },
    'decoder': {
      'type': 'smoothed_fpn',
      'smoothed_fpn': {'num_filters': values['projection_1/kernel'].shape[-1], 'use_separable_conv': True},
    },
    **odapi_head.settings(values, described),
  }


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of a detector under the names that the rules use."""
  decoder = model.decoder
  fine = {level: str(i) for i, level in enumerate(decoder.projections, 1)}
  coarse = [level for level in decoder.convs if level not in fine]
  numbers = {level: str(_FIRST_COARSE + i) for i, level in enumerate(coarse)}
  return {
    'backbone': {layer.name: layer for layer in model.backbone.submodules if isinstance(layer, tf_keras.layers.Layer)},
    'projections': {number: decoder.projections[level] for level, number in fine.items()},
    'smoothing': {number: decoder.convs[level] for level, number in fine.items() if level in decoder.convs},
    'smoothing_norms': {number: decoder.norms[level] for level, number in fine.items() if level in decoder.norms},
    'coarse': {number: decoder.convs[level] for level, number in numbers.items()},
    'coarse_norms': {number: decoder.norms[level] for level, number in numbers.items()},
    **odapi_head.parts(model),
  }


def _described(path: str) -> dict[str, float]:
  """Reads what a pipeline.config beside a checkpoint, or above it, says of what its variables do not tell."""
  directory = path if os.path.isdir(path) else os.path.dirname(path)
  inside = [os.path.join(folder, name) for folder, *names in os.walk(directory) for name in itertools.chain(*names)]
  files = [*inside, os.path.join(os.path.dirname(os.path.abspath(directory)), 'pipeline.config')]
  file = next((file for file in files if os.path.basename(file) == 'pipeline.config' and os.path.exists(file)), None)
  if file is None:
    return {}
  with open(file, encoding='utf-8', errors='replace') as stream:
    text = stream.read()
  remedy = 'copy it again, or remove it if the model is a published one.'
  if text.count('{') != text.count('}'):
    raise ValueError(f'{file} is damaged or not whole (braces that are not closed): {remedy}')
  try:
    given = {
      key: [float(number) for number in re.findall(rf'\b{key}:\s*([-\d.e]+)', text)] for key in (*_PUBLISHED, *_FIXED)
    }
    ratios = [
      float(number) for line in re.findall(r'aspect_ratios:\s*\[?([\d., ]+)', text) for number in line.split(',')
    ]
  except ValueError as error:
    raise ValueError(f'{file} is damaged ({error}): {remedy}') from error
  activations = re.findall(r'\bactivation:\s*(\w+)', text)
  flags = re.findall(r'\b(use_explicit_padding|use_bounded_activations):', text)
  if not (any(given.values()) or ratios or activations or flags):
    raise ValueError(f'{file} is no configuration of a detector (it has no anchor_scale and no y_scale): {remedy}')
  wrong = [
    f'{key} is {numbers[0]:g}' for key, want in _FIXED.items() if (numbers := given[key]) and set(numbers) != {want}
  ]
  if ratios and tuple(ratios) != odapi_head.ASPECT_RATIOS:
    wrong.append(f'aspect_ratios are {ratios}')
  wrong += [f'{key} is true' for key in ('use_explicit_padding', 'use_bounded_activations') if f'{key}: true' in text]
  if any(activation != 'RELU_6' for activation in activations):
    wrong.append('activation is not RELU_6')
  if wrong:
    raise ValueError(f'{file}: {", ".join(wrong)}, which differs from the published models and cannot be imported.')
  return {key: given[key][0] for key in _PUBLISHED if given[key]}
