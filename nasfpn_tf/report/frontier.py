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

"""Builds the page of a frontier: charts of accuracy over each cost, tables, and where the time goes."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.report import page, trade_off
from nasfpn_tf.report.templates import Raw, asset, escape, fill

_SIZE = (900, 470)  # Of a chart, in pixels.
_ON_FRONT = '●'


@dataclasses.dataclass(frozen=True)
class Table:
  """A table that sorts by the heading that is clicked; a cell that ends with ● is on a frontier.

  Attributes:
    title: heading of its section.
    header: heading of each column.
    rows: cells of each row, the name of the model first; '' for what is not known.
    note: small print.
    text_columns: columns of text; the others are figures.
  """

  title: str
  header: Sequence[str]
  rows: Sequence[Sequence[str]]
  note: str = ''
  text_columns: Sequence[int] = (0,)


@dataclasses.dataclass(frozen=True)
class Times:
  """Where the time of models goes: a title, and for each model its name and {part: milliseconds}."""

  title: str
  rows: Sequence[tuple[str, Mapping[str, float]]]
  note: str = ''


@dataclasses.dataclass(frozen=True)
class FrontierReport:
  """Everything that the page shows, as plain data.

  Attributes:
    title: heading.
    lead: one or two sentences under it.
    note: small print under the chart.
    axes: {key of a cost: its name}.
    settings: where models were timed.
    plots: {key of a cost, with '@setting' behind it where it depends on the setting: what is drawn}.
    families: names of the families of models, by the number that points have.
    facts: what the page's script shows of the model that is pointed at, see frontier.js.
    tables: in their order.
    times: likewise, after the tables.
    published: figures of others, after the times; None where there are none.
  """

  title: str
  lead: str
  note: str
  axes: Mapping[str, str]
  settings: Sequence[str]
  plots: Mapping[str, trade_off.Plot]
  families: Sequence[str]
  facts: Mapping[str, Any]
  tables: Sequence[Table]
  times: Sequence[Times]
  published: Table | None = None


def render(report: FrontierReport) -> str:
  """Renders the report as one HTML file that needs no other."""
  blocks = [page.section('AP over cost', _charts(report), note=report.note)]
  blocks += [_section(table) for table in report.tables]
  blocks += [page.section(times.title, _times(times.rows), note=times.note) for times in report.times]
  blocks += [_section(report.published)] if report.published else []
  blocks.append(fill('page.script', text=asset('frontier.js')))
  return page.page(report.title, report.lead, blocks, ('frontier.css',))


def _charts(report: FrontierReport) -> Raw:
  """Draws every chart that the page can show; the script shows one of them."""
  views = []
  for key, plot in report.plots.items():
    if plot.points:
      views.append((key, dataclasses.replace(plot, published=())))
    if plot.published:
      views.append((f'{key}+published', plot))
  first = next((key for key, _ in views if key.partition('@')[0] == report.facts['axis']), '')
  drawn = [
    fill(
      'frontier.view',
      key=key,
      hidden='' if key == first else Raw(' hidden'),
      chart=trade_off.draw([plot], report.families, *_SIZE).inline(f'AP over {plot.cost}'),
    )
    for key, plot in views
  ]
  return fill(
    'frontier.chart',
    axes=[fill('frontier.option', key=key, text=name) for key, name in report.axes.items()],
    settings=[fill('frontier.option', key=setting, text=setting) for setting in report.settings],
    published=fill('frontier.published') if report.published else '',
    views=drawn,
    data=Raw(json.dumps(report.facts).replace('<', '\\u003c')),
  )


def _section(table: Table) -> Raw:
  rows = [[_cell(cell) for cell in row] for row in table.rows]
  built = page.table(table.header, rows, table.text_columns, kind='sortable', named=True)
  return page.section(table.title, built, note=table.note)


def _cell(text: str) -> Raw:
  if text.endswith(_ON_FRONT):
    return Raw(escape(text.removesuffix(_ON_FRONT)) + fill('frontier.best'))
  return escape(text or page.ABSENT)


def _times(rows: Sequence[tuple[str, Mapping[str, float]]]) -> Raw:
  """Draws a bar for each model, of the length of its time, in the colors of its parts."""
  parts = list(dict.fromkeys(part for _, times in rows for part in times))
  longest = max(sum(times.values()) for _, times in rows)
  lines = []
  for name, times in rows:
    bars = [
      fill(
        'frontier.times_bar',
        number=parts.index(part),
        width=f'{100 * ms / longest:.2f}%',
        title=f'{part}: {page.number(ms)} ms',
      )
      for part, ms in times.items()
    ]
    figures = ' + '.join(page.number(times.get(part, 0.0)) for part in parts)
    text = f'{figures} = {page.number(sum(times.values()))} ms'
    lines.append(fill('frontier.times_row', name=name, bars=bars, text=text))
  legend = [fill('frontier.times_name', number=number, part=part) for number, part in enumerate(parts)]
  return fill('frontier.times', legend=legend, rows=lines)
