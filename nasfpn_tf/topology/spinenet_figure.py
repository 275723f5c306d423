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

"""A scale-permuted backbone as a self-contained SVG figure, in the manner of fig. 1 of arXiv 1912.05027.

A row for each level, coarsest on top; a column for each block in order, so that every line runs from left to right.
"""

import html
from collections.abc import Iterator

from nasfpn_tf.topology.spinenet import STEM_LEVELS, SpineNetSpec

_MARGIN, _TOP, _ROW, _COLUMN = 24, 50, 58, 52
_FIRST = 92  # x of the first block's middle.
_HALF_WIDTH, _HALF_HEIGHT = 17, 14
_INK, _LINE, _GREY = '#22303c', '#5b6b79', '#7a8794'
_FILLS = {'stem': ('#fdeebf', '#d8a72c'), 'inner': ('#eef1f4', '#8a98a5'), 'output': ('#cfe3f8', '#3f7fbf')}
_LEGEND = (
  ('bottleneck', 'stem', 'stem'),
  ('bottleneck', 'inner', 'bottleneck block'),
  ('residual', 'inner', 'residual block'),
  ('bottleneck', 'output', 'output of its level'),
)


def svg(spec: SpineNetSpec) -> str:
  """The backbone as the text of an SVG file; blocks that lead to no output are pale."""
  levels = [*STEM_LEVELS, *(block.level for block in spec.blocks)]
  kinds = ['bottleneck'] * len(STEM_LEVELS) + [block.block for block in spec.blocks]
  top = max(levels)
  places = [(_FIRST + _COLUMN * i, _TOP + _ROW * (top - level) + _ROW / 2) for i, level in enumerate(levels)]
  bottom = _TOP + _ROW * (top - min(levels) + 1)
  width, height = max(_FIRST + _COLUMN * len(levels), 620), bottom + 46
  parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ' font-family="Helvetica, Arial, sans-serif" text-anchor="middle">',
    f'<title>Backbone {html.escape(spec.name)}</title>',
    f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    _text(_MARGIN, 32, html.escape(spec.name), 17, 'start'),
  ]
  for level in range(min(levels), top + 1):
    y = _TOP + _ROW * (top - level)
    parts += [f'<rect y="{y}" width="{width}" height="{_ROW}" fill="#f8f9fb"/>'] if (top - level) % 2 == 0 else []
    parts.append(_text(_MARGIN, y + _ROW / 2 + 4, f'1/{2**level}', 12, 'start', _GREY))
  parts += _lines(spec, places)
  for index, (kind, (x, y)) in enumerate(zip(kinds, places, strict=True)):
    role = 'stem' if index < len(STEM_LEVELS) else 'inner'
    role = 'output' if index in spec.outputs.values() else role
    pale = ' opacity="0.35"' if index in spec.unused else ''
    parts.append(f'<g{pale}>{_block(kind, role, x, y)}{_text(x, y + 4.5, str(index), 13)}</g>')
  x = float(_MARGIN + _HALF_WIDTH)
  for kind, role, words in _LEGEND:
    parts += [_block(kind, role, x, bottom + 23), _text(x + _HALF_WIDTH + 8, bottom + 27, words, 12, 'start')]
    x += 2 * _HALF_WIDTH + 24 + 6.2 * len(words)
  return '\n'.join([*parts, '</svg>']) + '\n'


def _lines(spec: SpineNetSpec, places: list[tuple[float, float]]) -> Iterator[str]:
  """Each feature on its way to a block that sums it; dashed where it joins because nothing has used it."""
  for index, (block, sources) in enumerate(zip(spec.blocks, spec.wiring(), strict=True), start=len(STEM_LEVELS)):
    end_x, end_y = places[index][0] - _HALF_WIDTH, places[index][1]
    for source in sources:
      x, y = places[source][0] + _HALF_WIDTH, places[source][1]
      # A feature that passes over blocks of its own row bows around them.
      bow = 0.62 * _ROW if y == end_y and index - source > 1 else 0.0
      reach = max(18.0, (end_x - x) / 2)
      path = f'M{x:g} {y:g}C{x + reach:g} {y - bow:g} {end_x - reach:g} {end_y - bow:g} {end_x:g} {end_y:g}'
      dashes = '' if source in block.parents else ' stroke-dasharray="5 4"'
      pale = ' opacity="0.35"' if index in spec.unused else ''
      yield f'<path d="{path}" fill="none" stroke="{_LINE}" stroke-width="1.4"{dashes}{pale}/>'


def _block(kind: str, role: str, x: float, y: float) -> str:
  """A rectangle for a bottleneck block, a diamond for a residual one."""
  color, rim = _FILLS[role]
  style = f'fill="{color}" stroke="{rim}" stroke-width="1.4"'
  if kind == 'residual':
    w, h = _HALF_WIDTH, _HALF_HEIGHT + 4
    return f'<path d="M{x - w:g} {y:g}L{x:g} {y - h:g}L{x + w:g} {y:g}L{x:g} {y + h:g}z" {style}/>'
  size = f'width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}"'
  return f'<rect x="{x - _HALF_WIDTH:g}" y="{y - _HALF_HEIGHT:g}" {size} rx="4" {style}/>'


def _text(x: float, y: float, words: str, size: int, anchor: str = '', color: str = _INK) -> str:
  extra = f' text-anchor="{anchor}"' if anchor else ''
  return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}"{extra}>{words}</text>'
