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

"""Defines a feature pyramid's topology as a value: frozen, hashable, validated on creation, to and from JSON.

Source: NAS-FPN, arXiv 1904.07392, sec. 3.1: a merging cell takes feature layers, brings them to one output level, and
merges them with a binary operation; a pyramid is a list of such cells whose input and output levels are equal, so that
pyramids stack.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nasfpn_tf import safe_json
from nasfpn_tf.topology import ops

MAX_LEVEL = 20  # Of stride 2**20.
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class CellSpec:
  """One merging cell: feature layers in, one feature layer out (arXiv 1904.07392, sec. 3.1).

  Attributes:
    level: output level; the layer's stride is 2**level.
    op: name of a merge operation of `topology/ops.py`.
    inputs: indices of the merged features: 0..num_levels-1 are the pyramid's inputs, finest first, then the cells in
      order.
    is_output: whether this cell is P_level of the pyramid.
  """

  level: int
  op: str
  inputs: tuple[int, ...]
  is_output: bool = False

  def __post_init__(self):
    if isinstance(self.inputs, Iterable):  # Else PyramidSpec says which cell is wrong.
      object.__setattr__(self, 'inputs', tuple(self.inputs))

  def __str__(self) -> str:
    inputs = ', '.join(map(str, self.inputs))
    return f'P{self.level}{"*" if self.is_output else ""} = {self.op}({inputs})'


@dataclasses.dataclass(frozen=True)
class PyramidSpec:
  """A whole feature pyramid. Input and output levels are equal, so pyramids stack.

  Attributes:
    name: what drawings, reports and error messages call it.
    min_level: finest level, of stride 2**min_level.
    max_level: coarsest level.
    cells: the merging cells in order of computation.

  Raises:
    ValueError: at construction, naming the pyramid and the cell, if a level is out of range, an input is repeated or
      does not come earlier, an op is unknown or has the wrong number of inputs, a level has not exactly one output
      cell, or a cell's feature reaches no output.
  """

  name: str
  min_level: int
  max_level: int
  cells: tuple[CellSpec, ...]

  def __post_init__(self):
    object.__setattr__(self, 'cells', tuple(self.cells))
    self._validate()

  @property
  def levels(self) -> range:
    """Levels of the inputs and of the outputs, finest first."""
    return range(self.min_level, self.max_level + 1)

  @property
  def num_levels(self) -> int:
    """Number of input levels, which is the number of output levels."""
    return self.max_level - self.min_level + 1

  @property
  def num_features(self) -> int:
    """Number of features: the inputs and one for each cell."""
    return self.num_levels + len(self.cells)

  @property
  def outputs(self) -> dict[int, int]:
    """{level: index of the feature that is P_level of the pyramid}, finest first."""
    found = {c.level: self.num_levels + i for i, c in enumerate(self.cells) if c.is_output}
    return {level: found[level] for level in self.levels}

  @property
  def digest(self) -> str:
    """16 hex digits that name this topology; the name of the pyramid does not enter."""
    content = self.to_dict()
    del content['name']
    text = json.dumps(content, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

  def level_of(self, feature: int) -> int:
    """Returns the level of feature `feature`, an index as in `CellSpec.inputs`."""
    if feature < self.num_levels:
      return self.min_level + feature
    return self.cells[feature - self.num_levels].level

  def wiring(self) -> tuple[tuple[int, ...], ...]:
    """Returns, per cell, the features it merges; those joined by the rule of unused features come last.

    The rule (sec. 3.1: layers that connect to nothing are added to the output of their own level): when an output cell
    is computed, every earlier feature of its level that no cell has used so far is summed into it. The inputs of the
    cell itself are counted as used first, and a feature that joins counts as used afterwards.
    """
    used = [False] * self.num_features
    wires = []
    for index, cell in enumerate(self.cells):
      for feature in cell.inputs:
        used[feature] = True
      joined = []
      if cell.is_output:
        for feature in range(self.num_levels + index):
          if not used[feature] and self.level_of(feature) == cell.level:
            used[feature] = True
            joined.append(feature)
      wires.append(cell.inputs + tuple(joined))
    return tuple(wires)

  def to_dict(self) -> dict[str, Any]:
    """Returns the JSON form as a dict."""
    cells = []
    for cell in self.cells:
      entry = {'level': cell.level, 'op': cell.op, 'inputs': list(cell.inputs)}
      if cell.is_output:
        entry['is_output'] = True
      cells.append(entry)
    return {
      'format': _FORMAT,
      'name': self.name,
      'min_level': self.min_level,
      'max_level': self.max_level,
      'cells': cells,
    }

  def to_json(self, indent: int | None = None) -> str:
    """Returns the JSON form as text."""
    return json.dumps(self.to_dict(), indent=indent)

  @classmethod
  def from_dict(cls, data: Mapping[str, Any]) -> 'PyramidSpec':
    """Reads the JSON form; a ValueError names the key that is missing, unknown or of the wrong type."""
    data = _checked_keys('topology', data, ('format', 'name', 'min_level', 'max_level', 'cells'))
    if not _is_int(data['format']) or data['format'] != _FORMAT:
      raise ValueError(f'topology: format {data["format"]!r} is not supported; this version reads format {_FORMAT}.')
    if not isinstance(data['name'], str):
      raise ValueError(f'topology: name must be a string, not {data["name"]!r}.')
    if not isinstance(data['cells'], list):
      raise ValueError(f'topology {data["name"]!r}: cells must be a list, not {data["cells"]!r}.')
    cells = []
    for i, entry in enumerate(data['cells']):
      where = f'topology {data["name"]!r}, cell {i}'
      entry = _checked_keys(where, entry, ('level', 'op', 'inputs'), ('is_output',))
      if not isinstance(entry['inputs'], list):
        raise ValueError(f'{where}: inputs must be a list of indices, not {entry["inputs"]!r}.')
      is_output = entry.get('is_output', False)
      cells.append(CellSpec(entry['level'], entry['op'], tuple(entry['inputs']), is_output))
    return cls(data['name'], data['min_level'], data['max_level'], tuple(cells))

  @classmethod
  def from_json(cls, text: str) -> 'PyramidSpec':
    """Reads the JSON form from text; a ValueError says what is wrong with it."""
    try:
      data = safe_json.loads(text)
    except ValueError as e:
      raise ValueError(f'topology: {e}') from e
    return cls.from_dict(data)

  def __str__(self) -> str:
    head = f'{self.name}: P{self.min_level}..P{self.max_level}, {len(self.cells)} cells'
    lines = [f'  {self.num_levels + i}: {cell}' for i, cell in enumerate(self.cells)]
    return '\n'.join([head, *lines])

  def _validate(self) -> None:
    if not isinstance(self.name, str):
      raise ValueError(f'pyramid {self.name!r}: name must be a string.')
    for key in ('min_level', 'max_level'):
      if not _is_int(getattr(self, key)):
        raise ValueError(f'pyramid {self.name!r}: {key} must be an integer, not {getattr(self, key)!r}.')
    if not 0 <= self.min_level < self.max_level:
      raise ValueError(
        f'pyramid {self.name!r}: min_level {self.min_level} and max_level {self.max_level} must satisfy 0 <='
        f' min_level < max_level.'
      )
    if self.max_level > MAX_LEVEL:
      raise ValueError(
        f'pyramid {self.name!r}: max_level {self.max_level} is more than {MAX_LEVEL}: no image is that large.'
      )
    for problem in self._cell_problems():
      raise ValueError(f'pyramid {self.name!r}: {problem}')
    self._check_outputs()
    self._check_reachable()

  def _cell_problems(self) -> Iterator[str]:
    for i, cell in enumerate(self.cells):
      here = self.num_levels + i
      where = f'cell {i} (feature {here})'
      if not isinstance(cell, CellSpec):
        yield f'{where}: must be a CellSpec, not {cell!r}.'
      if not _is_int(cell.level) or cell.level not in self.levels:
        yield f'{where}: level {cell.level!r} is outside {self.min_level}..{self.max_level}.'
      if not isinstance(cell.is_output, bool):
        yield f'{where}: is_output must be true or false, not {cell.is_output!r}.'
      if not isinstance(cell.inputs, tuple):
        yield f'{where}: inputs must be a tuple of indices, not {cell.inputs!r}.'
      if not cell.inputs:
        yield f'{where}: has no input.'
      for feature in cell.inputs:
        if not _is_int(feature) or not 0 <= feature < self.num_features:
          yield f'{where}: input {feature!r} does not exist; features are 0..{self.num_features - 1}.'
        elif feature >= here:
          yield f'{where}: input {feature} is a forward reference; only features 0..{here - 1} come earlier.'
      if len(set(cell.inputs)) != len(cell.inputs):
        yield f'{where}: inputs {cell.inputs} contain the same feature twice.'
      try:
        ops.check(cell.op, len(cell.inputs))
      except ValueError as e:
        yield f'{where}: {e}'

  def _check_outputs(self) -> None:
    by_level = {level: [] for level in self.levels}
    for i, cell in enumerate(self.cells):
      if cell.is_output:
        by_level[cell.level].append(i)
    for level, cells in by_level.items():
      if not cells:
        raise ValueError(f'pyramid {self.name!r}: level {level} is missing: no cell is its output.')
      if len(cells) > 1:
        raise ValueError(
          f'pyramid {self.name!r}: level {level} has {len(cells)} output cells: {", ".join(map(str, cells))}.'
        )

  def _check_reachable(self) -> None:
    reached = set(self.outputs.values())
    wires = self.wiring()
    for i in reversed(range(len(self.cells))):
      if self.num_levels + i in reached:
        reached.update(wires[i])
    for i, cell in enumerate(self.cells):
      feature = self.num_levels + i
      if feature not in reached:
        raise ValueError(
          f'pyramid {self.name!r}: cell {i} (feature {feature}), level {cell.level}, is dead: no output depends on it.'
        )


def _is_int(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


def _checked_keys(where: str, data: Any, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Any]:
  """Returns `data` if it is a mapping with just these keys."""
  if not isinstance(data, Mapping):
    raise ValueError(f'{where}: must be a JSON object, not {data!r}.')
  missing = [k for k in needed if k not in data]
  if missing:
    raise ValueError(f'{where}: key {missing[0]!r} is missing.')
  unknown = [k for k in data if k not in needed + optional]
  if unknown:
    raise ValueError(f'{where}: key {unknown[0]!r} is unknown; known are {", ".join(needed + optional)}.')
  return data
