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

"""The page that every report is printed on: style sheet, sections, tables, tiles."""

import html
import pathlib
from collections.abc import Mapping, Sequence

_ASSETS = pathlib.Path(__file__).parent


class Raw(str):
  """Text that is HTML already and is not escaped again."""


def escape(text: object) -> str:
  """Text for HTML: everything but `Raw` is escaped."""
  return text if isinstance(text, Raw) else html.escape(str(text))


def asset(name: str) -> str:
  """Reads a style sheet or a script that lies beside this module, such as 'frontier.js'."""
  return (_ASSETS / name).read_text(encoding='utf-8')


def page(title: str, lead: str, body: Sequence[str], styles: Sequence[str] = ()) -> str:
  """A whole HTML document that needs no other file.

  Args:
    title: heading and window title.
    lead: one or two sentences under the heading.
    body: the blocks of the page, HTML, from top to bottom.
    styles: names of style sheets besides 'page.css'.
  """
  blocks = '\n'.join(body)
  style = ''.join(map(asset, ('page.css', *styles)))
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'<title>{escape(title)}</title>\n<style>\n{style}</style></head>\n'
    f'<body><main>\n<header><h1>{escape(title)}</h1><p class="soft">{escape(lead)}</p></header>\n'
    f'{blocks}\n</main></body></html>\n'
  )


def section(title: str, *blocks: str, note: str = '') -> str:
  """A card with a heading, HTML blocks, and a small-print note."""
  foot = f'<p class="note">{escape(note)}</p>' if note else ''
  return f'<section><h2>{escape(title)}</h2>\n' + '\n'.join(blocks) + f'{foot}</section>'


def tiles(values: Mapping[str, str]) -> str:
  """Headline figures: what it is -> the figure."""
  cells = ''.join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in values.items())
  return f'<div class="tiles">{cells}</div>'


def table(header: Sequence[object], rows: Sequence[Sequence[object]], text_columns: Sequence[int] = (0,)) -> str:
  """A table; the columns numbered in `text_columns` are left-aligned and may wrap, the others are figures."""

  def line(cells: Sequence[object], tag: str) -> str:
    kinds = [' class="text"' if n in text_columns else '' for n in range(len(cells))]
    return ''.join(f'<{tag}{kind}>{escape(cell)}</{tag}>' for kind, cell in zip(kinds, cells, strict=True))

  body = '\n'.join(f'<tr>{line(row, "td")}</tr>' for row in rows)
  return f'<div class="scroll"><table><thead><tr>{line(header, "th")}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def code(text: str) -> str:
  """Preformatted text: commands, configuration."""
  return f'<pre>{escape(text.strip())}</pre>'


def folded(summary: str, content: str) -> str:
  """HTML that unfolds when its summary is clicked."""
  return f'<details><summary>{escape(summary)}</summary>{content}</details>'
