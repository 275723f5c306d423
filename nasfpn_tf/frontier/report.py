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

"""The report of a frontier: an HTML page that needs no other file, an SVG and a Markdown document."""

import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from nasfpn_tf.frontier import models as models_lib
from nasfpn_tf.frontier import plot, table
from nasfpn_tf.frontier.models import AXES, Model
from nasfpn_tf.frontier.published import Published
from nasfpn_tf.frontier.record import PARTS, ModelRecord
from nasfpn_tf.report import page

HTML, MARKDOWN, SVG = 'frontier.html', 'frontier.md', 'frontier.svg'
_ABSENT = page.Raw('&ndash;')


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
    published: what others have.
    title: heading.
    axis: of `models.AXES`, which the page shows first.

  Raises:
    RecordError: records that do not go together.
    ValueError: there is no record, or no such axis.
  """
  models = models_lib.gather(records)
  if not models:
    raise ValueError('there is no record to report.')
  if axis not in AXES:
    raise ValueError(f'axis {axis!r} is not one of {", ".join(AXES)}.')
  settings = models_lib.settings(models)
  texts = {
    SVG: plot.svg(models, settings[0], published),
    MARKDOWN: table.markdown(title, models, settings, published),
    HTML: render(models, settings, published, title, axis),
  }
  os.makedirs(directory, exist_ok=True)
  paths = []
  for name, text in texts.items():
    path = pathlib.Path(directory) / name
    temporary = path.with_suffix('.partial')
    temporary.write_text(text, encoding='utf-8')
    temporary.replace(path)
    paths.append(str(path))
  return paths


def render(
  models: Sequence[Model], settings: Sequence[str], published: Sequence[Published], title: str, axis: str
) -> str:
  """The page."""
  blocks = [page.section('AP over cost', _chart(models, settings, published, axis), note=table.NOTE)]
  blocks += _models_tables(models, settings)
  for setting in settings:
    if any(setting in model.timed and model.timed[setting].parts_ms for model in models):
      blocks.append(page.section(f'Where the time goes: {setting}', _split(models, setting), note=table.PART_NOTE))
  if published:
    blocks.append(page.section('Published', _published_table(published), note=table.PUBLISHED_NOTE))
  blocks.append(f'<script>\n{page.asset("frontier.js")}</script>')
  return page.page(title, table.lead(models, settings), blocks, ('frontier.css',))


def _chart(models: Sequence[Model], settings: Sequence[str], published: Sequence[Published], axis: str) -> str:
  options = ''.join(f'<option value="{key}">{page.escape(label)}</option>' for key, label in AXES.items())
  controls = [
    f'<label>cost <select id="axis">{options}</select></label>',
    '<label>timed on <select id="setting"></select></label>',
    '<label><input type="checkbox" id="log"> logarithmic</label>',
  ]
  if published:
    controls.append('<label><input type="checkbox" id="published"> published figures (COCO, right axis)</label>')
  legend = [
    f'<span><i class="swatch" style="background:{color}"></i>{page.escape(name)}</span>'
    for name, color in plot.families(models).items()
    if name
  ]
  if any(plot.is_quantized(model) for model in models):
    legend.append('<span><i class="swatch square" style="background:var(--soft)"></i>square: quantised</span>')
  if published:
    legend.append('<span><i class="swatch hollow"></i>published</span>')
  data = json.dumps(_data(models, settings, published, axis)).replace('<', '\\u003c')
  return (
    f'<div class="controls">{"".join(controls)}</div><div class="legend">{"".join(legend)}</div>'
    '<div class="chart-frame"><svg id="frontier" viewBox="0 0 900 470" role="img" aria-label="AP over cost"></svg>'
    '<div id="tip" role="status"></div></div>'
    '<noscript><p class="note">The chart needs JavaScript; frontier.svg shows the same.</p></noscript>'
    f'<script type="application/json" id="data">{data}</script>'
  )


def _data(
  models: Sequence[Model], settings: Sequence[str], published: Sequence[Published], axis: str
) -> dict[str, Any]:
  """What the script draws."""
  colors, common = plot.families(models), models_lib.common_facts(models)
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
        'color': colors[model.last.family],
        'quantised': plot.is_quantized(model),
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


def _models_tables(models: Sequence[Model], settings: Sequence[str]) -> list[str]:
  """All models, and the dominated ones with what beats them."""
  ordered = table.by_ap(models)
  fronts = {axis: models_lib.front(models, axis, settings[0]) for axis in table.SHOWN}
  header = ['model', 'AP', 'AP50', 'input', *AXES.values(), 'p90, ms', 'first, ms', 'memory, MB', 'form']
  rows = []
  for model in ordered:
    cells = [model.name, *table.accuracy(model), table.input_size(model)]
    cells += [table.marked(model, axis, settings[0], fronts) for axis in AXES]
    rows.append([*cells, *map(table.number, table.details(model, settings[0])), _form(model)])
  names, beaten = table.beaten(ordered, fronts)
  blocks = [page.section('Models', _sortable(header, rows), note='A click on a heading sorts.')]
  if beaten:
    blocks.append(page.section('What beats what', _sortable(names, beaten, range(len(names)))))
  return blocks


def _form(model: Model) -> str:
  return ' '.join(filter(None, [model.last.form, model.last.quantization if plot.is_quantized(model) else '']))


def _published_table(published: Sequence[Published]) -> str:
  header = ['model', 'AP', 'split', 'multiply-adds, G', 'parameters, M', 'ms', 'device', 'source']
  rows = []
  for row in published:
    link = page.Raw(f'<a href="{page.escape(row.url)}">{page.escape(row.source)}</a>')
    numbers = map(table.number, (row.multiply_adds_g, row.params_m, row.latency_ms))
    rows.append([row.name, f'{100 * row.ap:.1f}', row.split, *numbers, row.device, link])
  return _sortable(header, rows, (0, 7))


def _sortable(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: Sequence[int] = (0,)) -> str:
  """A table whose headings sort it; its rows are found by the name in their first cell."""

  def line(cells: Sequence[str], tag: str) -> str:
    kinds = [' class="text"' if column in text_columns else '' for column in range(len(cells))]
    shown = [page.escape(cell).replace('●', '<span class="best">●</span>') if cell else _ABSENT for cell in cells]
    return ''.join(f'<{tag}{kind}>{cell}</{tag}>' for kind, cell in zip(kinds, shown, strict=True))

  body = '\n'.join(f'<tr data-model="{page.escape(row[0])}">{line(row, "td")}</tr>' for row in rows)
  head = f'<thead><tr>{line(header, "th")}</tr></thead>'
  return f'<div class="scroll"><table class="sortable">{head}\n<tbody>{body}</tbody></table></div>'


def _split(models: Sequence[Model], setting: str) -> str:
  """A bar for each model, of the length of its time, in the colours of its parts."""
  timed = [model.timed[setting] for model in table.by_ap(models) if setting in model.timed]
  timed = [record for record in timed if record.parts_ms]
  longest = max(sum(record.parts_ms.values()) for record in timed)
  legend = ''.join(
    f'<span><i class="swatch square part{index}"></i>{part.replace("_", "-")}</span>'
    for index, part in enumerate(PARTS)
  )
  rows = []
  for record in timed:
    bars = ''.join(
      f'<span class="part{PARTS.index(part)}" style="width:{100 * ms / longest:.2f}%"'
      f' title="{part.replace("_", "-")}: {table.number(ms)} ms"></span>'
      for part, ms in record.parts_ms.items()
    )
    total = table.number(sum(record.parts_ms.values()))
    parts = ' + '.join(table.number(record.parts_ms.get(part, 0.0)) for part in PARTS)
    name = page.escape(record.name)
    rows.append(f'<span>{name}</span><span class="bars">{bars}</span><span>{parts} = {total} ms</span>')
  return f'<div class="legend">{legend}</div><div class="split">{"".join(rows)}</div>'
