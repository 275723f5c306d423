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

"""Text drawing, Graphviz graph, SVG figure."""

import itertools
import re
import xml.etree.ElementTree

import pytest

from nasfpn_tf import topology
from tests import testing
from tests.topology.random_specs import random_spec

SVG = '{http://www.w3.org/2000/svg}'


def test_text_drawing_of_nas_fpn_whole():
  assert topology.draw(topology.NAS_FPN).splitlines() == [
    'nas_fpn: P3..P7, 7 merging cells',
    '',
    '                                                                              out',
    'P7  4                                                  (4)─G 10*   10─┐       10',
    '                                                           │          │',
    'P6  3   3─┐                                                │          G 11*   11',
    '          │                                                │          │',
    'P5  2     │                                 (2)─G 9*     9─┤        9─┘       9',
    '          │                                     │          │',
    'P4  1   1─G 5   1,5─+ 6   6─┐      6─+ 8*     8─┤        6─┘                  8',
    '                            │        │          │',
    'P3  0                     0─+ 7*   7─┘        7─┘                             7',
    '',
    '+ sum;  G global pooling, attention from the coarser input;  * output;  (n) unused so far, joined',
  ]


def test_the_legend_explains_only_what_occurs():
  legend = topology.draw(topology.bifpn()).splitlines()[-1]
  assert legend == 'W weighted sum;  * output'


def test_formulas_of_nas_fpn():
  assert [topology.formula(topology.NAS_FPN, i) for i in range(7)] == [
    'P4 = global_pooling(1, 3)',
    'P4 = sum(1, 5)',
    'P3* = sum(0, 6)',
    'P4* = sum(6, 7)',
    'P5* = global_pooling(7, 8) + 2',
    'P7* = global_pooling(6, 9) + 4',
    'P6* = global_pooling(9, 10)',
  ]


def test_residual_text_drawing_and_formulas_of_nas_fpn():
  plain, residual = (topology.draw(topology.NAS_FPN, r).splitlines() for r in (False, True))
  # An output is followed by the input that it adds.
  wanted = {'10*': '+4', '11*': '+3', '9*': '+2', '8*': '+1', '7*': '+0'}
  assert dict(re.findall(r'(\d+\*)(\+\d)', '\n'.join(residual))) == wanted
  assert residual[-1] == plain[-1] + ';  +n input n added to the output'
  assert '+n' not in plain[-1]
  without = [re.sub(r'(?<=\*)\+\d', '', line).split() for line in residual[:-1]]
  assert without == [line.split() for line in plain[:-1]], 'nothing else changes'
  assert [topology.formula(topology.NAS_FPN, i, residual=True) for i in range(7)] == [
    'P4 = global_pooling(1, 3)',
    'P4 = sum(1, 5)',
    'P3* = cell(sum(0, 6)) + 0',
    'P4* = cell(sum(6, 7)) + 1',
    'P5* = cell(global_pooling(7, 8) + 2) + 2',
    'P7* = cell(global_pooling(6, 9) + 4) + 4',
    'P6* = cell(global_pooling(9, 10)) + 3',
  ]


@pytest.mark.parametrize('seed', range(30))
def test_text_drawing_holds_the_wiring(seed):
  """In the drawing of any spec, each cell's column names just the features that the cell merges, at their levels."""
  spec = random_spec(seed)
  lines = topology.draw(spec).splitlines()
  rows = {level: lines[3 + 2 * (spec.max_level - level)] for level in spec.levels}
  column_of = {}
  symbol = f'[{re.escape("".join(op.symbol for op in topology.MERGE_OPS))}]'
  for index, cell in enumerate(spec.cells):
    column_of[re.search(rf'{symbol} {spec.num_levels + index}(?!\d)', rows[cell.level]).start()] = index
  drawn = [set() for _ in spec.cells]
  for level, row in rows.items():
    assert row.startswith(f'P{level}  {level - spec.min_level}')
    for match in re.finditer(r'([\d,()]+)─.', row):
      for feature in map(int, re.findall(r'\d+', match[1])):
        assert spec.level_of(feature) == level
        drawn[column_of[match.end() - 1]].add(feature)
  assert drawn == [set(merged) for merged in spec.wiring()]


@pytest.mark.parametrize('seed', range(30))
def test_graph_has_every_edge_once(seed):
  spec = random_spec(seed)
  edges = re.findall(r'^  f(\d+) -> f(\d+)( \[style=dashed\])?;$', topology.dot(spec), re.MULTILINE)
  wanted = [
    (str(feature), str(spec.num_levels + i), '' if feature in cell.inputs else ' [style=dashed]')
    for i, (cell, merged) in enumerate(zip(spec.cells, spec.wiring(), strict=True))
    for feature in merged
  ]
  assert sorted(edges) == sorted(wanted)


@pytest.mark.parametrize('seed', range(10))
def test_residual_graph_has_an_edge_more_from_each_input_to_the_output_of_its_level(seed):
  spec = random_spec(seed)
  lines = topology.dot(spec, residual=True).splitlines()
  plain = topology.dot(spec).splitlines()
  added = [line for line in lines if 'style=dotted' in line]
  assert [line for line in lines if line not in added] == plain
  edges = {tuple(map(int, re.match(r'  f(\d+) -> f(\d+) ', line).groups())) for line in added}
  assert len(added) == len(edges)
  assert edges == {(level - spec.min_level, feature) for level, feature in spec.outputs.items()}


def test_graph_escapes_the_name():
  spec = topology.PyramidSpec('a "b" \\ c', 3, 7, topology.NAS_FPN.cells)
  assert r'label="a \"b\" \\ c";' in topology.dot(spec)


@pytest.mark.parametrize('residual', [False, True], ids=['plain', 'residual'])
@pytest.mark.parametrize('seed', range(30))
def test_figure_has_every_arrow_inside_it_and_none_through_a_cell(seed, residual):
  """Each arrow's path stays in the figure, moves at right angles, and crosses no box but where it begins or ends."""
  spec = random_spec(seed)
  root = xml.etree.ElementTree.fromstring(topology.svg(spec, residual))
  width, height = (float(root.get(key)) for key in ('width', 'height'))
  boxes = [
    [float(rect.get(key)) for key in ('x', 'y', 'width', 'height')]
    for rect in root.iter(f'{SVG}rect')
    if rect.get('rx')
  ]
  boxes = [box for box in boxes if box[3] == 30]
  assert len(boxes) == 2 * spec.num_levels + len(spec.cells)
  paths = [path.get('d') for path in root.findall(f'{SVG}path') if path.get('marker-end')]
  assert len(paths) == sum(map(len, spec.wiring())) + spec.num_levels * (1 + residual)
  for data in paths:
    numbers = [float(number) for number in re.findall(r'-?[\d.]+', data)]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert all(0 < x < width and 0 < y < height for x, y in points)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
      for x, y, w, h in boxes:
        inside = min(x0, x1) < x + w - 1 and max(x0, x1) > x + 1 and min(y0, y1) < y + h - 1 and max(y0, y1) > y + 1
        assert not inside, f'{data} crosses the box at {x}, {y}'


@pytest.mark.parametrize('seed', range(30))
def test_residual_figure_leads_each_input_to_a_sum_behind_the_output_of_its_level(seed):
  spec = random_spec(seed)
  root = xml.etree.ElementTree.fromstring(topology.svg(spec, residual=True))
  text = [(float(t.get('x')), float(t.get('y')), t.text) for t in root.findall(f'{SVG}text')]
  sums = [circle for circle in root.findall(f'{SVG}circle') if circle.get('r') == '7']
  lines = [path.get('d') for path in root.findall(f'{SVG}path') if path.get('marker-end') == 'url(#residual)']
  assert len(sums) == len(lines) == spec.num_levels
  arrows = [path.get('d') for path in root.findall(f'{SVG}path') if path.get('marker-end')]
  for level, feature in spec.outputs.items():
    # The first P_level from the left is the input, and the box of a feature has its number in the middle.
    pill_x, row = min((x, y) for x, y, words in text if words == f'P{level}')
    box_x = next(x for x, y, words in text if words == str(feature) and y == row)
    (mine,) = [s for s in sums if float(s.get('cy')) == row - 5]
    x, y = float(mine.get('cx')), float(mine.get('cy'))
    assert x - 7 > box_x + 20, 'the sum is behind the box'
    assert sum(d.startswith(f'M{pill_x:g} {y + 15:g}L') and d.endswith(f'L{x:.1f} {y + 7:.1f}') for d in lines) == 1
    # Whoever reads the output reads the sum.
    uses = 1 + sum(feature in merged for merged in spec.wiring())
    assert sum(d.startswith(f'M{x + 7:g} {y:g}L') for d in arrows) == uses


def test_figure_explains_the_residual_lines_only_where_there_are_some():
  assert 'input added to the output' in topology.svg(topology.NAS_FPN, residual=True)
  assert 'residual' not in topology.svg(topology.NAS_FPN)


def test_figure_marks_attention_and_joined():
  figure = topology.svg(topology.NAS_FPN)
  paths = [line for line in figure.splitlines() if line.startswith('<path') and 'marker-end' in line]
  assert sum('url(#attention)' in line for line in paths) == 4
  assert sum('stroke-dasharray' in line for line in paths) == 2


def test_figure_escapes_the_name():
  spec = topology.PyramidSpec('<b> & co', 3, 7, topology.NAS_FPN.cells)
  root = xml.etree.ElementTree.fromstring(topology.svg(spec))
  assert root.find(f'{SVG}title').text == 'Feature pyramid <b> & co'


@pytest.mark.parametrize('name', topology.names())
def test_figures_in_the_docs_are_current(name):
  """Made by `python scripts/describe.py --topology=<name> --svg=docs/images/<name>.svg`."""
  figure = testing.repo_root() / 'docs' / 'images' / f'{name}.svg'
  assert figure.read_text(encoding='utf-8') == topology.svg(topology.get(name))


def test_the_residual_figure_in_the_docs_is_current():
  """Made by the command under it in docs/topology.md."""
  figure = testing.repo_root() / 'docs' / 'images' / 'nas_fpn_residual.svg'
  assert figure.read_text(encoding='utf-8') == topology.svg(topology.NAS_FPN, residual=True)
