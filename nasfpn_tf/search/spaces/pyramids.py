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

"""Defines NAS-FPN's search space: the merging cells of a feature pyramid (arXiv 1904.07392, sec. 3.1)."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasfpn_tf import topology
from nasfpn_tf.search import space
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.topology import spec

_KINDS = ('input', 'input', 'level', 'op')  # The four steps of a cell.
_MAX_CELLS = 100  # The space is counted cell by cell before the search begins.


class PyramidSpace(space.SearchSpace):
  """Pyramids of `num_cells` merging cells, each of four decisions: two inputs, the output level, the operation.

  The inputs of a cell are two distinct features of those there are by then, the pyramid's inputs and the cells before;
  a pair is written in ascending order, so that each is counted once. The last cells are the outputs, one for each
  level in an order that is decided; those before them may take any level but the finest, which costs most (the paper's
  "stride 8"). Features that nothing uses join the output of their level: `PyramidSpec.wiring()` sees to that, so that
  every sequence is a pyramid without dead cells.

  For 7 cells on P3..P7 and two operations there are 1.93e15. Global pooling takes its attention from the coarser input;
  on equal levels from the first, here the earlier one.
  """

  name = 'nasfpn'

  def __init__(
    self,
    num_cells: int = 7,
    min_level: int = 3,
    max_level: int = 7,
    ops: Sequence[str] = ('sum', 'global_pooling'),
  ):
    """Makes the space.

    Args:
      num_cells: merging cells of a pyramid; at least one for each level.
      min_level: finest level.
      max_level: coarsest level.
      ops: operations to choose from, of `topology.ops.names()`.

    Raises:
      SearchError: if there is no such pyramid.
    """
    self.num_cells, self.min_level, self.max_level, self.ops = num_cells, min_level, max_level, tuple(ops)
    self._num_levels = max_level - min_level + 1
    self._num_inner = num_cells - self._num_levels
    if not 0 <= min_level < max_level <= spec.MAX_LEVEL:
      raise SearchError(
        f'space nasfpn: min_level {min_level} and max_level {max_level} leave no range of levels within'
        f' 0..{spec.MAX_LEVEL}.'
      )
    if num_cells > _MAX_CELLS:
      raise SearchError(f'space nasfpn: num_cells {num_cells} is more than {_MAX_CELLS}.')
    if self._num_inner < 0:
      raise SearchError(
        f'space nasfpn: {num_cells} cells have no legal sequence: levels {min_level}..{max_level} need'
        f' {self._num_levels} output cells; raise num_cells.'
      )
    unknown = [op for op in self.ops if op not in topology.ops.names()]
    if not self.ops or unknown or len(set(self.ops)) != len(self.ops):
      raise SearchError(
        f'space nasfpn: ops {list(self.ops)} must be one or more of {", ".join(topology.ops.names())}, each once.'
      )
    self.num_steps = 4 * num_cells
    # Sequences are read token by token, so the prefix before has just been asked for.
    self._completions = functools.lru_cache(maxsize=1 << 14)(self._count_completions)
    self._from_cell = [1]  # Number of ways to go on from the beginning of cell k, last cell first.
    for cell in reversed(range(num_cells)):
      levels = self._num_levels - 1 if cell < self._num_inner else num_cells - cell
      ways = math.comb(self._num_levels + cell, 2) * levels * len(self.ops)
      self._from_cell.insert(0, ways * self._from_cell[0])

  def num_choices(self, step: int) -> int:
    """Returns the number of features before the cell, levels or operations."""
    cell, position = self._place(step)
    return (self._num_levels + cell, self._num_levels + cell, self._num_levels, len(self.ops))[position]

  def kind(self, step: int) -> str:
    """Returns 'input', 'input', 'level', 'op', cell by cell."""
    return _KINDS[self._place(step)[1]]

  def completions(self, prefix: Sequence[int]) -> list[int]:
    """See the base class."""
    return list(self._completions(tuple(prefix)))

  def decode(self, tokens: Sequence[int]) -> topology.PyramidSpec:
    """Converts a sequence to a pyramid, named 'searched_' and the first digits of its digest."""
    tokens = self.check(tokens)
    cells = []
    for cell in range(self.num_cells):
      first, second, level, op = tokens[4 * cell : 4 * cell + 4]
      cells.append(
        topology.CellSpec(self.min_level + level, self.ops[op], (first, second), is_output=cell >= self._num_inner)
      )
    name = f'searched_{topology.PyramidSpec("", self.min_level, self.max_level, cells).digest[:8]}'
    return topology.PyramidSpec(name, self.min_level, self.max_level, cells)

  def encode(self, architecture: topology.PyramidSpec) -> tuple[int, ...]:
    """Converts a pyramid to its tokens; a ValueError says why it is outside the space."""
    where = f'pyramid {architecture.name!r} is not in the space {self.name!r}'
    if (architecture.min_level, architecture.max_level) != (self.min_level, self.max_level):
      raise ValueError(f'{where}: its levels are {architecture.min_level}..{architecture.max_level}.')
    if len(architecture.cells) != self.num_cells:
      raise ValueError(f'{where}: it has {len(architecture.cells)} cells, not {self.num_cells}.')
    tokens = []
    for index, cell in enumerate(architecture.cells):
      if cell.op not in self.ops:
        raise ValueError(f'{where}: the op of cell {index} is {cell.op}.')
      if len(cell.inputs) != 2 or cell.inputs[0] > cell.inputs[1]:
        raise ValueError(f'{where}: the inputs of cell {index}, {cell.inputs}, are no pair in ascending order.')
      if cell.is_output != (index >= self._num_inner):
        raise ValueError(f'{where}: the output cells are not just the last {self._num_levels}.')
      tokens += [*cell.inputs, cell.level - self.min_level, self.ops.index(cell.op)]
    try:
      return self.check(tokens)
    except ValueError as e:
      raise ValueError(f'{where}: {e}') from e

  def read(self, architecture: dict[str, Any]) -> topology.PyramidSpec:
    """Reads a pyramid from its JSON value."""
    return topology.PyramidSpec.from_dict(architecture)

  def features(self, tokens: Sequence[int]) -> np.ndarray:
    """Encodes the tokens one-hot, and what they amount to whatever the order of the cells.

    That is: how many merged features go from each level to each other; for each output the length of its shortest path
    from each input of the pyramid (cells, at most one more than there are where there is none) and its longest; how
    many cells of each level and of each operation there are.
    """
    spec, levels = self.decode(tokens), self._num_levels
    flows, by_op = np.zeros([levels, levels]), np.zeros(len(self.ops))
    shortest = np.full([spec.num_features, levels], self.num_cells + 1.0)
    np.fill_diagonal(shortest, 0.0)
    longest = np.zeros(spec.num_features)
    for index, (cell, sources) in enumerate(zip(spec.cells, spec.wiring(), strict=True)):
      feature, level = levels + index, cell.level - self.min_level
      for source in sources:
        flows[spec.level_of(source) - self.min_level, level] += 1
      shortest[feature] = np.minimum(shortest[list(sources)].min(axis=0) + 1.0, self.num_cells + 1.0)
      longest[feature] = longest[list(sources)].max() + 1.0
      by_op[self.ops.index(cell.op)] += 1
    outputs = list(spec.outputs.values())
    summary = [flows.ravel(), shortest[outputs].ravel(), longest[outputs], flows.sum(axis=0), by_op]
    return np.concatenate([super().features(tokens), *summary]).astype(np.float32)

  def cheapest(self) -> list[tuple[int, ...]]:
    """Returns the pyramid whose inner cells are all on the coarsest level, once for each operation."""
    highest = self._num_levels - 1
    levels = [highest] * self._num_inner + [*range(self._num_levels)]
    return [self.check([token for level in levels for token in (0, 1, level, op)]) for op in range(len(self.ops))]

  def drawing(self, architecture: dict[str, Any]) -> str:
    """Draws the pyramid."""
    return topology.svg(self.read(architecture))

  def to_json(self) -> dict[str, Any]:
    """Returns the name and the arguments of the constructor."""
    return {
      'name': self.name,
      'num_cells': self.num_cells,
      'min_level': self.min_level,
      'max_level': self.max_level,
      'ops': list(self.ops),
    }

  def _place(self, step: int) -> tuple[int, int]:
    """Returns (cell, step within it); an IndexError past the end."""
    if not 0 <= step < self.num_steps:
      raise IndexError(f'space {self.name!r} has steps 0..{self.num_steps - 1}; there is no step {step}.')
    return divmod(step, 4)

  def _count_completions(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
    cell, _ = self._place(len(prefix))
    if prefix:
      before = self._completions(prefix[:-1])
      if not 0 <= prefix[-1] < len(before) or not before[prefix[-1]]:
        return (0,) * self.num_choices(len(prefix))
    taken = {prefix[4 * output + 2] for output in range(self._num_inner, cell)}
    return tuple(self._counts(cell, prefix[4 * cell :], taken))

  def _counts(self, cell: int, begun: Sequence[int], taken: set[int]) -> list[int]:
    """Counts completions for each token after the tokens `begun` of a cell; output levels in `taken` are used up."""
    features, after = self._num_levels + cell, self._from_cell[cell + 1]
    if cell < self._num_inner:
      free = [level > 0 for level in range(self._num_levels)]
    else:
      free = [level not in taken for level in range(self._num_levels)]
    position = len(begun)
    if position == 0:  # The second input comes after the first.
      return [(features - 1 - first) * sum(free) * len(self.ops) * after for first in range(features)]
    if position == 1:
      return [(second > begun[0]) * sum(free) * len(self.ops) * after for second in range(features)]
    if position == 2:
      return [allowed * len(self.ops) * after for allowed in free]
    return [after] * len(self.ops)
