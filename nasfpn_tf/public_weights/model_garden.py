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
"""Detectors and ImageNet classifiers of Model Garden, official/vision: TensorFlow 2 checkpoints of the same parts."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tf_keras
from official.vision.modeling import retinanet_model

from nasfpn_tf import config
from nasfpn_tf.interop import model_garden
from nasfpn_tf.modeling import detector
from nasfpn_tf.modeling.weights import restore
from nasfpn_tf.modeling.weights.load_report import LoadReport
from nasfpn_tf.public_weights import tf1_checkpoint
from nasfpn_tf.public_weights.contents import Contents
from nasfpn_tf.training import compatibility

_EPSILON = 1e-4  # Of this project's recipes.
_TAKEN = ('num_classes', 'min_level', 'max_level', 'anchor', 'head', 'norm_activation')
_OF_NMS = ('pre_nms_top_k', 'pre_nms_score_threshold', 'nms_iou_threshold', 'max_num_detections', 'soft_nms_sigma')
# Where a params.yaml leaves them out, or there is none.
_DEFAULTS = {
  'head': {'num_convs': 4, 'num_filters': 256},
  'detection_generator': {'pre_nms_top_k': 5000},
}


def open_checkpoint(path: str, known_model: Mapping[str, Any] | None = None) -> Contents:
  """Opens a checkpoint of Model Garden's RetinaNet, or of an image classifier, of which the backbone is taken.

  Args:
    path: prefix of the checkpoint, or the directory that holds it. The params.yaml that Model Garden wrote beside it
      says what its variables do not: activation, epsilon of the batch norms, anchors.
    known_model: `task.model`, where there is no params.yaml.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, of another kind of model, or nothing says what it is of.
  """
  path = tf1_checkpoint.prefix(path)
  items = restore.children(path)
  model = compatibility.model_beside(path) or known_model
  if model is None:
    raise ValueError(
      f'there is no params.yaml beside checkpoint {path!r}: activation, epsilon of the batch norms and anchors are not'
      ' in its variables. Copy the params.yaml of its training into the same directory.'
    )
  if 'backbone' not in items:
    exported = path.endswith('variables/variables')
    raise ValueError(
      f"checkpoint {path!r} is not of Model Garden's RetinaNet: it has {', '.join(items) or 'nothing'}."
      f'{" It is that of a SavedModel: give the one that training wrote, ckpt-*." if exported else ""}'
    )
  if 'head' not in items:
    return _classifier(path, model)
  missing = [name for name in ('backbone', 'num_classes') if not model.get(name)]
  if missing:
    raise ValueError(f"params.yaml beside checkpoint {path!r} is not of Model Garden's RetinaNet: no {missing[0]}.")
  settings = {**_DEFAULTS, **{key: model[key] for key in _TAKEN if key in model}}
  settings['head'] = {**_DEFAULTS['head'], **settings['head']}
  given = model.get('detection_generator', {})
  settings['detection_generator'] = {
    **_DEFAULTS['detection_generator'],
    **{key: given[key] for key in _OF_NMS if given.get(key) is not None},
  }
  for part, fallback in (('backbone', 'resnet'), ('decoder', 'fpn')):
    section = model.get(part, {})
    kind = section.get('type', fallback)
    settings[part] = {'type': kind, kind: dict(section.get(kind) or {})}
  if settings['decoder']['type'] != 'nasfpn':
    return Contents(settings, lambda built: restore.restore(built, path, use_average=True))
  theirs = settings['decoder']
  pyramid = {'num_repeats': 5, 'num_filters': 256, 'use_separable_conv': False, **theirs['nasfpn']}
  ours = {'type': 'feature_pyramid', 'feature_pyramid': {'topology': 'nas_fpn', 'residual': False, **pyramid}}
  return Contents({**settings, 'decoder': ours}, lambda built: _fill_pyramid(built, path, settings))


def _fill_pyramid(built: retinanet_model.RetinaNetModel, path: str, settings: Mapping[str, Any]) -> LoadReport:
  """Loads a detector with Model Garden's NAS-FPN and hands its weights on."""
  theirs = detector.build_detector(config.Detector(**{**settings, 'input_size': _input_size(built)}))
  report = restore.restore(theirs, path, use_average=True)
  model_garden.load_from_model_garden(built.decoder, theirs.decoder)
  built.backbone.set_weights(theirs.backbone.get_weights())
  built.head.set_weights(theirs.head.get_weights())
  return report


def _input_size(built: retinanet_model.RetinaNetModel) -> list[int]:
  return list(built.backbone.input_shape[1:])


def _classifier(path: str, model: Mapping[str, Any]) -> Contents:
  """Opens the backbone of a classifier, for a recipe with another epsilon of its batch norms."""
  kind = model['backbone']['type']
  norm = {'activation': 'relu', 'norm_momentum': 0.99, 'norm_epsilon': 0.001, **model.get('norm_activation', {})}
  theirs = float(norm['norm_epsilon'])
  settings = {
    'num_classes': 2,  # Of a detector that is built around the backbone and not kept.
    'backbone': {'type': kind, kind: dict(model['backbone'].get(kind) or {})},
    'decoder': {'type': 'fpn', 'fpn': {'num_filters': 8}},
    'norm_activation': {**norm, 'norm_momentum': 0.997, 'norm_epsilon': _EPSILON},
  }

  def fill(built: retinanet_model.RetinaNetModel) -> LoadReport:
    report = restore.restore_parts({'backbone': built.backbone}, path)
    change_epsilon(_batch_norms(built.backbone), theirs, _EPSILON)
    return report

  return Contents(settings, fill, items=('backbone',))


def change_epsilon(norms: Iterable[tf_keras.layers.Layer], theirs: float, ours: float) -> None:
  """Makes batch norms that were trained with epsilon `theirs` compute the same with `ours`, from stored statistics.

  The variance takes up the difference; where it is too small for that it becomes 0, and gamma takes up the rest.
  """
  for norm in norms:
    variance = norm.moving_variance.numpy()
    moved = np.maximum(variance + theirs - ours, 0)
    norm.gamma.assign(norm.gamma.numpy() * np.sqrt((moved + ours) / (variance + theirs)))
    norm.moving_variance.assign(moved)


def _batch_norms(network: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  return [module for module in network.submodules if hasattr(module, 'moving_variance')]
