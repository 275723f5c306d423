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

"""Writes the documents about a frontier: an HTML page that needs no other file, an SVG and a Markdown document."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from nasfpn_tf import whole_file
from nasfpn_tf.frontier import models as models_lib
from nasfpn_tf.frontier import table
from nasfpn_tf.frontier.models import AXES, Model
from nasfpn_tf.frontier.published import Published
from nasfpn_tf.frontier.record import PARTS, ModelRecord
from nasfpn_tf.report import charts, page, trade_off
from nasfpn_tf.report import frontier as report

HTML, MARKDOWN, SVG = 'frontier.html', 'frontier.md', 'frontier.svg'
_PLOT_SIZE = (400, 380)  # Of each plot of the SVG, in pixels.
_FLOAT = ('none', 'fp16', None)


def write(
  directory: str,
  records: Iterable[ModelRecord],
  published: Sequence[Published] = (),
  title: str = 'Accuracy against cost',
  axis: str = 'latency_ms',
) -> list[str]:
  """Writes frontier.html, frontier.md and frontier.svg, each whole or not at all; returns their paths.

  Args:
    directory: where to; made where it does not exist.
    records: what was measured.
    published: what others have published.
    title: heading.
    axis: of `models.AXES`, the cost that the page shows first.

  Raises:
    RecordError: records that do not go together.
    ValueError: there is no record, or no such axis.
  """
  models = models_lib.gather(records)
  if not models:
    raise ValueError('there are no records to report.')
  if axis not in AXES:
    raise ValueError(f'axis {axis!r} is not one of {", ".join(AXES)}.')
  settings = models_lib.settings(models)
  texts = {
    SVG: draw(models, settings[0], published).svg(),
    MARKDOWN: table.markdown(title, models, settings, published),
    HTML: report.render(gather(models, settings, published, title, axis)),
  }
  paths = {name: os.path.join(directory, name) for name in texts}
  for name, text in texts.items():
    whole_file.write_text(paths[name], text)
  return list(paths.values())


def draw(models: Sequence[Model], setting: str, published: Sequence[Published]) -> charts.Chart:
  """Draws AP over each cost of the printed axes.

  Args:
    models: what was measured; those without AP are not drawn.
    setting: whose latencies are drawn.
    published: what others have published.
  """
  plots = [_plot(models, axis, setting, published, '\n') for axis in table.SHOWN]
  width, height = _PLOT_SIZE
  return trade_off.draw(plots, _families(models), width * len(plots), height)


def gather(
  models: Sequence[Model], settings: Sequence[str], published: Sequence[Published], title: str, axis: str
) -> report.FrontierReport:
  """Gathers what the page shows.

  Args:
    models: what was measured.
    settings: where models were timed, that of most models first.
    published: what others have published.
    title: heading.
    axis: the cost that the page shows first.
  """
  plots = {}
  for key in AXES:
    for setting in settings if key == 'latency_ms' else settings[:1]:
      name = f'{key}@{setting}' if key == 'latency_ms' else key
      plots[name] = _plot(models, key, setting, published)
  times = []
  for setting in settings:
    timed = [model.timed[setting] for model in table.by_ap(models) if setting in model.timed]
    rows = [(record.name, _parts(record)) for record in timed if record.parts_ms]
    if rows:
      times.append(report.Times(f'Where the time goes: {setting}', rows, table.PART_NOTE))
  return report.FrontierReport(
    title=title,
    lead=table.lead(models, settings),
    note=table.NOTE,
    axes=AXES,
    settings=settings,
    plots=plots,
    families=_families(models),
    facts=_facts(models, settings, published, axis),
    tables=_tables(models, settings),
    times=times,
    published=_published_table(published) if published else None,
  )


def is_quantized(model: Model) -> bool:
  """Tells whether it computes in integers, or its weights are stored as integers."""
  return model.last.quantization not in _FLOAT


def _families(models: Sequence[Model]) -> list[str]:
  return list(dict.fromkeys(model.last.family for model in models))


def _plot(
  models: Sequence[Model], axis: str, setting: str, published: Sequence[Published], before_setting: str = ' '
) -> trade_off.Plot:
  """Selects what the plot of a cost shows: the models whose AP and cost are known, and published figures."""
  families = _families(models)
  points = [
    trade_off.Point(model.name, cost, 100 * model.ap, families.index(model.last.family), is_quantized(model))
    for model in models
    if model.ap is not None and (cost := model.cost(axis, setting)) is not None
  ]
  others = [trade_off.Point(row.name, row.cost(axis), 100 * row.ap) for row in published if row.cost(axis) is not None]
  name = f'{AXES[axis]}{before_setting}({setting})' if axis == 'latency_ms' else AXES[axis]
  return trade_off.Plot(name, points, models_lib.front(models, axis, setting).names, others)


def _parts(record: ModelRecord) -> dict[str, float]:
  return {part.replace('_', '-'): record.parts_ms[part] for part in PARTS if part in record.parts_ms}


def _facts(
  models: Sequence[Model], settings: Sequence[str], published: Sequence[Published], axis: str
) -> dict[str, Any]:
  """Collects what the page's script says of the model that is pointed at."""
  common = models_lib.common_facts(models)
  fronts = {}
  for key in AXES:
    for setting in settings if key == 'latency_ms' else settings[:1]:
      found = models_lib.front(models, key, setting)
      name = f'{key}@{setting}' if key == 'latency_ms' else key
      fronts[name] = {'names': list(found.names), 'beaten_by': dict(found.beaten_by)}
  rows = []
  for model in models:
    metrics = model.evaluated.metrics if model.evaluated else {}
    facts = {key: value for key, value in model.last.facts.items() if key not in common}
    rows.append(
      {
        'name': model.name,
        'quantized': is_quantized(model),
        'ap': None if model.ap is None else 100 * model.ap,
        'ap50': 100 * metrics['AP50'] if 'AP50' in metrics else None,
        'cost': {key: model.cost(key, '') for key in AXES if key != 'latency_ms'},
        'timed': {
          setting: {
            'typical': record.latency_ms.typical,
            'p90': record.latency_ms.p90,
            'first': record.latency_ms.first,
          }
          for setting, record in model.timed.items()
        },
        'facts': ', '.join(f'{key.replace("_", " ")} {value}' for key, value in facts.items()),
      }
    )
  others = [{**vars(row), 'ap': 100 * row.ap} for row in published]
  kept = {'axes': AXES, 'axis': axis, 'settings': list(settings), 'fronts': fronts}
  return {**kept, 'models': rows, 'published': others}


def _tables(models: Sequence[Model], settings: Sequence[str]) -> list[report.Table]:
  """Tabulates all models, and the dominated ones with what dominates them."""
  ordered = table.by_ap(models)
  fronts = {axis: models_lib.front(models, axis, settings[0]) for axis in table.SHOWN}
  header = ['model', 'AP', 'AP50', 'input', *AXES.values(), 'p90, ms', 'first, ms', 'memory, MB', 'format']
  rows = []
  for model in ordered:
    cells = [model.name, *table.accuracy(model), table.input_size(model)]
    cells += [table.marked(model, axis, settings[0], fronts) for axis in AXES]
    form = ' '.join(filter(None, [model.last.form, model.last.quantization if is_quantized(model) else '']))
    rows.append([*cells, *map(page.number, table.details(model, settings[0])), form])
  found = [report.Table('Models', header, rows, 'Click on a heading to sort.')]
  names, beaten = table.beaten(ordered, fronts)
  if beaten:
    found.append(report.Table('Dominated models', names, beaten, text_columns=range(len(names))))
  return found


def _published_table(published: Sequence[Published]) -> report.Table:
  rows = [[*table.published_cells(row), page.link(row.url, row.source)] for row in published]
  return report.Table('Published', table.PUBLISHED_HEADER, rows, table.PUBLISHED_NOTE, (0, 7))
