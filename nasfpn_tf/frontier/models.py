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

"""Groups records by model, and finds the Pareto frontier for each kind of cost."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from nasfpn_tf.frontier.record import ModelRecord, RecordError
from nasfpn_tf.report import pareto

AXES = {
  'latency_ms': 'latency, ms',
  'multiply_adds_g': 'multiply-adds, G',
  'size_mb': 'size, MB',
  'params_m': 'parameters, M',
}


@dataclasses.dataclass(frozen=True)
class Model:
  """One model with all its measurements.

  Attributes:
    last: its newest record, of which everything is taken that is the same everywhere.
    evaluated: the newest record with metrics; None if it was never evaluated.
    timed: {setting: the newest record there}.
  """

  last: ModelRecord
  evaluated: ModelRecord | None
  timed: Mapping[str, ModelRecord]

  @property
  def name(self) -> str:
    """What it is called."""
    return self.last.name

  @property
  def ap(self) -> float | None:
    """COCO's AP, 0 to 1."""
    return self.evaluated and self.evaluated.ap

  def cost(self, axis: str, setting: str) -> float | None:
    """Returns the cost on an axis of `AXES`, or None if unknown."""
    if axis == 'latency_ms':
      return self.timed[setting].latency_ms.typical if setting in self.timed else None
    if axis == 'size_mb':
      return self.last.size_bytes / 1e6
    value, unit = {
      'multiply_adds_g': (self.last.total_multiply_adds, 1e9),
      'params_m': (self.last.params, 1e6),
    }[axis]
    return None if value is None else value / unit


@dataclasses.dataclass(frozen=True)
class Front:
  """The frontier on one axis: `names`, the cheapest first, and"
  " {name of a dominated model: the model that dominates it}."""

  names: Sequence[str]
  beaten_by: Mapping[str, str]


def gather(records: Iterable[ModelRecord]) -> list[Model]:
  """Collects the models of records, in the order of their first records.

  A record replaces earlier ones of the same name and setting. Where a file was measured again after it had changed,
  nothing is kept of what it was before.

  Raises:
    RecordError: two forms have one name.
  """
  by_name: dict[str, list[ModelRecord]] = {}
  for record in records:
    by_name.setdefault(record.name, []).append(record)
  models = []
  for name, found in by_name.items():
    last = found[-1]
    if len({record.form for record in found}) > 1:
      forms = ' and '.join(sorted({record.form for record in found}))
      raise RecordError(f'{name!r} is the name of a {forms}: measure them under different names (--name).')
    found = [record for record in found if record.digest == last.digest and record.exit_stage == last.exit_stage]
    evaluated = [record for record in found if record.metrics]
    timed = {record.setting: record for record in found}
    models.append(Model(last, evaluated[-1] if evaluated else None, timed))
  return models


def settings(models: Iterable[Model]) -> list[str]:
  """Lists the settings in which models were timed, the most frequent first."""
  counts: dict[str, int] = {}
  for model in models:
    for setting in model.timed:
      counts[setting] = counts.get(setting, 0) + 1
  return sorted(counts, key=lambda setting: -counts[setting])


def front(models: Iterable[Model], axis: str, setting: str) -> Front:
  """Computes the Pareto frontier on an axis, of the models whose AP and cost are known."""
  points = {
    model.name: (cost, model.ap)
    for model in models
    if model.ap is not None and (cost := model.cost(axis, setting)) is not None
  }
  return Front(pareto.front(points), pareto.dominators(points))


def common_facts(models: Sequence[Model]) -> dict[str, object]:
  """Returns the facts that all models share."""
  first = models[0].last.facts if models else {}
  return {key: value for key, value in first.items() if all(model.last.facts.get(key) == value for model in models)}
