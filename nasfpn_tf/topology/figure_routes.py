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
"""Lays out the figure of a topology, and routes its arrows.

Arrows run along the row of the feature they carry and turn into the cell that merges it; where another cell stands in
the way they leave the row for a lane beside it.
"""

import dataclasses

from nasfpn_tf.topology import ops
from nasfpn_tf.topology.spec import PyramidSpec

MARGIN, TOP, ROW = 24, 54, 84
INPUT_X, PILL_WIDTH, BOX_WIDTH, HEIGHT, RADIUS = 118, 44, 40, 30, 12
BOX_GAP = 10  # From an operation's circle to the box of its convolution.
PLUS_RADIUS = 7  # Of the sum with the pyramid's input, behind the box.
_COLUMN, _PLUS_COLUMN = 104, 130  # Width of a cell's column, without and with residual connections.
_FIRST = 196  # x of the first cell's operation.
# Distances of the lanes from the middle of their row; the residual connections have one of their own.
_LANES, _PLUS_LANES = (26, 34, 42), (30, 36, 42)
_RESIDUAL_LANE = 22

Point = tuple[float, float]


@dataclasses.dataclass
class Arrow:
  """A feature on its way into a cell, or out of the pyramid when `target` is the number of cells.

  Attributes:
    source: the feature.
    target: the cell.
    level: of the row it ends in.
    joined: whether it joins because nothing else uses the feature.
    attention: whether it gives the attention.
    residual: whether it is the pyramid's input that is added to what the cell gives.
    lane: distance of its run from the middle of the source's row, downwards.
    entry: distance of its last, vertical piece from the target's middle, to the right.
  """

  source: int
  target: int
  level: int
  joined: bool = False
  attention: bool = False
  residual: bool = False
  lane: float = 0.0
  entry: float = 0.0


@dataclasses.dataclass(frozen=True)
class Layout:
  """The places of a figure.

  Attributes:
    spec: the topology.
    residual: whether output cells add the pyramid's input of their level.
  """

  spec: PyramidSpec
  residual: bool = False

  def column_x(self, index: int) -> float:
    """Returns the x of the operation of cell `index`."""
    return _FIRST + (_PLUS_COLUMN if self.residual else _COLUMN) * index

  def row_y(self, level: int) -> float:
    """Returns the y of the middle of a level's row."""
    return TOP + ROW * (self.spec.max_level - level) + ROW / 2

  def box_x(self, index: int) -> float:
    """Returns the left edge of the convolution's box of cell `index`."""
    return self.column_x(index) + RADIUS + BOX_GAP

  def plus_x(self, index: int) -> float | None:
    """Returns the x of the sum behind the box of cell `index`, or None if the cell has none."""
    if not (self.residual and self.spec.cells[index].is_output):
      return None
    return self.box_x(index) + BOX_WIDTH + BOX_GAP + PLUS_RADIUS

  def exit(self, feature: int) -> Point:
    """Returns where arrows leave a feature."""
    y = self.row_y(self.spec.level_of(feature))
    if feature < self.spec.num_levels:
      return INPUT_X + PILL_WIDTH / 2, y
    index = feature - self.spec.num_levels
    plus = self.plus_x(index)
    return (self.box_x(index) + BOX_WIDTH if plus is None else plus + PLUS_RADIUS), y


def arrows(layout: Layout) -> list[Arrow]:
  """Routes every arrow of the figure."""
  spec = layout.spec
  found = []
  for index, (cell, merged) in enumerate(zip(spec.cells, spec.wiring(), strict=True)):
    coarser = max(cell.inputs, key=spec.level_of)  # Of two on one level the first, as the cell itself takes it.
    for feature in merged:
      attention = ops.get(cell.op).has_attention and feature == coarser
      found.append(Arrow(feature, index, cell.level, feature not in cell.inputs, attention))
  found += [Arrow(feature, len(spec.cells), level) for level, feature in spec.outputs.items()]
  _choose_lanes(layout, found)
  _choose_entries(layout, found)
  if layout.residual:
    found += [
      Arrow(cell.level - spec.min_level, index, cell.level, residual=True, lane=_RESIDUAL_LANE)
      for index, cell in enumerate(spec.cells)
      if cell.is_output
    ]
  return found


def route(layout: Layout, arrow: Arrow) -> list[Point]:
  """Returns the corners of an arrow, from the feature to the rim of what it enters."""
  if arrow.residual:
    return _residual_route(layout, arrow)
  x, y = layout.exit(arrow.source)
  end_x, end_y = layout.column_x(arrow.target), layout.row_y(arrow.level)
  is_cell = arrow.target < len(layout.spec.cells)
  run_y = y + arrow.lane
  points = [(x, y)]
  if arrow.lane:
    points += [(x + 12, y), (x + 12, run_y)]
  if run_y == end_y:
    return [*points, (end_x - (RADIUS if is_cell else PILL_WIDTH / 2), end_y)]
  rim = (RADIUS**2 - arrow.entry**2) ** 0.5 if is_cell and abs(arrow.entry) < RADIUS else HEIGHT / 2
  side = 1 if run_y > end_y else -1
  return [*points, (end_x + arrow.entry, run_y), (end_x + arrow.entry, end_y + side * rim)]


def _residual_route(layout: Layout, arrow: Arrow) -> list[Point]:
  """Routes from below the input along its row, under all cells, up into the sum behind the level's output box."""
  y = layout.row_y(arrow.level)
  end_x = layout.plus_x(arrow.target)
  run_y = y + arrow.lane
  return [(INPUT_X, y + HEIGHT / 2), (INPUT_X, run_y), (end_x, run_y), (end_x, y + PLUS_RADIUS)]


def _choose_lanes(layout: Layout, arrows: list[Arrow]) -> None:
  """Gives arrows whose row is blocked by a cell a lane beside it that no other feature occupies there."""
  spec, lanes = layout.spec, _PLUS_LANES if layout.residual else _LANES
  taken = []  # ((level, lane), first column, last column, source)
  for arrow in arrows:
    level = spec.level_of(arrow.source)
    begin = arrow.source - spec.num_levels + 1
    if not any(spec.cells[i].level == level for i in range(max(begin, 0), arrow.target)):
      continue
    side = 1 if arrow.level < level else -1
    for lane in [side * lane for lane in lanes] + [-side * lane for lane in lanes]:
      clash = any(
        (level, lane) == place and begin <= last and first <= arrow.target and arrow.source != source
        for place, first, last, source in taken
      )
      if not clash:
        break
    arrow.lane = lane
    taken.append(((level, lane), begin, arrow.target, arrow.source))


def _choose_entries(layout: Layout, arrows: list[Arrow]) -> None:
  """Spreads the arrows that enter one cell from above, and those from below; the farthest enters rightmost."""
  groups = {}
  for arrow in arrows:
    rise = layout.row_y(layout.spec.level_of(arrow.source)) + arrow.lane - layout.row_y(arrow.level)
    if rise:
      groups.setdefault((arrow.target, arrow.level, rise > 0), []).append((abs(rise), arrow.source, arrow))
  for group in groups.values():
    for place, (_, _, arrow) in enumerate(sorted(group, key=lambda entry: entry[:2])):
      arrow.entry = 11.0 * (place - (len(group) - 1) / 2)
