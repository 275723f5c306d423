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

"""EfficientDet of google/automl: checkpoints of TensorFlow 1 and 2, and .h5 files.

Theirs has 90 classes and no background, and plain 1x1 convolutions where those here are separable: a depthwise kernel
of ones makes them the same.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from official.vision.modeling import retinanet_model

from nasfpn_tf import topology
from nasfpn_tf.layers.edge_projection import uses
from nasfpn_tf.public_weights import name_map, named_checkpoint, tpu_names
from nasfpn_tf.public_weights.contents import Contents
from nasfpn_tf.public_weights.name_map import Rule

_BLOCK = 'efficientnet-b{size}/blocks_{block}/'
_NODE = 'fpn_cells/cell_{cell}/fnode{node}'
RULES = (
  Rule('efficientnet-b{size}/stem/conv2d', 'stem.conv'),
  Rule('efficientnet-b{size}/stem/tpu_batch_normalization', 'stem.norm'),
  Rule(_BLOCK + 'conv2d{_n}', 'blocks.{block}.convs.{n}'),
  Rule(_BLOCK + 'depthwise_conv2d', 'blocks.{block}.depthwise'),
  Rule(_BLOCK + 'tpu_batch_normalization{_n}', 'blocks.{block}.norms.{n}'),
  Rule(_BLOCK + 'se/conv2d{_n}', 'blocks.{block}.squeeze.{n}'),
  Rule('resample_p{level}/conv2d', 'coarse.{level}.conv'),
  Rule('resample_p{level}/bn', 'coarse.{level}.norm'),
  Rule('fpn_cells/cell_0/fnode{node}/resample_{i}_{input}_{number}/conv2d', 'edges.{node}.{input}.conv'),
  Rule('fpn_cells/cell_0/fnode{node}/resample_{i}_{input}_{number}/bn', 'edges.{node}.{input}.norm'),
  Rule(_NODE, 'stages.{cell}.cells.{node}'),
  Rule(_NODE + '/op_after_combine{number}/conv', 'stages.{cell}.cells.{node}.conv_norm.conv'),
  Rule(_NODE + '/op_after_combine{number}/bn', 'stages.{cell}.cells.{node}.conv_norm.norm'),
  Rule('class_net/class-{i}', 'head.class_convs.{i}'),
  Rule('class_net/class-{i}-bn-{level}', 'head.class_norms.{level}.{i}'),
  Rule('class_net/class-predict', 'head.class_predict'),
  Rule('box_net/box-{i}', 'head.box_convs.{i}'),
  Rule('box_net/box-{i}-bn-{level}', 'head.box_norms.{level}.{i}'),
  Rule('box_net/box-predict', 'head.box_predict'),
)

_NUM_SCALES = 3
_ASPECT_RATIOS = [1.0, 2.0, 0.5]
_ANCHOR_SIZE = 4.0
_NUM_ANCHORS = _NUM_SCALES * len(_ASPECT_RATIOS)
_NEVER = -20.0  # Logit of the background, which is not detected.
_CLASSES, _BOXES = 'class_net/class-predict/bias', 'box_net/box-predict/bias'
_WIDTH = 'fpn_cells/cell_0/fnode0/op_after_combine5/conv/bias'
_Values = Mapping[str, np.ndarray]


def open_checkpoint(path: str, known_model: Mapping[str, Any] | None = None) -> Contents:
  """Opens a checkpoint: prefix, .h5 file, or the directory that holds it.

  Args:
    path: where it is.
    known_model: `task.model` of it, as far as known. D6 and D7 have the same variables and other anchors, so that they
      need it.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, of another model, or of D6 or D7 and it is not said of which.
  """
  values = named_checkpoint.read(path)
  settings = model_settings(values, path, known_model)
  return Contents(settings, lambda built: name_map.assign(built, parts(built), converted(values), RULES, path))


def model_settings(values: _Values, source: str, known_model: Mapping[str, Any] | None = None) -> dict[str, Any]:
  """Reads `task.model` off the shapes of the variables, as `tpu.model_settings`."""
  sizes = {match.group(1) for name in values if (match := re.match(r'efficientnet-(\w+)/stem/', name))}
  missing = [name for name in (_CLASSES, _BOXES, _WIDTH) if name not in values]
  if missing or len(sizes) != 1:
    raise ValueError(
      f'checkpoint {source!r} is not an EfficientDet of google/automl: it has no'
      f' {missing[0] if missing else "efficientnet-b0/stem"}; it has {", ".join(list(values)[:3])}, ... .'
      ' docs/weights.md lists the models that can be imported.'
    )
  size = sizes.pop()
  if not re.fullmatch(r'b[0-7]', size):
    raise ValueError(
      f'checkpoint {source!r} is of EfficientNet {size!r}, which this project does not build: EfficientDet-D0 to D7x,'
      ' on EfficientNet-B0 to B7, can be imported.'
    )
  weighted = 'fpn_cells/cell_0/fnode0/WSM' in values
  if size == 'b6' and known_model is None:
    raise ValueError(
      f'checkpoint {source!r} is of EfficientDet-D6 or D7, which differ in their anchors, and its variables do not'
      ' tell: give its name as --url beside --checkpoint (docs/weights.md).'
    )
  levels = [int(match.group(1)) for name in values if (match := re.match(r'class_net/class-0-bn-(\d+)/gamma', name))]
  spec = _topology(min(levels), max(levels), weighted)
  return {
    'num_classes': len(values[_CLASSES]) // _NUM_ANCHORS + 1,
    'min_level': min(levels),
    'max_level': max(levels),
    'norm_activation': {'activation': 'swish', 'norm_momentum': 0.99, 'norm_epsilon': 1e-3, 'use_sync_bn': False},
    'backbone': {
      'type': 'applications',
      'applications': {'name': f'efficientnet_{size}', 'norm_momentum': 0.99, 'weights': 'none'},
    },
    'decoder': {
      'type': 'feature_pyramid',
      'feature_pyramid': {
        'topology': 'bifpn' if weighted else spec.to_json(),
        'num_repeats': name_map.count(values, r'fpn_cells/cell_(\d+)/'),
        'num_filters': len(values[_WIDTH]),
        'use_separable_conv': True,
        'project_each_edge': True,
        'overlapping_pools': True,
        'residual': False,
      },
    },
    'head': {'num_convs': name_map.count(values, r'class_net/class-(\d+)/bias'), 'use_separable_conv': True},
    'anchor': {
      'num_scales': _NUM_SCALES,
      'aspect_ratios': _ASPECT_RATIOS,
      'anchor_size': float((known_model or {}).get('anchor', {}).get('anchor_size', _ANCHOR_SIZE)),
    },
    'detection_generator': {
      'pre_nms_top_k': 5000,
      'pre_nms_score_threshold': 0.001,
      'nms_iou_threshold': 0.5,
      'max_num_detections': 100,
      'soft_nms_sigma': 0.25,  # Half of theirs: TensorFlow's is that of a Gaussian, arXiv 1704.04503 has its square.
    },
  }


def converted(values: _Values) -> dict[str, np.ndarray]:
  """Returns the variables with a background class, separable 1x1 convolutions and the weights of a cell in a vector."""
  found, weights = {}, {}
  for name, value in values.items():
    if re.search(r'(resample_\w+)/conv2d/kernel$', name):
      found[name.replace('kernel', 'pointwise_kernel')] = value
      found[name.replace('kernel', 'depthwise_kernel')] = np.ones([1, 1, value.shape[2], 1], value.dtype)
    elif match := re.match(r'(.*/fnode\d+)/WSM(?:_(\d+))?$', name):
      weights.setdefault(match.group(1), {})[int(match.group(2) or 0)] = value
    elif re.match(r'class_net/class-predict/(pointwise_kernel|bias)', name):
      split = value.reshape([*value.shape[:-1], _NUM_ANCHORS, -1])
      background = np.full([*split.shape[:-1], 1], _NEVER if name == _CLASSES else 0.0, value.dtype)
      found[name] = np.concatenate([background, split], axis=-1).reshape([*value.shape[:-1], -1])
    else:
      found[name] = value
  for node, of_inputs in weights.items():
    found[f'{node}/fusion_weights'] = np.array([of_inputs[i] for i in sorted(of_inputs)])
  return found


def parts(model: retinanet_model.RetinaNetModel) -> dict[str, Any]:
  """Returns the layers of a detector under the names that the rules use."""
  decoder = model.decoder
  spec, projection = decoder.spec, decoder.projection
  reads = {str(level): iter(range(count)) for level, count in zip(spec.levels, uses(spec).values(), strict=True)}
  edges: dict[str, dict[str, Any]] = {}
  for node, wires in enumerate(spec.wiring()):
    for wire in wires:
      if wire < spec.num_levels:
        level = str(spec.min_level + wire)
        conv = projection.convs.get(f'{level}_{next(reads[level])}')
        if conv is not None:
          edges.setdefault(str(node), {})[str(wire)] = conv
  coarse = {name: conv for name, conv in projection.convs.items() if '_' not in name}
  stem, blocks = _backbone(model.backbone)
  return {
    'stem': stem,
    'blocks': blocks,
    'coarse': coarse,
    'edges': edges,
    'stages': decoder.stages,
    'head': tpu_names.parts(model)['head'],
  }


def _backbone(backbone: tf_keras.Model) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """Returns the layers of stem and blocks of an EfficientNet of tf_keras, by what they do."""
  layers = {layer.name: layer for layer in backbone.submodules if isinstance(layer, tf_keras.layers.Layer)}
  names = list(dict.fromkeys(match.group(1) for name in layers if (match := re.match(r'(block\d+[a-z])_', name))))
  blocks = []
  for name in sorted(names, key=lambda name: (int(re.sub(r'\D', '', name)), name[-1])):
    block = {key.removeprefix(f'{name}_'): layer for key, layer in layers.items() if key.startswith(f'{name}_')}
    blocks.append(
      {
        'convs': [block[key] for key in ('expand_conv', 'project_conv') if key in block],
        'norms': [block[key] for key in ('expand_bn', 'bn', 'project_bn') if key in block],
        'depthwise': block['dwconv'],
        'squeeze': [block['se_reduce'], block['se_expand']],
      }
    )
  return {'conv': layers['stem_conv'], 'norm': layers['stem_bn']}, blocks


def _topology(min_level: int, max_level: int, weighted: bool) -> topology.PyramidSpec:
  """Returns BiFPN, for the largest ones with plain sums."""
  spec = topology.get('bifpn', min_level, max_level)
  if weighted:
    return spec
  cells = tuple(dataclasses.replace(cell, op='sum') for cell in spec.cells)
  return dataclasses.replace(spec, name=f'{spec.name}_sum', cells=cells)
