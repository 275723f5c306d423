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

"""Draws a topology as text for the terminal, and as a Graphviz graph; `figure.svg` is for documents."""

from nasfpn_tf.topology import ops
from nasfpn_tf.topology.spec import CellSpec, PyramidSpec


def draw(spec: PyramidSpec, residual: bool = False) -> str:
  """Draws the pyramid as text: a row for each level, coarsest on top, and a column for each cell.

  In a cell's column stand, left of the line, the features it merges at the row of their level (in parentheses those
  that join because nothing has used them) and, right of its operation, the feature it makes; `*` marks an output.

  Args:
    spec: the topology.
    residual: whether output cells add the pyramid's input of their level, as in residual stacks; `7*+0` says so.
  """
  columns = [_input_column(spec)]
  columns += [_cell_column(spec, index, residual) for index in range(len(spec.cells))]
  columns.append(_output_column(spec))
  widths = [max(map(len, column)) for column in columns]
  rows = []
  for row in zip(*columns, strict=True):
    rows.append('   '.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
  legend = [*(_meaning(op) for op in ops.MERGE_OPS if any(cell.op == op.name for cell in spec.cells)), '* output']
  if any(len(merged) > len(cell.inputs) for merged, cell in zip(spec.wiring(), spec.cells, strict=True)):
    legend.append('(n) unused so far, joined')
  if residual:
    legend.append('+n input n added to the output')
  head = f'{spec.name}: P{spec.min_level}..P{spec.max_level}, {len(spec.cells)} merging cells'
  return '\n'.join([head, '', *rows, '', ';  '.join(legend)])


def dot(spec: PyramidSpec, residual: bool = False) -> str:
  """Writes the pyramid as a Graphviz graph, e.g. for `dot -Tsvg`.

  Dashed edges are unused features that join an output, dotted ones the inputs that `residual` adds to the outputs.
  """
  lines = [
    'digraph pyramid {',
    '  rankdir=LR;',
    f'  label={_quoted(spec.name)};',
    '  node [fontname="Helvetica", style=filled];',
    '  edge [fontname="Helvetica"];',
  ]
  for feature, level in enumerate(spec.levels):
    lines.append(f'  f{feature} [label="{feature}: P{level}", shape=box, fillcolor="#fbe3a6"];')
  for index, (cell, merged) in enumerate(zip(spec.cells, spec.wiring(), strict=True)):
    feature = spec.num_levels + index
    style = 'fillcolor="#bcd7f2", peripheries=2' if cell.is_output else 'fillcolor="#e3e8ee"'
    lines.append(f'  f{feature} [label="{feature}: P{cell.level}\\n{cell.op}", shape=ellipse, {style}];')
    for source in merged:
      joined = '' if source in cell.inputs else ' [style=dashed]'
      lines.append(f'  f{source} -> f{feature}{joined};')
    if residual and cell.is_output:
      lines.append(f'  f{cell.level - spec.min_level} -> f{feature} [style=dotted, color="#7a4bb0", label="+"];')
  lines.append('}')
  return '\n'.join(lines)


def formula(spec: PyramidSpec, index: int, residual: bool = False) -> str:
  """Writes cell `index` on one line, e.g. 'P5* = global_pooling(7, 8) + 2' where feature 2 joins as unused.

  With `residual` an output cell reads 'P5* = cell(global_pooling(7, 8) + 2) + 2': the pyramid's input of its level is
  added to what the cell makes of the merged features.
  """
  cell = spec.cells[index]
  joined = spec.wiring()[index][len(cell.inputs) :]
  line = ''.join([str(cell), *(f' + {feature}' for feature in joined)])
  if not (residual and cell.is_output):
    return line
  made, merged = line.split(' = ')
  return f'{made} = cell({merged}) + {cell.level - spec.min_level}'


def _meaning(op: ops.MergeOp) -> str:
  return f'{op.symbol} {op.meaning}{", attention from the coarser input" if op.has_attention else ""}'


def _input_column(spec: PyramidSpec) -> list[str]:
  column = ['']
  for level in reversed(spec.levels):
    column += [f'P{level}  {level - spec.min_level}', '']
  return column[:-1]


def _output_column(spec: PyramidSpec) -> list[str]:
  column = ['out']
  for level in reversed(spec.levels):
    column += [f'{spec.outputs[level]}', '']
  return column[:-1]


def _cell_column(spec: PyramidSpec, index: int, residual: bool) -> list[str]:
  """Draws the lines of a cell's column: the level rows, coarsest first, with a line between each two."""
  cell, merged = spec.cells[index], spec.wiring()[index]
  by_level = {level: _merged_at(spec, cell, merged, level) for level in spec.levels}
  touched = [cell.level, *(spec.level_of(feature) for feature in merged)]
  top, bottom = max(touched), min(touched)
  width = max(map(len, by_level.values()))
  made = f'{spec.num_levels + index}{"*" if cell.is_output else ""}'
  if residual and cell.is_output:
    made += f'+{cell.level - spec.min_level}'
  column = ['']
  for level in reversed(spec.levels):
    stem = '─' if by_level[level] else ' '
    if level == cell.level:
      mark = f'{stem}{ops.get(cell.op).symbol} {made}'
    elif level in touched:
      mark = stem + ('┐' if level == top else '┘' if level == bottom else '┤')
    else:
      mark = ' │' if bottom < level < top else ''
    column.append(by_level[level].rjust(width) + mark)
    column.append(' ' * width + ' │' if bottom < level <= top else '')
  return column[:-1]


def _merged_at(spec: PyramidSpec, cell: CellSpec, merged: tuple[int, ...], level: int) -> str:
  """Lists the features of `level` that the cell merges, e.g. '1,5'; '(2)' is one that joins as unused."""
  here = [feature for feature in merged if spec.level_of(feature) == level]
  return ','.join(str(feature) if feature in cell.inputs else f'({feature})' for feature in here)


def _quoted(text: str) -> str:
  escaped = text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', ' ')
  return f'"{escaped}"'
