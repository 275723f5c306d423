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

"""A topology as a self-contained SVG figure in the manner of fig. 6 of arXiv 1904.07392.

A row for each level, coarsest on top; a column for each cell, so that every arrow runs from left to right. Arrows run
along the row of the feature they carry and turn into the cell that merges it; where another cell stands in the way
they leave the row for a lane beside it.
"""

import dataclasses
import html
from collections.abc import Iterator

from nasfpn_tf.topology import ops
from nasfpn_tf.topology.spec import PyramidSpec

_MARGIN, _TOP, _ROW, _COLUMN = 24, 54, 84, 104
_FIRST = 196  # x of the first cell's operation.
_INPUT_X, _PILL_WIDTH, _BOX_WIDTH, _HEIGHT, _RADIUS = 118, 44, 40, 30, 12
_BOX_GAP = 10  # From an operation's circle to the box of its convolution.
_LANES = (26, 34, 42)  # Distances of the lanes from the middle of their row.
_CORNER = 9
_LEGEND_LINE = 26

_INK, _LINE, _ATTENTION = '#22303c', '#5b6b79', '#d9541e'
_FILLS = {'input': ('#fdeebf', '#d8a72c'), 'cell': ('#eef1f4', '#8a98a5'), 'output': ('#cfe3f8', '#3f7fbf')}
_CELL = 'ReLU, 3x3 conv, BN'

_Point = tuple[float, float]


@dataclasses.dataclass
class _Arrow:
  """A feature on its way into a cell, or out of the pyramid when `target` is the number of cells."""

  source: int
  target: int
  level: int  # Level of the row it ends in.
  joined: bool = False
  attention: bool = False
  lane: float = 0.0  # Distance of its run from the middle of the source's row, downwards.
  entry: float = 0.0  # Distance of its last, vertical piece from the target's middle, to the right.


def svg(spec: PyramidSpec) -> str:
  """The pyramid as the text of an SVG file: inputs left, merging cells in order, outputs right."""
  width = _column_x(len(spec.cells)) + _PILL_WIDTH + _MARGIN
  name = html.escape(spec.name)
  arrows = _arrows(spec)
  legend, legend_bottom = _legend(spec, arrows, width, _TOP + _ROW * spec.num_levels + 24)
  height = legend_bottom + 20
  parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    ' font-family="Helvetica, Arial, sans-serif" text-anchor="middle">',
    f'<title>Feature pyramid {name}</title>',
    *(_marker(marker, color) for marker, color in (('arrow', _LINE), ('attention', _ATTENTION))),
    f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
    _text(_MARGIN, 34, name, size=17, anchor='start', weight='bold'),
    *_rows(spec, width),
    *_paths(spec, arrows),
    *_features(spec),
    *legend,
    '</svg>',
  ]
  return '\n'.join(parts) + '\n'


def _column_x(index: int) -> float:
  """x of the operation of cell `index`."""
  return _FIRST + _COLUMN * index


def _row_y(spec: PyramidSpec, level: int) -> float:
  return _TOP + _ROW * (spec.max_level - level) + _ROW / 2


def _box_x(index: int) -> float:
  """Left edge of the convolution's box of cell `index`."""
  return _column_x(index) + _RADIUS + _BOX_GAP


def _exit(spec: PyramidSpec, feature: int) -> _Point:
  """Where arrows leave a feature."""
  y = _row_y(spec, spec.level_of(feature))
  if feature < spec.num_levels:
    return _INPUT_X + _PILL_WIDTH / 2, y
  return _box_x(feature - spec.num_levels) + _BOX_WIDTH, y


def _arrows(spec: PyramidSpec) -> list[_Arrow]:
  """Every arrow of the figure with its route chosen."""
  arrows = []
  for index, (cell, merged) in enumerate(zip(spec.cells, spec.wiring(), strict=True)):
    coarser = max(cell.inputs, key=spec.level_of)  # Of two on one level the first, as the cell itself takes it.
    for feature in merged:
      attention = ops.get(cell.op).has_attention and feature == coarser
      arrows.append(_Arrow(feature, index, cell.level, feature not in cell.inputs, attention))
  arrows += [_Arrow(feature, len(spec.cells), level) for level, feature in spec.outputs.items()]
  _choose_lanes(spec, arrows)
  _choose_entries(spec, arrows)
  return arrows


def _choose_lanes(spec: PyramidSpec, arrows: list[_Arrow]) -> None:
  """Gives arrows whose row is blocked by a cell a lane beside it that no other feature occupies there."""
  taken = []  # ((level, lane), first column, last column, source)
  for arrow in arrows:
    level = spec.level_of(arrow.source)
    begin = arrow.source - spec.num_levels + 1
    if not any(spec.cells[i].level == level for i in range(max(begin, 0), arrow.target)):
      continue
    side = 1 if arrow.level < level else -1
    for lane in [side * lane for lane in _LANES] + [-side * lane for lane in _LANES]:
      clash = any(
        (level, lane) == place and begin <= last and first <= arrow.target and arrow.source != source
        for place, first, last, source in taken
      )
      if not clash:
        break
    arrow.lane = lane
    taken.append(((level, lane), begin, arrow.target, arrow.source))


def _choose_entries(spec: PyramidSpec, arrows: list[_Arrow]) -> None:
  """Spreads the arrows that enter one cell from above, and those from below; the farthest enters rightmost."""
  groups = {}
  for arrow in arrows:
    rise = _row_y(spec, spec.level_of(arrow.source)) + arrow.lane - _row_y(spec, arrow.level)
    if rise:
      groups.setdefault((arrow.target, arrow.level, rise > 0), []).append((abs(rise), arrow.source, arrow))
  for group in groups.values():
    for place, (_, _, arrow) in enumerate(sorted(group, key=lambda entry: entry[:2])):
      arrow.entry = 11.0 * (place - (len(group) - 1) / 2)


def _route(spec: PyramidSpec, arrow: _Arrow) -> list[_Point]:
  """The corners of an arrow, from the feature to the rim of what it enters."""
  x, y = _exit(spec, arrow.source)
  end_x, end_y = _column_x(arrow.target), _row_y(spec, arrow.level)
  is_cell = arrow.target < len(spec.cells)
  run_y = y + arrow.lane
  points = [(x, y)]
  if arrow.lane:
    points += [(x + 12, y), (x + 12, run_y)]
  if run_y == end_y:
    return [*points, (end_x - (_RADIUS if is_cell else _PILL_WIDTH / 2), end_y)]
  rim = (_RADIUS**2 - arrow.entry**2) ** 0.5 if is_cell and abs(arrow.entry) < _RADIUS else _HEIGHT / 2
  side = 1 if run_y > end_y else -1
  return [*points, (end_x + arrow.entry, run_y), (end_x + arrow.entry, end_y + side * rim)]


def _rounded(points: list[_Point]) -> str:
  """SVG path data of a polyline with rounded corners."""
  data = [f'M{points[0][0]:g} {points[0][1]:g}']
  for before, corner, after in zip(points, points[1:], points[2:], strict=False):
    entry = _toward(corner, before)
    leave = _toward(corner, after)
    data.append(f'L{entry[0]:.1f} {entry[1]:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {leave[0]:.1f} {leave[1]:.1f}')
  data.append(f'L{points[-1][0]:.1f} {points[-1][1]:.1f}')
  return ''.join(data)


def _toward(corner: _Point, other: _Point) -> _Point:
  """The point a corner's radius away from it, at most half way to the next one."""
  dx, dy = other[0] - corner[0], other[1] - corner[1]
  length = abs(dx) + abs(dy)  # All pieces are horizontal or vertical.
  part = min(_CORNER, length / 2) / length if length else 0.0
  return corner[0] + dx * part, corner[1] + dy * part


def _paths(spec: PyramidSpec, arrows: list[_Arrow]) -> Iterator[str]:
  """The arrows, one feature after the other, each over a white rim so that crossings read as crossings."""
  for feature in range(spec.num_features):
    mine = [(arrow, _rounded(_route(spec, arrow))) for arrow in arrows if arrow.source == feature]
    for _, data in mine:
      yield f'<path d="{data}" fill="none" stroke="#ffffff" stroke-width="5"/>'
    for arrow, data in mine:
      yield _line(arrow.attention, arrow.joined, data)


def _features(spec: PyramidSpec) -> Iterator[str]:
  """Input pills, cells (operation and convolution) and output pills."""
  outputs = spec.outputs
  for feature, level in enumerate(spec.levels):
    y = _row_y(spec, level)
    yield _box('input', _INPUT_X - _PILL_WIDTH / 2, y, _PILL_WIDTH, f'P{level}', round_corner=_HEIGHT / 2)
    yield _text(_INPUT_X - 12, y - _HEIGHT / 2 - 6, str(feature), size=10, color='#7a8794')
    yield _box(
      'output', _column_x(len(spec.cells)) - _PILL_WIDTH / 2, y, _PILL_WIDTH, f'P{level}', round_corner=_HEIGHT / 2
    )
  for index, cell in enumerate(spec.cells):
    feature = spec.num_levels + index
    x, y = _column_x(index), _row_y(spec, cell.level)
    yield f'<path d="M{x + _RADIUS:g} {y:g}h{_BOX_GAP}" stroke="{_LINE}" stroke-width="1.6"/>'
    yield _operation(ops.get(cell.op), x, y)
    kind = 'output' if outputs[cell.level] == feature else 'cell'
    yield _box(kind, _box_x(index), y, _BOX_WIDTH, str(feature), round_corner=5)


def _rows(spec: PyramidSpec, width: float) -> Iterator[str]:
  for level in spec.levels:
    y = _row_y(spec, level)
    if (spec.max_level - level) % 2 == 0:
      yield f'<rect y="{y - _ROW / 2:g}" width="{width:g}" height="{_ROW}" fill="#f8f9fb"/>'
    yield _text(_MARGIN, y + 4, f'1/{2**level}', size=12, color='#7a8794', anchor='start')


def _legend(spec: PyramidSpec, arrows: list[_Arrow], width: float, y: float) -> tuple[list[str], float]:
  """The signs that occur, each with its word, in as many lines as the width needs; and the y of the last line."""
  signs = [(_swatch(kind), word) for kind, word in (('input', 'input'), ('cell', _CELL), ('output', 'output'))]
  signs += [
    (_operation(op, 12, 0, radius=10), op.meaning)
    for op in ops.MERGE_OPS
    if any(cell.op == op.name for cell in spec.cells)
  ]
  signs += [(_line(True, False), 'gives the attention')] if any(arrow.attention for arrow in arrows) else []
  signs += [(_line(False, True), 'unused so far, joined')] if any(arrow.joined for arrow in arrows) else []
  x, parts = float(_MARGIN), []
  for sign, word in signs:
    length = 34 + 6 * len(word)
    if x + length > width:
      x, y = float(_MARGIN), y + _LEGEND_LINE
    parts.append(f'<g transform="translate({x:g} {y:g})">{sign}{_text(31, 4, word, size=12, anchor="start")}</g>')
    x += length + 16
  return parts, y


def _swatch(kind: str) -> str:
  color, rim = _FILLS[kind]
  return f'<rect x="2" y="-7" width="22" height="14" rx="4" fill="{color}" stroke="{rim}"/>'


def _line(attention: bool, joined: bool, data: str = 'M0 0h26') -> str:
  dashes = ' stroke-dasharray="5 4"' if joined else ''
  marker = 'attention' if attention else 'arrow'
  return f'<path d="{data}" fill="none" stroke="{_LINE}" stroke-width="1.6"{dashes} marker-end="url(#{marker})"/>'


def _operation(op: ops.MergeOp, x: float, y: float, radius: float = _RADIUS) -> str:
  circle = f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="#ffffff" stroke="{_INK}" stroke-width="1.4"/>'
  if op.figure_symbol == '+':
    arm = radius - 5
    plus = f'M{x - arm:g} {y:g}h{2 * arm:g}M{x:g} {y - arm:g}v{2 * arm:g}'
    return circle + f'<path d="{plus}" stroke="{_INK}" stroke-width="1.6"/>'
  return circle + _text(x, y + 3.8, html.escape(op.figure_symbol), size=11, weight='bold')


def _box(kind: str, x: float, y: float, width: float, words: str, round_corner: float) -> str:
  color, rim = _FILLS[kind]
  return (
    f'<rect x="{x:g}" y="{y - _HEIGHT / 2:g}" width="{width:g}" height="{_HEIGHT}" rx="{round_corner:g}" fill="{color}"'
    f' stroke="{rim}" stroke-width="1.4"/>' + _text(x + width / 2, y + 5, words, size=14)
  )


def _text(x: float, y: float, words: str, size: int, color: str = _INK, anchor: str = '', weight: str = '') -> str:
  extra = (f' text-anchor="{anchor}"' if anchor else '') + (f' font-weight="{weight}"' if weight else '')
  return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}"{extra}>{words}</text>'


def _marker(name: str, color: str) -> str:
  return (
    f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" orient="auto"'
    f' markerUnits="userSpaceOnUse"><path d="M0 1L9.5 5L0 9z" fill="{color}"/></marker>'
  )
