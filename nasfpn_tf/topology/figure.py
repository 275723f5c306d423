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

"""Draws a topology as a self-contained SVG figure in the manner of fig. 6 of arXiv 1904.07392.

A row for each level, coarsest on top; a column for each cell, so that every arrow runs from left to right.
"""

from collections.abc import Iterator

from nasfpn_tf.topology import figure_parts, ops
from nasfpn_tf.topology.figure_routes import (
  BOX_GAP,
  BOX_WIDTH,
  HEIGHT,
  INPUT_X,
  MARGIN,
  PILL_WIDTH,
  PLUS_RADIUS,
  RADIUS,
  ROW,
  TOP,
  Arrow,
  Layout,
  Point,
  arrows,
  route,
)
from nasfpn_tf.topology.spec import PyramidSpec

_CORNER = 9
_LEGEND_LINE = 26

_INK, _LINE, _ATTENTION, _RESIDUAL = figure_parts.INK, figure_parts.LINE, '#d9541e', '#7a4bb0'
_FILLS = {'input': figure_parts.INPUT, 'cell': figure_parts.INNER, 'output': figure_parts.OUTPUT}
_CELL = 'ReLU, 3x3 conv, BN'


def svg(spec: PyramidSpec, residual: bool = False) -> str:
  """Draws the pyramid as the text of an SVG file: inputs left, merging cells in order, outputs right.

  Args:
    spec: the topology.
    residual: whether output cells add the pyramid's input of their level, as in residual stacks.
  """
  layout = Layout(spec, residual)
  width = layout.column_x(len(spec.cells)) + PILL_WIDTH + MARGIN
  found = arrows(layout)
  legend, legend_bottom = _legend(spec, found, width, TOP + ROW * spec.num_levels + 24)
  height = legend_bottom + 20
  markers = {'arrow': _LINE, 'attention': _ATTENTION, **({'residual': _RESIDUAL} if residual else {})}
  parts = [
    figure_parts.text(MARGIN, 34, spec.name, size=17, anchor='start', weight='bold'),
    *_rows(layout, width),
    *_paths(layout, found),
    *_features(layout),
    *legend,
  ]
  definitions = [_marker(marker, color) for marker, color in markers.items()]
  return figure_parts.document(f'Feature pyramid {spec.name}', width, height, parts, definitions)


def _rounded(points: list[Point]) -> str:
  """Returns SVG path data of a polyline with rounded corners."""
  data = [f'M{points[0][0]:g} {points[0][1]:g}']
  for before, corner, after in zip(points, points[1:], points[2:], strict=False):
    entry = _toward(corner, before)
    leave = _toward(corner, after)
    data.append(f'L{entry[0]:.1f} {entry[1]:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {leave[0]:.1f} {leave[1]:.1f}')
  data.append(f'L{points[-1][0]:.1f} {points[-1][1]:.1f}')
  return ''.join(data)


def _toward(corner: Point, other: Point) -> Point:
  """Returns the point at a corner's radius from it, at most half way to the next one."""
  dx, dy = other[0] - corner[0], other[1] - corner[1]
  length = abs(dx) + abs(dy)  # All pieces are horizontal or vertical.
  part = min(_CORNER, length / 2) / length if length else 0.0
  return corner[0] + dx * part, corner[1] + dy * part


def _paths(layout: Layout, found: list[Arrow]) -> Iterator[str]:
  """Draws the arrows feature by feature, each over a white rim so that crossings read as crossings."""
  for feature in range(layout.spec.num_features):
    mine = [(arrow, _rounded(route(layout, arrow))) for arrow in found if arrow.source == feature]
    for _, data in mine:
      yield f'<path d="{data}" fill="none" stroke="#ffffff" stroke-width="5"/>'
    for arrow, data in mine:
      yield _line(arrow, data)


def _features(layout: Layout) -> Iterator[str]:
  """Draws input pills, cells (operation, convolution and, in residual stacks, the sum behind it) and output pills."""
  spec = layout.spec
  for feature, level in enumerate(spec.levels):
    y = layout.row_y(level)
    yield _box('input', INPUT_X - PILL_WIDTH / 2, y, PILL_WIDTH, f'P{level}', round_corner=HEIGHT / 2)
    yield figure_parts.text(INPUT_X - 12, y - HEIGHT / 2 - 6, str(feature), size=10, color=figure_parts.GREY)
    out_x = layout.column_x(len(spec.cells)) - PILL_WIDTH / 2
    yield _box('output', out_x, y, PILL_WIDTH, f'P{level}', round_corner=HEIGHT / 2)
  for index, cell in enumerate(spec.cells):
    x, y = layout.column_x(index), layout.row_y(cell.level)
    yield f'<path d="M{x + RADIUS:g} {y:g}h{BOX_GAP}" stroke="{_LINE}" stroke-width="1.6"/>'
    yield _operation(ops.get(cell.op), x, y)
    feature = spec.num_levels + index
    yield _box('output' if cell.is_output else 'cell', layout.box_x(index), y, BOX_WIDTH, str(feature), round_corner=5)
    plus = layout.plus_x(index)
    if plus is not None:
      yield f'<path d="M{layout.box_x(index) + BOX_WIDTH:g} {y:g}h{BOX_GAP}" stroke="{_LINE}" stroke-width="1.6"/>'
      yield _plus(plus, y, PLUS_RADIUS, _RESIDUAL)


def _rows(layout: Layout, width: float) -> Iterator[str]:
  for level in layout.spec.levels:
    y = layout.row_y(level)
    if (layout.spec.max_level - level) % 2 == 0:
      yield f'<rect y="{y - ROW / 2:g}" width="{width:g}" height="{ROW}" fill="#f8f9fb"/>'
    yield figure_parts.text(MARGIN, y + 4, f'1/{2**level}', size=12, color=figure_parts.GREY, anchor='start')


def _legend(spec: PyramidSpec, found: list[Arrow], width: float, y: float) -> tuple[list[str], float]:
  """Draws the legend of the symbols that occur, in as many lines as needed; also returns the y of the last line."""
  signs = [(_swatch(kind), word) for kind, word in (('input', 'input'), ('cell', _CELL), ('output', 'output'))]
  signs += [
    (_operation(op, 12, 0, radius=10), op.meaning)
    for op in ops.MERGE_OPS
    if any(cell.op == op.name for cell in spec.cells)
  ]
  for key, word in (
    ('attention', 'gives the attention'),
    ('joined', 'unused so far, joined'),
    ('residual', 'input added to the output'),
  ):
    if any(getattr(arrow, key) for arrow in found):
      signs.append((_line(Arrow(0, 0, 0, **{key: True})), word))
  x, parts = float(MARGIN), []
  for sign, word in signs:
    length = 34 + 6 * len(word)
    if x + length > width:
      x, y = float(MARGIN), y + _LEGEND_LINE
    parts.append(
      f'<g transform="translate({x:g} {y:g})">{sign}{figure_parts.text(31, 4, word, size=12, anchor="start")}</g>'
    )
    x += length + 16
  return parts, y


def _swatch(kind: str) -> str:
  color, rim = _FILLS[kind]
  return f'<rect x="2" y="-7" width="22" height="14" rx="4" fill="{color}" stroke="{rim}"/>'


def _line(arrow: Arrow, data: str = 'M0 0h26') -> str:
  dashes = ' stroke-dasharray="5 4"' if arrow.joined else ' stroke-dasharray="2 3"' if arrow.residual else ''
  marker = 'residual' if arrow.residual else 'attention' if arrow.attention else 'arrow'
  color = _RESIDUAL if arrow.residual else _LINE
  return f'<path d="{data}" fill="none" stroke="{color}" stroke-width="1.6"{dashes} marker-end="url(#{marker})"/>'


def _operation(op: ops.MergeOp, x: float, y: float, radius: float = RADIUS) -> str:
  if op.figure_symbol == '+':
    return _plus(x, y, radius, _INK)
  return _circle(x, y, radius, _INK) + figure_parts.text(x, y + 3.8, op.figure_symbol, size=11, weight='bold')


def _plus(x: float, y: float, radius: float, color: str) -> str:
  arm = max(radius - 5, 4)
  data = f'M{x - arm:g} {y:g}h{2 * arm:g}M{x:g} {y - arm:g}v{2 * arm:g}'
  return _circle(x, y, radius, color) + f'<path d="{data}" stroke="{color}" stroke-width="1.6"/>'


def _circle(x: float, y: float, radius: float, color: str) -> str:
  return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="#ffffff" stroke="{color}" stroke-width="1.4"/>'


def _box(kind: str, x: float, y: float, width: float, words: str, round_corner: float) -> str:
  color, rim = _FILLS[kind]
  return (
    f'<rect x="{x:g}" y="{y - HEIGHT / 2:g}" width="{width:g}" height="{HEIGHT}" rx="{round_corner:g}" fill="{color}"'
    f' stroke="{rim}" stroke-width="1.4"/>' + figure_parts.text(x + width / 2, y + 5, words, size=14)
  )


def _marker(name: str, color: str) -> str:
  return (
    f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" orient="auto"'
    f' markerUnits="userSpaceOnUse"><path d="M0 1L9.5 5L0 9z" fill="{color}"/></marker>'
  )
