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

"""PyramidSpec: validation, wiring, JSON, digest."""

import dataclasses
import json

import pytest

from nasfpn_tf import topology
from nasfpn_tf.topology import CellSpec, PyramidSpec
from tests.topology.random_specs import random_spec

SEEDS = range(40)


def pyramid(*cells: CellSpec, min_level: int = 3, max_level: int = 4) -> PyramidSpec:
  return PyramidSpec('mine', min_level, max_level, cells)


P3 = CellSpec(3, 'sum', (0, 1), is_output=True)
P4 = CellSpec(4, 'sum', (1, 2), is_output=True)


def test_cells_and_inputs_given_as_lists_become_tuples():
  spec = PyramidSpec('mine', 3, 4, [CellSpec(3, 'sum', [0, 1], True), P4])
  assert spec == pyramid(P3, P4)
  assert hash(spec) == hash(pyramid(P3, P4))


def test_is_frozen():
  with pytest.raises(dataclasses.FrozenInstanceError):
    topology.NAS_FPN.cells[0].level = 5
  with pytest.raises(dataclasses.FrozenInstanceError):
    topology.NAS_FPN.name = 'other'


@pytest.mark.parametrize(
  ('cells', 'message'),
  [
    ((P3, CellSpec(4, 'sum', (1, 3), True)), r'cell 1 \(feature 3\): input 3 is a forward reference'),
    ((CellSpec(3, 'sum', (0, 3), True), P4), r'cell 0 \(feature 2\): input 3 is a forward reference'),
    ((P3, CellSpec(4, 'sum', (1, 9), True)), r'cell 1 \(feature 3\): input 9 does not exist'),
    ((P3, CellSpec(4, 'sum', (-1, 1), True)), r'cell 1 \(feature 3\): input -1 does not exist'),
    ((P3, CellSpec(4, 'sum', (1, 1.0), True)), r'cell 1 \(feature 3\): input 1\.0 does not exist'),
    ((P3, CellSpec(4, 'sum', (1, True), True)), r'cell 1 \(feature 3\): input True does not exist'),
    ((P3, CellSpec(4, 'sum', ([1], 2), True)), r'cell 1 \(feature 3\): input \[1\] does not exist'),
    ((P3, CellSpec(4, 'sum', '12', True)), r"cell 1 \(feature 3\): input '1' does not exist"),
    ((P3, CellSpec(4, 'sum', (2, 2), True)), r'cell 1 \(feature 3\): inputs \(2, 2\) contain the same feature twice'),
    ((P3, CellSpec(4, 'sum', (), True)), r'cell 1 \(feature 3\): has no input'),
    ((P3, CellSpec(4, 'sum', 1, True)), r'cell 1 \(feature 3\): inputs must be a tuple of indices, not 1'),
    ((P3, P4, CellSpec(4, 'sum', (3,)), CellSpec(3, 'sum', (4,))), r'cell 2 \(feature 4\), level 4, is dead'),
    ((P3, P4, CellSpec(4, 'sum', (3,))), r'cell 2 \(feature 4\), level 4, is dead'),
    ((P3,), 'level 4 is missing: no cell is its output'),
    ((), 'level 3 is missing: no cell is its output'),
    ((P3, P4, CellSpec(4, 'sum', (3,), True)), r'level 4 has 2 output cells: 1, 2'),
    ((P3, CellSpec(4, 'global_pooling', (1,), True)), r'cell 1 \(feature 3\): global_pooling takes exactly two inputs'),
    (
      (P3, CellSpec(4, 'global_pooling', (0, 1, 2), True)),
      r'cell 1 \(feature 3\): global_pooling takes exactly two inputs, not 3',
    ),
    ((P3, CellSpec(4, 'max', (1, 2), True)), r"cell 1 \(feature 3\): op 'max' is unknown; choose one of sum, "),
    ((P3, CellSpec(4, None, (1, 2), True)), r'cell 1 \(feature 3\): op None is unknown'),
    ((P3, CellSpec(5, 'sum', (1, 2), True)), r'cell 1 \(feature 3\): level 5 is outside 3\.\.4'),
    ((P3, CellSpec('4', 'sum', (1, 2), True)), r"cell 1 \(feature 3\): level '4' is outside 3\.\.4"),
    ((P3, CellSpec(4.0, 'sum', (1, 2), True)), r'cell 1 \(feature 3\): level 4\.0 is outside 3\.\.4'),
    ((P3, CellSpec(4, 'sum', (1, 2), 1)), r'cell 1 \(feature 3\): is_output must be true or false, not 1'),
    ((P3, (4, 'sum', (1, 2), True)), r'cell 1 \(feature 3\): must be a CellSpec, not \(4, '),
  ],
)
def test_a_wrong_cell_is_named(cells, message):
  with pytest.raises(ValueError, match=rf"^pyramid 'mine': {message}"):
    pyramid(*cells)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('mine', 4, 4, (P4,)), 'min_level 4 and max_level 4 must satisfy'),
    (('mine', 5, 4, (P4,)), 'min_level 5 and max_level 4 must satisfy'),
    (('mine', -1, 4, (P4,)), 'min_level -1 and max_level 4 must satisfy'),
    (('mine', '3', 4, (P3, P4)), "min_level must be an integer, not '3'"),
    (('mine', 3, 4.0, (P3, P4)), 'max_level must be an integer, not 4.0'),
    (('mine', True, 4, (P3, P4)), 'min_level must be an integer, not True'),
    ((None, 3, 4, (P3, P4)), 'pyramid None: name must be a string'),
  ],
)
def test_a_wrong_pyramid_is_explained(arguments, message):
  with pytest.raises(ValueError, match=message):
    PyramidSpec(*arguments)


def test_nas_fpn_wiring():
  assert topology.NAS_FPN.wiring() == ((1, 3), (1, 5), (0, 6), (6, 7), (7, 8, 2), (6, 9, 4), (9, 10))


def test_unused_means_unused_so_far():
  """Feature 1 joins P4 although a later cell uses it; a cell's own inputs never join twice."""
  spec = pyramid(
    CellSpec(4, 'sum', (0,), True),
    CellSpec(3, 'sum', (1, 2), True),
  )
  assert spec.wiring() == ((0, 1), (1, 2))


def test_unused_cells_join_the_output_of_their_level_in_order():
  spec = pyramid(
    CellSpec(4, 'sum', (0, 1)),
    CellSpec(4, 'weighted_sum', (1, 0)),
    CellSpec(3, 'sum', (0,), True),
    CellSpec(4, 'global_pooling', (4, 0), True),
  )
  assert spec.wiring() == ((0, 1), (1, 0), (0,), (4, 0, 2, 3))


def test_geometry_of_nas_fpn():
  spec = topology.NAS_FPN
  assert list(spec.levels) == [3, 4, 5, 6, 7]
  assert (spec.num_levels, spec.num_features) == (5, 12)
  assert spec.outputs == {3: 7, 4: 8, 5: 9, 6: 11, 7: 10}
  assert [spec.level_of(feature) for feature in range(12)] == [3, 4, 5, 6, 7, 4, 4, 3, 4, 5, 7, 6]


def test_json_of_nas_fpn_whole():
  assert json.loads(topology.NAS_FPN.to_json()) == {
    'format': 1,
    'name': 'nas_fpn',
    'min_level': 3,
    'max_level': 7,
    'cells': [
      {'level': 4, 'op': 'global_pooling', 'inputs': [1, 3]},
      {'level': 4, 'op': 'sum', 'inputs': [1, 5]},
      {'level': 3, 'op': 'sum', 'inputs': [0, 6], 'is_output': True},
      {'level': 4, 'op': 'sum', 'inputs': [6, 7], 'is_output': True},
      {'level': 5, 'op': 'global_pooling', 'inputs': [7, 8], 'is_output': True},
      {'level': 7, 'op': 'global_pooling', 'inputs': [6, 9], 'is_output': True},
      {'level': 6, 'op': 'global_pooling', 'inputs': [9, 10], 'is_output': True},
    ],
  }


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'format': 2}, 'format 2 is not supported; this version reads format 1'),
    ({'format': True}, 'format True is not supported'),
    ({'name': 3}, 'name must be a string, not 3'),
    ({'cells': {}}, 'cells must be a list'),
    ({'cells': [3]}, "'nas_fpn', cell 0: must be a JSON object, not 3"),
    ({'cells': [{'op': 'sum', 'inputs': [0]}]}, "'nas_fpn', cell 0: key 'level' is missing"),
    ({'cells': [{'level': 3, 'op': 'sum', 'input': [0]}]}, "'nas_fpn', cell 0: key 'inputs' is missing"),
    (
      {'cells': [{'level': 3, 'op': 'sum', 'inputs': [0], 'output': True}]},
      "'nas_fpn', cell 0: key 'output' is unknown; known are level, op, inputs, is_output",
    ),
    ({'cells': [{'level': 3, 'op': 'sum', 'inputs': 0}]}, "'nas_fpn', cell 0: inputs must be a list"),
    ({'cells': [{'level': 3, 'op': 'sum', 'inputs': [0], 'is_output': 'yes'}]}, r'cell 0 .* is_output must be true'),
    ({'min_level': None}, r'min_level must be an integer, not None'),
    ({'levels': 5}, "topology: key 'levels' is unknown"),
  ],
)
def test_wrong_json_is_explained(change, message):
  data = {**topology.NAS_FPN.to_dict(), **change}
  with pytest.raises(ValueError, match=message):
    PyramidSpec.from_json(json.dumps(data))


@pytest.mark.parametrize('text', ['', '{', 'nas_fpn', '[1, 2]', 'null'])
def test_what_is_no_json_object_is_refused(text):
  with pytest.raises(ValueError, match=r'^topology: (not JSON|must be a JSON object)'):
    PyramidSpec.from_json(text)


def test_a_key_given_twice_is_refused():
  text = topology.NAS_FPN.to_json().replace('"level": 3', '"level": 3, "level": 4')
  with pytest.raises(ValueError, match="key 'level' is given twice"):
    PyramidSpec.from_json(text)


def test_the_digest_names_the_topology_not_the_name():
  spec = topology.NAS_FPN
  assert spec.digest == '6e261b97285f69e8'
  assert dataclasses.replace(spec, name='other').digest == spec.digest
  digests = {topology.get(name).digest for name in topology.names()}
  assert len(digests) == len(topology.names())


def test_str_shows_every_cell():
  lines = str(topology.NAS_FPN).splitlines()
  assert lines[0] == 'nas_fpn: P3..P7, 7 cells'
  assert lines[1] == '  5: P4 = global_pooling(1, 3)'
  assert lines[7] == '  11: P6* = global_pooling(9, 10)'


@pytest.mark.parametrize('seed', SEEDS)
def test_json_round_trip(seed):
  spec = random_spec(seed)
  read = PyramidSpec.from_json(spec.to_json(indent=2))
  assert read == spec
  assert read.digest == spec.digest


@pytest.mark.parametrize('seed', SEEDS)
def test_wiring_leaves_nothing_unused(seed):
  """Every feature but outputs is merged somewhere; inputs lead, what joins is of the output's level and earlier."""
  spec = random_spec(seed)
  merged = set()
  for index, (cell, wires) in enumerate(zip(spec.cells, spec.wiring(), strict=True)):
    assert wires[: len(cell.inputs)] == cell.inputs
    joined = wires[len(cell.inputs) :]
    assert cell.is_output or not joined
    assert len(set(wires)) == len(wires)
    for feature in joined:
      assert spec.level_of(feature) == cell.level
      assert feature < spec.num_levels + index
      assert feature not in merged
    merged.update(wires)
  assert merged | set(spec.outputs.values()) == set(range(spec.num_features))


@pytest.mark.parametrize('seed', SEEDS)
def test_breaking_any_cell_is_noticed(seed):
  """A forward reference, a repeated input, an unknown op or a lost output in any cell is a ValueError naming it."""
  spec = random_spec(seed)
  for index, cell in enumerate(spec.cells):
    here = spec.num_levels + index
    broken = [
      dataclasses.replace(cell, inputs=(*cell.inputs[1:], here)),
      dataclasses.replace(cell, inputs=(*cell.inputs, cell.inputs[0])),
      dataclasses.replace(cell, op='concat'),
      dataclasses.replace(cell, level=spec.max_level + 1),
    ]
    for wrong in broken:
      cells = (*spec.cells[:index], wrong, *spec.cells[index + 1 :])
      with pytest.raises(ValueError, match=rf'cell {index} \(feature {here}\)'):
        dataclasses.replace(spec, cells=cells)
    if cell.is_output:
      cells = (*spec.cells[:index], dataclasses.replace(cell, is_output=False), *spec.cells[index + 1 :])
      with pytest.raises(ValueError, match=f'level {cell.level} is missing'):
        dataclasses.replace(spec, cells=cells)


def test_levels_are_bounded():
  data = {**topology.get('nas_fpn').to_dict(), 'max_level': 10**9}
  with pytest.raises(ValueError, match='max_level 1000000000 is more than 20'):
    topology.PyramidSpec.from_dict(data)
  with pytest.raises(ValueError, match='max_level 1000000000 is more than 20'):
    topology.get('bifpn', 3, 10**9)


def test_nesting_is_bounded():
  with pytest.raises(ValueError, match='topology: nested deeper than 64 levels'):
    topology.resolve('{"a":' * 5000)
