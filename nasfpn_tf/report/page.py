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
from collections.abc import Mapping, Sequence

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #fff; --ink: #1b2330; --soft: #5c6675; --line: #dfe3e9; --accent: #2456c9;
  --s1: #2456c9; --s2: #d0661a; --s3: #17865c; --s4: #8c3fb5; --good: #17865c; --bad: #c8342b; --truth: #b57900;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161d; --card: #1a2029; --ink: #e8ecf2; --soft: #9aa5b5; --line: #2d3643; --accent: #7fa6ff;
    --s1: #7fa6ff; --s2: #ffa261; --s3: #56cf9d; --s4: #cf94f2; --good: #56cf9d; --bad: #ff7d73; --truth: #f0c04a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1rem 4rem; }
header { margin: 0 0 1.5rem; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .7rem; }
p { margin: 0 0 .8rem; max-width: 75ch; }
.soft, figcaption, .note { color: var(--soft); }
.note { font-size: .88rem; margin: .7rem 0 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.2rem;
  margin: 0 0 1rem; }
.tiles { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); margin: 0 0 1rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .86rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .45rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: break-word; }
th:first-child, td:first-child { white-space: nowrap; }
th { font-size: .84rem; color: var(--soft); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
pre { margin: 0 0 .9rem; padding: .9rem 1rem; background: var(--ground); border: 1px solid var(--line);
  border-radius: 8px; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
details > summary { cursor: pointer; color: var(--accent); margin: .2rem 0 .6rem; }
figure { margin: 0; }
figcaption { font-size: .84rem; margin-top: .3rem; }
.pair { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
svg { display: block; }
.chart { width: 100%; height: auto; }
.chart text { fill: var(--soft); font-size: 13px; font-family: inherit; }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.chart .dots { fill: none; stroke-width: 4.5; stroke-linecap: round; opacity: .45; }
.chart .faint { fill: none; stroke-width: 1; opacity: .3; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .86rem; color: var(--soft); margin: 0 0 .5rem; }
.legend i { display: inline-block; width: .85rem; height: .2rem; border-radius: 2px; margin-right: .4rem;
  vertical-align: middle; background: currentColor; }
.legend i.dashed { background: none; height: 0; border-radius: 0; border-top: 2px dashed currentColor; }
.s1 { stroke: var(--s1); color: var(--s1); } .s2 { stroke: var(--s2); color: var(--s2); }
.s3 { stroke: var(--s3); color: var(--s3); } .s4 { stroke: var(--s4); color: var(--s4); }
.truth { color: var(--truth); } .good { color: var(--good); } .bad { color: var(--bad); }
.bar { display: inline-block; height: .6rem; border-radius: 3px; background: var(--accent); vertical-align: middle; }
.drawing { overflow-x: auto; background: #fff; border-radius: 8px; padding: .8rem; }
.drawing svg { margin: 0 auto; max-width: 100%; min-width: 36rem; height: auto; }
"""


class Raw(str):
  """Text that is HTML already and is not escaped again."""


def escape(text: object) -> str:
  """Text for HTML: everything but `Raw` is escaped."""
  return text if isinstance(text, Raw) else html.escape(str(text))


def page(title: str, lead: str, body: Sequence[str], style: str = '') -> str:
  """A whole HTML document that needs no other file.

  Args:
    title: heading and window title.
    lead: one or two sentences under the heading.
    body: the blocks of the page, HTML, from top to bottom.
    style: more CSS.
  """
  blocks = '\n'.join(body)
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style></head>\n'
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
