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

"""Draws a scale-permuted backbone as a self-contained SVG figure, in the manner of fig. 1 of arXiv 1912.05027.

A row for each level, coarsest on top; a column for each block in order, so that every line runs from left to right.
"""

from collections.abc import Iterator

from nasfpn_tf.topology import figure_parts
from nasfpn_tf.topology.spinenet import STEM_LEVELS, SpineNetSpec

_MARGIN, _TOP, _ROW, _COLUMN = 24, 50, 58, 52
_FIRST = 92  # x of the first block's middle.
_HALF_WIDTH, _HALF_HEIGHT = 17, 14
_FILLS = {'stem': figure_parts.INPUT, 'inner': figure_parts.INNER, 'output': figure_parts.OUTPUT}
_LEGEND = (
  ('bottleneck', 'stem', 'stem'),
  ('bottleneck', 'inner', 'bottleneck block'),
  ('residual', 'inner', 'residual block'),
  ('bottleneck', 'output', 'output of its level'),
)


def svg(spec: SpineNetSpec) -> str:
  """Draws the backbone as the text of an SVG file; blocks that lead to no output are pale."""
  levels = [*STEM_LEVELS, *(block.level for block in spec.blocks)]
  kinds = ['bottleneck'] * len(STEM_LEVELS) + [block.block for block in spec.blocks]
  top = max(levels)
  places = [(_FIRST + _COLUMN * i, _TOP + _ROW * (top - level) + _ROW / 2) for i, level in enumerate(levels)]
  bottom = _TOP + _ROW * (top - min(levels) + 1)
  width, height = max(_FIRST + _COLUMN * len(levels), 620), bottom + 46
  parts = [figure_parts.text(_MARGIN, 32, spec.name, 17, anchor='start')]
  for level in range(min(levels), top + 1):
    y = _TOP + _ROW * (top - level)
    parts += [f'<rect y="{y}" width="{width}" height="{_ROW}" fill="#f8f9fb"/>'] if (top - level) % 2 == 0 else []
    parts.append(figure_parts.text(_MARGIN, y + _ROW / 2 + 4, f'1/{2**level}', 12, figure_parts.GREY, 'start'))
  parts += _lines(spec, places)
  for index, (kind, (x, y)) in enumerate(zip(kinds, places, strict=True)):
    role = 'stem' if index < len(STEM_LEVELS) else 'inner'
    role = 'output' if index in spec.outputs.values() else role
    pale = ' opacity="0.35"' if index in spec.unused else ''
    parts.append(f'<g{pale}>{_block(kind, role, x, y)}{figure_parts.text(x, y + 4.5, str(index), 13)}</g>')
  x = float(_MARGIN + _HALF_WIDTH)
  for kind, role, words in _LEGEND:
    parts += [
      _block(kind, role, x, bottom + 23),
      figure_parts.text(x + _HALF_WIDTH + 8, bottom + 27, words, 12, anchor='start'),
    ]
    x += 2 * _HALF_WIDTH + 24 + 6.2 * len(words)
  return figure_parts.document(f'Backbone {spec.name}', width, height, parts)


def _lines(spec: SpineNetSpec, places: list[tuple[float, float]]) -> Iterator[str]:
  """Draws each feature's line to a block that sums it; dashed if it joins because it is unused."""
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
      yield f'<path d="{path}" fill="none" stroke="{figure_parts.LINE}" stroke-width="1.4"{dashes}{pale}/>'


def _block(kind: str, role: str, x: float, y: float) -> str:
  """Draws a rectangle for a bottleneck block, a diamond for a residual one."""
  color, rim = _FILLS[role]
  style = f'fill="{color}" stroke="{rim}" stroke-width="1.4"'
  if kind == 'residual':
    w, h = _HALF_WIDTH, _HALF_HEIGHT + 4
    return f'<path d="M{x - w:g} {y:g}L{x:g} {y - h:g}L{x + w:g} {y:g}L{x:g} {y + h:g}z" {style}/>'
  size = f'width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}"'
  return f'<rect x="{x - _HALF_WIDTH:g}" y="{y - _HALF_HEIGHT:g}" {size} rx="4" {style}/>'
