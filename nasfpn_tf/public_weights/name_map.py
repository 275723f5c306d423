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
"""Says which variable of a published checkpoint is which of a detector, by a table of patterns."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from nasfpn_tf.modeling.weights.load_report import LoadReport

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Rule:
  """One line of the table: a scope of theirs is a layer of ours.

  Attributes:
    theirs: scope of the variables in the checkpoint; {name} stands for a number, {_name} for '' (0), '_1', '_2', ...,
      as TensorFlow 1 counts layers without a name.
    ours: path to the layer, through attributes, keys and indices, with the numbers of `theirs`.
  """

  theirs: str
  ours: str

  def layer_of(self, scope: str) -> str | None:
    """Returns the path to the layer for a scope of the checkpoint; None where the rule is not about it."""
    pattern = re.sub(r'\\{_(\w+)\\}', r'(?:_(?P<\1>\\d+))?', re.escape(self.theirs))
    pattern = re.sub(r'\\{(\w+)\\}', r'(?P<\1>\\d+)', pattern)
    match = re.fullmatch(pattern, scope)
    return match and self.ours.format(**{name: number or '0' for name, number in match.groupdict().items()})


def assign(
  model: tf_keras.Model,
  parts: Mapping[str, Any],
  values: Mapping[str, np.ndarray],
  rules: Sequence[Rule],
  source: str,
) -> LoadReport:
  """Sets every variable of a model from a checkpoint's; sets none unless all of both sides correspond.

  Args:
    model: the model.
    parts: what the first names of the rules' paths are.
    values: {name in the checkpoint: value}.
    rules: the table.
    source: the checkpoint, for messages.

  Raises:
    ValueError: naming what is left over on either side, or has another shape.
  """
  pairs, unused, other_shapes, other_types = [], [], [], []
  for name, value in values.items():
    scope, _, leaf = name.rpartition('/')
    paths = [path for rule in rules if (path := rule.layer_of(scope))]
    variable = _variable(parts, paths[0], leaf) if paths else None
    if variable is None:
      unused.append(f'{name} {list(value.shape)}')
    elif tuple(variable.shape) != value.shape:
      other_shapes.append(f'{name} has shape {list(value.shape)}, {variable.name} {list(variable.shape)}')
    elif not tf.as_dtype(value.dtype).is_floating:
      other_types.append(f'{name} is {value.dtype}')
    else:
      pairs.append((f'{paths[0]}/{leaf}', variable, value))
  taken = {id(variable) for _, variable, _ in pairs}
  missing = [f'{v.name} {list(v.shape)}' for v in model.variables if id(v) not in taken]
  problems = [
    *_listed('of another shape', other_shapes),
    *_listed('that are not floating-point', other_types),
    *_listed('of the checkpoint without a counterpart', unused),
    *_listed('of the model without a value', missing if not other_shapes and not other_types else []),
  ]
  if len(taken) < len(pairs):
    problems.append('two variables of the checkpoint are one of the model')
  if problems:
    raise ValueError(f'checkpoint {source!r} does not fit: {"; ".join(problems)}. Nothing was written.')
  for _, variable, value in pairs:
    variable.assign(value)
  return LoadReport(source, tuple(name for name, _, _ in pairs))


def count(values: Mapping[str, Any], pattern: str) -> int:
  """Returns how many numbers a pattern finds in the names of `values`; they are counted from 0, or none fits later."""
  return len({match.group(1) for name in values if (match := re.match(pattern, name))})


def _variable(parts: Mapping[str, Any], path: str, leaf: str) -> tf.Variable | None:
  found: Any = parts
  for step in path.split('.'):
    try:
      if isinstance(found, Mapping):
        found = found[step]
      elif isinstance(found, Sequence):
        found = found[int(step)]
      else:
        found = getattr(found, step)
    except (KeyError, IndexError, AttributeError):
      return None
  return getattr(found, leaf, None)


def _listed(what: str, names: Sequence[str]) -> list[str]:
  more = ', ...' if len(names) > _SHOWN else ''
  return [f'{len(names)} {what} ({", ".join(names[:_SHOWN])}{more})'] if names else []
