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


@pytest.mark.parametrize('seed', range(30))
def test_text_drawing_holds_the_wiring(seed):
  """In the drawing of any spec, each cell's column names just the features that the cell merges, at their levels."""
  spec = random_spec(seed)
  lines = topology.draw(spec).splitlines()
  rows = {level: lines[3 + 2 * (spec.max_level - level)] for level in spec.levels}
  column_of = {}
  for index, cell in enumerate(spec.cells):
    column_of[re.search(rf'[+GW] {spec.num_levels + index}(?!\d)', rows[cell.level]).start()] = index
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


def test_graph_escapes_the_name():
  spec = topology.PyramidSpec('a "b" \\ c', 3, 7, topology.NAS_FPN.cells)
  assert r'label="a \"b\" \\ c";' in topology.dot(spec)


@pytest.mark.parametrize('seed', range(30))
def test_figure_has_every_arrow_inside_it_and_none_through_a_cell(seed):
  """Each arrow's path stays in the figure, moves at right angles, and crosses no box but where it begins or ends."""
  spec = random_spec(seed)
  root = xml.etree.ElementTree.fromstring(topology.svg(spec))
  width, height = (float(root.get(key)) for key in ('width', 'height'))
  boxes = [
    [float(rect.get(key)) for key in ('x', 'y', 'width', 'height')]
    for rect in root.iter(f'{SVG}rect')
    if rect.get('rx')
  ]
  boxes = [box for box in boxes if box[3] == 30]
  assert len(boxes) == 2 * spec.num_levels + len(spec.cells)
  paths = [path.get('d') for path in root.findall(f'{SVG}path') if path.get('marker-end')]
  assert len(paths) == sum(map(len, spec.wiring())) + spec.num_levels
  for data in paths:
    numbers = [float(number) for number in re.findall(r'-?[\d.]+', data)]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert all(0 < x < width and 0 < y < height for x, y in points)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
      for x, y, w, h in boxes:
        inside = min(x0, x1) < x + w - 1 and max(x0, x1) > x + 1 and min(y0, y1) < y + h - 1 and max(y0, y1) > y + 1
        assert not inside, f'{data} crosses the box at {x}, {y}'


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
