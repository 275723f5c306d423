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

"""Loads an `ExperimentConfig` from an experiment's name, YAML files and overrides.

Every key must exist and every value must have the declared type of its field, so that a typo is an error that names the
key and its source instead of a default silently kept. Only experiments that the caller's imports have registered are
known; `nasfpn_tf.training.params` registers this project's.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams

from nasfpn_tf.config import checking, loading, published
from nasfpn_tf.config.task import DetectionTask

DEFAULT_EXPERIMENT = 'nasfpn_retinanet'


def load_params(
  experiment: str | None = None,
  config_files: str | Sequence[str] | None = None,
  params_override: str | Mapping[str, Any] | None = None,
) -> cfg.ExperimentConfig:
  """Loads an experiment and applies overrides; later files take precedence.

  Args:
    experiment: name of a registered experiment; None takes the one that a file names in its key `experiment`, else
      `DEFAULT_EXPERIMENT`.
    config_files: one or several references, as of `loading.find_config`.
    params_override: a mapping, nested or with dotted keys, or text as of `loading.parse_override`.

  Raises:
    ValueError: if the experiment does not exist, a file is not YAML or is written for another experiment, a key does
      not exist, or a value has a wrong type. The message names the file, the key and the nearest existing key.
    FileNotFoundError: if a file does not exist.
  """
  paths = [loading.find_config(reference) for reference in _as_list(config_files)]
  files = [(str(path), loading.read_yaml(path)) for path in paths]
  for path, content in files:
    # A file holds differences from one experiment, so it must not be applied to another.
    named = content.pop('experiment', None)
    content.pop(published.KEY, None)
    if named is not None and experiment not in (None, named):
      raise ValueError(
        f'{path} is for experiment {named!r}, not {experiment!r}: leave out the experiment, or change it.'
      )
    experiment = experiment or named
  experiment = experiment or DEFAULT_EXPERIMENT
  known = exp_factory._REGISTERED_CONFIGS
  if experiment not in known:
    raise ValueError(f'experiment {experiment!r} is unknown; {checking.nearest(str(experiment), known)}')
  params = exp_factory.get_exp_config(experiment)
  for path, content in files:
    if pathlib.Path(path).name == loading.PARAMS_FILE and isinstance(params.task, DetectionTask):
      # A whole experiment: what it leaves out has the default of its time. Stacks had no residual connections
      # when it was written.
      params.task.model.decoder.feature_pyramid.residual = False
    _override(params, content, path)
  if isinstance(params_override, str):
    params_override = loading.parse_override(params_override)
  _override(params, loading.nested(params_override or {}), 'params_override')
  checking.check(params)
  return params


def _as_list(references: str | Sequence[str] | None) -> Sequence[str]:
  return [references] if isinstance(references, str) else references or ()


def _override(params: cfg.ExperimentConfig, overrides: dict[str, Any], source: str) -> None:
  problem = next(_unknown_keys(params, overrides, ''), None)
  if problem:
    raise ValueError(f'{source}: {problem}')
  try:
    params.override(overrides)
    checking.check(params)
  except (ValueError, TypeError) as e:
    raise ValueError(f'{source}: {e}') from e


def _unknown_keys(params: hyperparams.Config, overrides: dict[str, Any], where: str) -> Iterator[str]:
  """Yields a problem for each key that `params` lacks; turns an inline topology into text, as its field stores it."""
  known = [key for key in params.__dict__ if key not in params.RESERVED_ATTR]
  for key, value in overrides.items():
    path = f'{where}.{key}' if where else str(key)
    if key not in known:
      yield f'key {path!r} does not exist; {checking.nearest(str(key), known)}'
      continue
    current = getattr(params, key)
    if key == 'topology' and isinstance(value, dict):
      overrides[key] = json.dumps(value)
    elif isinstance(value, dict):
      if current is None:
        # Model Garden fills an optional section without checking its keys.
        section = params._get_subconfig_type(key)
        current = section() if section is not hyperparams.Config else None
      if isinstance(current, hyperparams.Config) and type(current) is not hyperparams.Config:
        yield from _unknown_keys(current, value, path)
      elif current is not None and not isinstance(current, hyperparams.Config | Mapping):
        yield f'{path} is a value ({current!r}), not a section: {value!r} cannot be its content.'
