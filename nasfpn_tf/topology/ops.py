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

"""Lists the merge operations and their properties; all other code reads this table.

Specs, costs, drawings, layers and searches read it. A new operation is an entry here and a function in
`layers/merge_ops.py`.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class MergeOp:
  """Properties of a merge operation.

  Attributes:
    name: what topologies call it.
    arity: number of inputs it takes; None for one or more.
    weights_per_input: learned scalars of each input; the features that join a cell unused have none.
    symbol: one character for drawings in text.
    figure_symbol: one or two characters for the circle in a figure.
    meaning: its name in a legend.
    has_attention: whether the coarser input, of equal levels the first, gives an attention to the other.
  """

  name: str
  arity: int | None
  weights_per_input: int
  symbol: str
  figure_symbol: str
  meaning: str
  has_attention: bool = False


MERGE_OPS = (
  MergeOp('sum', None, 0, '+', '+', 'sum'),
  MergeOp('global_pooling', 2, 0, 'G', 'GP', 'global pooling', has_attention=True),
  MergeOp('global_average_pooling', 2, 0, 'A', 'AP', 'global average pooling', has_attention=True),
  MergeOp('weighted_sum', None, 1, 'W', 'w', 'weighted sum'),
)

_NUMBERS = {1: 'one input', 2: 'two inputs', 3: 'three inputs'}


def names() -> tuple[str, ...]:
  """Names of all operations, in the order of the table."""
  return tuple(op.name for op in MERGE_OPS)


def get(name: str) -> MergeOp:
  """Looks up an operation by name; a ValueError lists the known names if there is no such operation."""
  for op in MERGE_OPS:
    if op.name == name:
      return op
  raise ValueError(f'op {name!r} is unknown; choose one of {", ".join(names())}.')


def check(name: str, num_inputs: int) -> MergeOp:
  """Looks up an operation and checks that it takes this number of inputs.

  Raises:
    ValueError: if there is no such operation or it takes another number of inputs.
  """
  op = get(name)
  if op.arity not in (None, num_inputs):
    raise ValueError(f'{name} takes exactly {_NUMBERS.get(op.arity, f"{op.arity} inputs")}, not {num_inputs}.')
  return op
