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

"""Writes the frontier as Markdown: models, which of them are dominated, time by part, published figures."""

from collections.abc import Iterable, Mapping, Sequence

from nasfpn_tf.frontier.models import AXES, Front, Model, common_facts, front
from nasfpn_tf.frontier.published import Published
from nasfpn_tf.frontier.record import PARTS
from nasfpn_tf.report.page import number

SHOWN = ('latency_ms', 'multiply_adds_g', 'size_mb')  # The axes that get a frontier in print.
SHORT = {'latency_ms': 'latency', 'multiply_adds_g': 'multiply-adds', 'size_mb': 'size'}
NOTE = (
  'A model dominates another if it costs no more, reaches at least the same AP, and differs in one of the two.'
  ' Models that no other dominates are on the Pareto frontier (●).'
)
PART_NOTE = (
  'The time of a part is the difference between two graphs, one that ends after it and one that ends before it,'
  ' timed in turns.'
)
PUBLISHED_HEADER = ('model', 'AP', 'split', 'multiply-adds, G', 'parameters, M', 'ms', 'device', 'source')
PUBLISHED_NOTE = (
  'Published AP was measured on COCO, not on the data set of the models above: compare the costs, and how AP grows'
  ' with them, not the AP itself.'
)


def markdown(title: str, models: Sequence[Model], settings: Sequence[str], published: Sequence[Published]) -> str:
  """Writes the Markdown document.

  Args:
    title: heading.
    models: what was measured.
    settings: where they were timed, the most important first; latencies of the others have tables of their own.
    published: what others have.
  """
  ordered = by_ap(models)
  fronts = {axis: front(models, axis, settings[0]) for axis in SHOWN}
  lines = [f'# {title}', '', lead(models, settings), '', '![AP over cost](frontier.svg)', '', '## Models', '']
  header = ['model', 'AP', 'AP50', 'input', *AXES.values(), 'p90, ms', 'first, ms', 'memory, MB']
  rows = []
  for model in ordered:
    costs = [marked(model, axis, settings[0], fronts) for axis in AXES]
    rows.append([model.name, *accuracy(model), input_size(model), *costs, *map(number, details(model, settings[0]))])
  lines += [*_table(header, rows), '', NOTE, '', '## Dominated models', '', *_table(*beaten(ordered, fronts))]
  for setting in settings:
    timed = [model for model in ordered if setting in model.timed]
    if setting != settings[0]:
      lines += ['', f'## {setting}', '', *_latencies(timed, setting)]
    if any(model.timed[setting].parts_ms for model in timed):
      lines += ['', f'## Where the time goes: {setting}', '', *_parts(timed, setting), '', PART_NOTE]
  if published:
    rows = [[*published_cells(row), f'[{row.source}]({row.url})'] for row in published]
    lines += ['', '## Published', '', PUBLISHED_NOTE, '', *_table(PUBLISHED_HEADER, rows)]
  return '\n'.join(lines) + '\n'


def lead(models: Sequence[Model], settings: Sequence[str]) -> str:
  """Writes a sentence or two on what was measured, where, and what all models share."""
  evaluated = sorted({model.evaluated.evaluated_on for model in models if model.evaluated})
  runtimes = sorted({record.runtime for model in models for record in model.timed.values()})
  facts = ', '.join(f'{key.replace("_", " ")} {value}' for key, value in common_facts(models).items())
  text = f'{len(models)} models, timed on {"; ".join(settings)} by {", ".join(runtimes)}.'
  if evaluated:
    text += f' AP on {"; ".join(evaluated)}.'
  return text + (f' Common to all: {facts}.' if facts else '')


def by_ap(models: Iterable[Model]) -> list[Model]:
  """Sorts by AP, highest first, models without AP last."""
  return sorted(models, key=lambda model: -1.0 if model.ap is None else model.ap, reverse=True)


def marked(model: Model, axis: str, setting: str, fronts: Mapping[str, Front]) -> str:
  """Formats a cost, with a dot if the model is on that frontier."""
  dot = ' ●' if axis in fronts and model.name in fronts[axis].names else ''
  return number(model.cost(axis, setting)) + dot


def accuracy(model: Model) -> list[str]:
  """Formats AP and AP50 in per cent, '' if unknown."""
  metrics = model.evaluated.metrics if model.evaluated else {}
  return [f'{100 * metrics[name]:.1f}' if name in metrics else '' for name in ('AP', 'AP50')]


def input_size(model: Model) -> str:
  """Formats height x width, '' if unknown."""
  return '{}x{}'.format(*model.last.input_size) if model.last.input_size else ''


def details(model: Model, setting: str) -> list[float | None]:
  """Formats p90 and first run in milliseconds and memory in MB."""
  timed = model.timed.get(setting)
  if timed is None:
    return [None, None, None]
  memory = timed.peak_memory_bytes
  return [timed.latency_ms.p90, timed.latency_ms.first, None if memory is None else memory / 1e6]


def beaten(ordered: Sequence[Model], fronts: Mapping[str, Front]) -> tuple[list[str], list[list[str]]]:
  """Returns header and rows of the table of dominated models and the models that dominate them on each axis."""
  rows = []
  for model in ordered:
    better = [fronts[axis].beaten_by.get(model.name, '') for axis in SHOWN]
    if any(better):
      rows.append([model.name, *better])
  return ['dominated', *(f'on {SHORT[axis]} by' for axis in SHOWN)], rows


def published_cells(row: Published) -> list[str]:
  """Gives the cells of a published figure, without its source, which each document links in its own way."""
  numbers = map(number, (row.multiply_adds_g, row.params_m, row.latency_ms))
  return [row.name, f'{100 * row.ap:.1f}', row.split, *numbers, row.device]


def _latencies(timed: Sequence[Model], setting: str) -> list[str]:
  found = front(timed, 'latency_ms', setting)
  rows = []
  for model in timed:
    latency = model.timed[setting].latency_ms
    numbers = [latency.median, latency.mean, latency.p90, latency.first]
    place = '●' if model.name in found.names else found.beaten_by.get(model.name, '')
    rows.append([model.name, accuracy(model)[0], *map(number, numbers), place])
  return _table(['model', 'AP', 'median, ms', 'mean', 'p90', 'first', 'frontier (●), or dominated by'], rows)


def _parts(timed: Sequence[Model], setting: str) -> list[str]:
  rows = []
  for model in timed:
    parts = model.timed[setting].parts_ms
    if parts:
      rows.append([model.name, *(number(parts.get(part)) for part in PARTS)])
  return _table(['model', *(f'{part.replace("_", "-")}, ms' for part in PARTS)], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
  lines = [f'| {" | ".join(header)} |', '|---' * len(header) + '|']
  return lines + [f'| {" | ".join(str(cell).replace("|", "/") for cell in row)} |' for row in rows]
