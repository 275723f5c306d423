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

"""Lists the formats of a trained detector: how each is recognized and which code writes, runs and measures it.

Export, prediction and frontier read this table, so a format takes three files: its entry here, its exporter in export/
and its predictor in predict/. Any predictor can be measured; measurements that need more are in frontier/. Functions
are named as 'module:function' and loaded on use, so that no format depends on the imports of another.
"""

import dataclasses
import importlib
import os
from collections.abc import Callable
from typing import Any

from nasfpn_tf import safe_json
from nasfpn_tf.artifacts import layout, saved_model


@dataclasses.dataclass(frozen=True)
class Format:
  """One format.

  Attributes:
    name: in records, messages and flags.
    description: noun phrase with its article, for messages.
    suffix: suffix of the file; None if the format is a directory.
    directory: function from a path to the model's directory, or to None if the path has no model of this format.
    exporter: 'module:function' that writes a `Source`, see `nasfpn_tf.export.by_format`; None if only other programs
      write it.
    predictor: 'module:class' of a `Predictor`, made from a path and, where `takes_checkpoint`, a checkpoint; None if
      the format has no NMS.
    benchmark: 'module:function' that measures a model in a process of its own, see `nasfpn_tf.frontier.worker`.
    runtime: package whose installed version is written to records.
    takes_checkpoint: whether the caller can choose among several checkpoints.
    check: function that raises a ValueError where the model at a path could do more than compute.
    facts: function from the path to what the exporter recorded: `quant_type` and `params`, where known.
  """

  name: str
  description: str
  suffix: str | None = None
  directory: Callable[[str], str | None] = lambda path: None
  exporter: str | None = None
  predictor: str | None = None
  benchmark: str = 'nasfpn_tf.frontier.any_predictor:measure'
  runtime: str = 'nasfpn_tf'
  takes_checkpoint: bool = False
  check: Callable[[str], None] = lambda path: None
  facts: Callable[[str], dict[str, Any]] = lambda path: {}

  def find(self, path: str) -> str | None:
    """Returns the path of the model at `path`, or None if it is not of this format."""
    if self.suffix is None:
      return self.directory(path)
    return path if path.endswith(self.suffix) and os.path.isfile(path) else None


_FORMATS: dict[str, Format] = {}


def register(entry: Format) -> Format:
  """Registers a format; formats are tried in the order of their registration.

  Raises:
    ValueError: a format of this name exists.
  """
  if entry.name in _FORMATS:
    raise ValueError(f'{entry.name!r} is already registered as a format.')
  _FORMATS[entry.name] = entry
  return entry


def get(name: str) -> Format:
  """Returns the format with this name; raises a ValueError that lists the known formats if there is none."""
  if name not in _FORMATS:
    raise ValueError(f'format {name!r} is not one of {", ".join(_FORMATS)}.')
  return _FORMATS[name]


def names() -> list[str]:
  """Returns the names of all formats."""
  return list(_FORMATS)


def of_file(path: str) -> Format | None:
  """Returns the format that matches the suffix of `path`, or None; the file need not exist."""
  return next((entry for entry in _FORMATS.values() if entry.suffix and path.endswith(entry.suffix)), None)


def locate(path: str) -> tuple[Format, str]:
  """Returns the format of a model and its path: the version directory of a SavedModel, else `path`.

  Raises:
    FileNotFoundError: there is no model at `path`.
  """
  for entry in _FORMATS.values():
    found = entry.find(path)
    if found is not None:
      return entry, found
  if of_file(path):
    raise FileNotFoundError(f'{path}: no such file.')
  described = [entry.description for entry in _FORMATS.values()]
  missing = f' ({layout.SAVED_MODEL} and {layout.PARAMS} are missing)' if os.path.isdir(path) else ''
  raise FileNotFoundError(f'{path}: neither {", ".join(described[:-1])} nor {described[-1]}{missing}.')


def load(reference: str) -> Callable[..., Any]:
  """Imports the object that 'module:function' names."""
  module, _, name = reference.partition(':')
  return getattr(importlib.import_module(module), name)


def _tflite_facts(path: str) -> dict[str, Any]:
  try:
    return layout.read_sidecar(path)
  except FileNotFoundError:  # Written by another program.
    return {}


def _saved_model_facts(path: str) -> dict[str, Any]:
  report = os.path.join(path, layout.REPORT)
  try:
    facts = safe_json.load(report)
  except FileNotFoundError:  # Written by another program.
    facts = {}
  except ValueError as error:
    raise ValueError(f'{error}; copy or export the SavedModel again.') from error
  if not isinstance(facts, dict):
    raise ValueError(f'{report}: not what an export writes; copy or export the SavedModel again.')
  dtype = facts.get('dtype', 'float32')
  return {'quant_type': 'none' if dtype == 'float32' else str(dtype)}


register(
  Format(
    name='tflite',
    description='a .tflite',
    suffix=layout.TFLITE,
    exporter='nasfpn_tf.export.tflite:export',
    predictor='nasfpn_tf.predict.tflite:TFLitePredictor',
    benchmark='nasfpn_tf.frontier.tflite:measure',
    runtime='ai-edge-litert',
    facts=_tflite_facts,
  )
)
register(
  Format(
    name='onnx',
    description='an .onnx',
    suffix='.onnx',
    benchmark='nasfpn_tf.frontier.onnx:measure',
    runtime='onnxruntime',
  )
)
register(
  Format(
    name='saved_model',
    description='a SavedModel',
    directory=layout.find_saved_model,
    exporter='nasfpn_tf.export.saved_model:export_saved_model',
    predictor='nasfpn_tf.predict.saved_model:SavedModelPredictor',
    benchmark='nasfpn_tf.frontier.saved_model:measure',
    runtime='tensorflow',
    check=saved_model.check_operators,
    facts=_saved_model_facts,
  )
)
register(
  Format(
    name='checkpoint',
    description='the model_dir of a training',
    directory=lambda path: path if layout.is_model_dir(path) else None,
    predictor='nasfpn_tf.predict.checkpoint:CheckpointPredictor',
    benchmark='nasfpn_tf.frontier.checkpoint:measure',
    runtime='tensorflow',
    takes_checkpoint=True,
    facts=lambda path: {'quant_type': 'none'},
  )
)
