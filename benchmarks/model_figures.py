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

"""Counts parameters and multiply-adds of the models in configs/, and keeps them in a JSON file for the documents."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import tf_keras

from nasfpn_tf import config
from nasfpn_tf.modeling import cost, detector
from nasfpn_tf.modeling.weights import pretrained
from nasfpn_tf.training import params as params_lib

PARTS = ('backbone', 'decoder', 'head')


@dataclasses.dataclass(frozen=True)
class Figures:
  """Sizes of a built model and of its parts.

  Attributes:
    digest: of the architecture, see `digest`.
    params: {part: parameters}, the moving statistics of the batch norms counted.
    trainable: {part: trainable parameters}.
    multiply_adds: {part: multiply-adds of the convolutions and matrix products for one image}.
  """

  digest: str
  params: dict[str, int]
  trainable: dict[str, int]
  multiply_adds: dict[str, int]


def measure(model_config: config.Detector) -> Figures:
  """Builds a model and counts; the weights are those of initialization."""
  model_config = _without_what_is_not_counted(model_config)
  tf_keras.backend.clear_session()
  model = detector.build_detector(model_config)
  parts = {part: getattr(model, part) for part in PARTS if getattr(model, part) is not None}
  return Figures(
    digest(model_config),
    {part: cost.count_params(built) for part, built in parts.items()},
    {part: cost.count_trainable_params(built) for part, built in parts.items()},
    cost.multiply_adds_by_part(model, model_config.input_size),
  )


def model_config(name: str) -> config.Detector:
  """Returns the model of a configuration."""
  return params_lib.load_params(config_files=name).task.model


def digest(model: config.Detector) -> str:
  """Names an architecture by what its configuration sets; a new option that is off does not change it."""
  model = _without_what_is_not_counted(model)
  changed = _difference(model.as_dict(), config.Detector().as_dict())
  changed.pop('detection_generator', None)
  return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:16]


def _without_what_is_not_counted(model: config.Detector) -> config.Detector:
  """Removes pretrained weights and synchronized batch norm, which needs replicas, from a model's configuration."""
  return pretrained.without_pretrained_weights(model).replace(norm_activation={'use_sync_bn': False})


def _difference(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
  """Returns what differs from the defaults; of a one-of configuration only the chosen section."""
  chosen = {'type', values.get('type')} if 'type' in values and isinstance(values.get('type'), str) else set(values)
  result = {}
  for key in sorted(set(values) & chosen):
    value, default = values[key], defaults.get(key)
    if isinstance(value, dict) and isinstance(default, dict):
      value = _difference(value, default)
      if value:
        result[key] = value
    elif value != default:
      result[key] = value
  return result


def load(path: str | pathlib.Path) -> dict[str, Figures]:
  """Reads {config name: figures} from a file that `save` wrote; empty if there is none."""
  path = pathlib.Path(path)
  if not path.exists():
    return {}
  return {name: Figures(**entry) for name, entry in json.loads(path.read_text(encoding='utf-8')).items()}


def save(path: str | pathlib.Path, figures: dict[str, Figures]) -> None:
  """Writes figures as JSON, a line a model."""
  lines = [f'{json.dumps(name)}: {json.dumps(dataclasses.asdict(figures[name]))}' for name in sorted(figures)]
  pathlib.Path(path).write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')
