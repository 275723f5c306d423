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

"""Builds the page layout of every report: sections, tables, headline figures."""

from collections.abc import Mapping, Sequence

from nasfpn_tf.report.templates import Raw, asset, escape, fill, join

__all__ = ['Raw', 'asset', 'code', 'escape', 'folded', 'page', 'section', 'table', 'tiles']

ABSENT = '\u2013'


def page(title: str, lead: str, body: Sequence[str], styles: Sequence[str] = ()) -> Raw:
  """Builds a whole HTML document that needs no other file.

  Args:
    title: heading and window title.
    lead: one or two sentences under the heading.
    body: the blocks of the page from top to bottom.
    styles: names of style sheets besides 'page.css'.
  """
  style = join(map(asset, ('page.css', *styles)))
  return Raw(fill('page.document', title=title, lead=lead, style=style, blocks=_lines(body)) + '\n')


def section(title: str, *blocks: str, note: str = '') -> Raw:
  """Builds a card with a heading, blocks, and a note in small print."""
  foot = fill('page.note', text=note) if note else ''
  return fill('page.section', title=title, blocks=_lines(blocks), note=foot)


def tiles(values: Mapping[str, str]) -> Raw:
  """Builds the headline figures: what it is -> the figure."""
  return fill('page.tiles', tiles=[fill('page.tile', name=name, value=value) for name, value in values.items()])


def table(
  header: Sequence[object],
  rows: Sequence[Sequence[object]],
  text_columns: Sequence[int] = (0,),
  kind: str = 'plain',
  named: bool = False,
) -> Raw:
  """Builds a table.

  Args:
    header: heading of each column.
    rows: cells of each row.
    text_columns: columns that are left-aligned and may wrap; the others are figures.
    kind: class of the table for style sheets and scripts.
    named: whether scripts find a row by the text of its first cell.
  """

  def line(cells: Sequence[object], what: str) -> list[Raw]:
    kinds = [f'page.text_{what}' if number in text_columns else f'page.{what}' for number in range(len(cells))]
    return [fill(template, text=cell) for template, cell in zip(kinds, cells, strict=True)]

  built = [
    fill('page.named_row', name=row[0], cells=line(row, 'cell')) if named else fill('page.row', cells=line(row, 'cell'))
    for row in rows
  ]
  return fill('page.table', kind=kind, header=line(header, 'heading'), rows=_lines(built))


def code(text: str) -> Raw:
  """Builds preformatted text: commands, configuration."""
  return fill('page.code', text=text.strip())


def folded(summary: str, content: str) -> Raw:
  """Builds a block that unfolds when its summary is clicked; `content` is a block."""
  return fill('page.folded', summary=summary, content=content)


def link(url: str, text: str) -> Raw:
  """Builds a link."""
  return fill('page.link', url=url, text=text)


def number(value: float | None) -> str:
  """Writes three or four digits; '' for None."""
  return '' if value is None else f'{value:.0f}' if value >= 1000 else f'{value:.3g}' if value < 100 else f'{value:.1f}'


def _lines(blocks: Sequence[str]) -> Raw:
  return Raw('\n'.join(map(escape, blocks)))
