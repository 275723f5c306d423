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

"""Refuses a checkpoint of another model, by the params.yaml that training wrote beside it."""

import json
import os
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any

import tensorflow as tf
import yaml
from absl import logging

from nasfpn_tf import topology
from nasfpn_tf.config import safe_yaml
from nasfpn_tf.training import checkpoints

# Keys of a model's configuration that change what its weights are used for, but not which there are.
_NOT_IN_THE_WEIGHTS = frozenset(
  {
    'detection_generator',
    'drop_path_keep_prob',
    'drop_path_ramp_steps',
    'dropblock_keep_prob',
    'dropblock_ramp_steps',
    'dropblock_size',
    'frozen_level',
    'input_size',
    'norm_momentum',
    'recompute',
    'recompute_backbone',
    'recompute_head',
    'stochastic_depth_drop_rate',
    'use_sync_bn',
    'weights',
  }
)
# Settings of backbones that no variable tells, with what checkpoints without the setting have.
_BACKBONE_FUNCTION = {
  'applications': {'norm_epsilon': 0.0},
  'resnet': {'padding': 'same'},
  'spinenet': {'padding': 'same'},
  'spinenet_mobile': {'padding': 'same', 'se_inner_activation': 'relu', 'se_gating_activation': 'hard_sigmoid'},
}
_DECODER_FUNCTION = {
  'feature_pyramid': {'residual': False, 'overlapping_pools': False},
  'mnas_fpn': {'norm_epsilon': 0.0},
}


def check_architecture(directory: str, model_config: Any) -> None:
  """Makes sure that the checkpoints of a model_dir are of the model that is being built.

  Args:
    directory: a model_dir; its params.yaml says what its checkpoints are of.
    model_config: the `task.model` of this run, as params.yaml keeps it.

  Raises:
    ValueError: naming the keys that differ.
  """
  path = os.path.join(directory, 'params.yaml')
  if not checkpoints.available(directory) or not tf.io.gfile.exists(path):
    return
  then, now = _read_model(path, _relevant), _relevant(model_config.as_dict())
  different = [f'{key} is {a!r} there and {b!r} here' for key, a, b in _differences(then, now, 'task.model')]
  if different:
    raise ValueError(
      f'{directory} contains checkpoints of another architecture: {"; ".join(different)}. Use another model_dir, or'
      f' the '
      'configuration that it was trained with.'
    )


def check_function(
  checkpoint: str, model_config: Any, parts: Collection[str] = ('backbone', 'decoder', 'head')
) -> None:
  """Makes sure that the model of a checkpoint computes what this one does, where the variables cannot tell.

  Cells of other wiring, stacks with and without residual connections, a backbone that pads its convolutions in another
  way, another activation, epsilon of the batch norms or order of the anchors have the same variables. The params.yaml
  that training wrote beside the checkpoint, Model Garden's too, says which they are of; where there is none, nothing
  is checked, and a warning says so.

  Args:
    checkpoint: prefix of the checkpoint.
    model_config: the `task.model` that it is to be loaded into.
    parts: of the model, that are to be loaded.

  Raises:
    ValueError: naming the keys that differ, and the file.
  """
  path, now = _description_of(checkpoint), _function(model_config.as_dict(), parts)
  if path is None:
    logging.warning(
      'There is no params.yaml beside %s: make sure that it was trained with %s like this model; its variables do'
      ' not show it.',
      checkpoint,
      ', '.join(f'{key} {value!r}' for key, value in now.items()),
    )
    return
  then = _read_model(path, lambda model: _function(model, parts))
  both = [key for key in now if key in then]  # Other decoders have other variables.
  different = [f'{key} is {then[key]!r} there and {now[key]!r} here' for key in both if then[key] != now[key]]
  if different:
    raise ValueError(
      f'checkpoint {checkpoint} was trained with another model ({path}): {"; ".join(different)}. Its variables have'
      ' the same names and shapes, so it would load, but compute something else: use the settings of its training.'
    )


def model_beside(checkpoint: str) -> dict[str, Any] | None:
  """Returns the `task.model` in the params.yaml that a training wrote beside a checkpoint; None if there is none.

  Raises:
    ValueError: the file is another thing.
  """
  path = _description_of(checkpoint)
  return None if path is None else _read_model(path, dict)


def _read_model(path: str, part: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
  """Reads `part` of the model's configuration in a params.yaml; a ValueError names the file that is another thing."""
  try:
    with tf.io.gfile.GFile(path) as file:
      content = safe_yaml.load(file.read().replace('!!python/tuple', ''))  # Model Garden's writer tags tuples.
    task = content.get('task') if isinstance(content, dict) else None
    if not isinstance(task, dict) or not isinstance(task.get('model'), dict) or not task['model']:
      raise ValueError('it has no task.model')
    return part(task['model'])
  except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
    problem = ' '.join(str(error).split()) if isinstance(error, yaml.YAMLError | ValueError) else repr(error)
    raise ValueError(f'{path}: not what a training writes, {problem}; restore it from a copy.') from error


def _relevant(model: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the part of a model's configuration that decides its weights."""
  kept = dict(model)
  for one_of in ('backbone', 'decoder'):
    kind = kept[one_of]['type']
    kept[one_of] = {'type': kind, kind: kept[one_of].get(kind)}
  kept = _without(kept, _NOT_IN_THE_WEIGHTS)
  exits = kept.pop('anytime', None)  # What was trained before there were exits has none in its params.yaml.
  if exits and exits['enabled']:
    kept['anytime'] = {'share_heads': exits['share_heads']}
  pyramid = kept['decoder'][kept['decoder']['type']]
  if pyramid and pyramid.get('topology', '').lstrip().startswith('{'):
    pyramid['topology'] = _without(json.loads(pyramid['topology']), {'name'})
  return kept


def _differences(then: Any, now: Any, key: str) -> list[tuple[str, Any, Any]]:
  if isinstance(then, Mapping) and isinstance(now, Mapping):
    found = []
    # An option that came later and is off is what was.
    for name in [*then, *(n for n in now if n not in then and now[n])]:
      found += _differences(then.get(name), now.get(name), f'{key}.{name}')
    return found
  then, now = (list(v) if isinstance(v, tuple) else v for v in (then, now))
  return [] if then == now else [(key, then, now)]


def _function(model: Mapping[str, Any], parts: Collection[str]) -> dict[str, Any]:
  """Returns the settings of parts of a model that change their function but not their variables."""
  found = {}  # What was trained before there was a choice, or by Model Garden, has no padding and no residual stacks.
  kind = model['backbone']['type']
  for key, of_old in _BACKBONE_FUNCTION.get(kind, {}).items() if 'backbone' in parts else ():
    found[f'backbone.{kind}.{key}'] = (model['backbone'].get(kind) or {}).get(key, of_old)
  decoder = model.get('decoder')  # A classifier has none.
  if 'decoder' in parts and decoder and decoder['type'] in _DECODER_FUNCTION:
    kind = decoder['type']
    pyramid = decoder[kind]
    spec = topology.resolve(pyramid['topology'], model['min_level'], model['max_level'])
    found[f'decoder.{kind}.topology'] = f'{spec.name} ({spec.digest})'
    for key, of_old in _DECODER_FUNCTION[kind].items():
      found[f'decoder.{kind}.{key}'] = pyramid.get(key, of_old)
  anchor = model.get('anchor')
  if 'head' in parts and anchor:
    for key in ('num_scales', 'aspect_ratios', 'anchor_size'):
      value = anchor[key]
      found[f'anchor.{key}'] = [float(v) for v in value] if isinstance(value, list | tuple) else float(value)
  if 'head' in parts:
    generator = model.get('detection_generator') or {}
    found['detection_generator.box_coder_plus_one'] = bool(generator.get('box_coder_plus_one', False))
    weights = generator.get('box_coder_weights')
    found['detection_generator.box_coder_weights'] = None if weights is None else [float(v) for v in weights]
  if set(parts) != {'backbone'} or model['backbone']['type'] != 'applications':  # Which has the library's own.
    norm = model['norm_activation']
    found['norm_activation.activation'] = norm.get('activation', 'relu')
    found['norm_activation.norm_epsilon'] = float(norm.get('norm_epsilon', 0.001))
  return found


def _description_of(checkpoint: str) -> str | None:
  """Finds the params.yaml of the training or export of `checkpoint`; None if there is none."""
  directory = os.path.dirname(checkpoint if '://' in checkpoint else os.path.abspath(checkpoint))
  for parent in (directory, os.path.dirname(directory)):  # best/ and variables/ lie in the directory that has it.
    path = os.path.join(parent, 'params.yaml')
    if tf.io.gfile.exists(path):
      return path
  return None


def _without(value: Any, keys: Set[str]) -> Any:
  """Removes `keys` from `value` at any depth."""
  if not isinstance(value, Mapping):
    return value
  return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
