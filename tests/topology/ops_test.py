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
"""The table of merge operations is consistent, and what reads it says so when an operation is wrong."""

import dataclasses

import pytest

from nasfpn_tf import topology
from nasfpn_tf.topology import ops


def test_names_and_symbols_tell_operations_apart():
  for key in ('name', 'symbol', 'figure_symbol', 'meaning'):
    values = [getattr(op, key) for op in topology.MERGE_OPS]
    assert all(values) and len(set(values)) == len(values), key
  assert all(len(op.symbol) == 1 and len(op.figure_symbol) <= 2 for op in topology.MERGE_OPS)
  assert ops.names() == topology.OPS and topology.OPS[:2] == ('sum', 'global_pooling'), "the paper's two come first"


def test_the_table_is_frozen():
  with pytest.raises(dataclasses.FrozenInstanceError):
    topology.MERGE_OPS[0].symbol = 'x'
  assert hash(topology.MERGE_OPS) == hash(tuple(topology.MERGE_OPS))


@pytest.mark.parametrize('name', ['mean', '', None, ['sum']])
def test_an_unknown_operation_is_explained(name):
  names = ', '.join(op.name for op in topology.MERGE_OPS)
  assert names.startswith('sum, global_pooling')
  with pytest.raises(ValueError, match=rf'is unknown; choose one of {names}\.'):
    ops.get(name)


def test_a_wrong_number_of_inputs_is_explained(monkeypatch):
  assert ops.check('sum', 5).name == 'sum'
  with pytest.raises(ValueError, match=r'^global_pooling takes exactly two inputs, not 1\.$'):
    ops.check('global_pooling', 1)
  monkeypatch.setattr(ops, 'MERGE_OPS', (*ops.MERGE_OPS, ops.MergeOp('join', 5, 0, 'J', 'J', 'join')))
  with pytest.raises(ValueError, match=r'^join takes exactly 5 inputs, not 2\.$'):
    ops.check('join', 2)
