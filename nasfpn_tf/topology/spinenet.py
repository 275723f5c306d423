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

"""Defines a scale-permuted backbone as a value: frozen, hashable, validated on creation, to and from JSON.

Source: SpineNet, arXiv 1912.05027, sec. 3: after a stem of two blocks come blocks in any order of scales, each made of
two parents; the last ones are the outputs, one for each level.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from nasfpn_tf import safe_json

BLOCKS = ('bottleneck', 'residual')
STEM_LEVELS = (2, 2)  # Two bottleneck blocks, which are blocks 0 and 1.

_FORMAT = 1
_SPEC_KEYS = ('format', 'name', 'blocks')
_BLOCK_KEYS = ('level', 'block', 'parents')


@dataclasses.dataclass(frozen=True)
class BlockSpec:
  """One block of a scale-permuted backbone.

  Attributes:
    level: of its feature; the stride is 2**level.
    block: 'bottleneck' or 'residual'.
    parents: two earlier blocks: 0 and 1 are the stem's, then the blocks in order.
    is_output: whether its feature is the backbone's output of its level.
  """

  level: int
  block: str
  parents: tuple[int, int]
  is_output: bool = False

  def __post_init__(self):
    if isinstance(self.parents, Iterable):  # Else SpineNetSpec says which block is wrong.
      object.__setattr__(self, 'parents', tuple(self.parents))


@dataclasses.dataclass(frozen=True)
class SpineNetSpec:
  """A whole backbone.

  Attributes:
    name: what reports and error messages call it.
    blocks: in order of computation, without the stem's.

  Raises:
    ValueError: at construction, naming the block that is wrong, or if the outputs are not one a level without a gap.
  """

  name: str
  blocks: tuple[BlockSpec, ...]

  def __post_init__(self):
    object.__setattr__(self, 'blocks', tuple(self.blocks))
    for index, block in enumerate(self.blocks):
      for problem in _problems(block, len(STEM_LEVELS) + index):
        raise ValueError(f'backbone {self.name!r}, block {len(STEM_LEVELS) + index}: {problem}')
    levels = sorted(block.level for block in self.blocks if block.is_output)
    if not levels or levels != list(range(levels[0], levels[0] + len(levels))):
      raise ValueError(
        f'backbone {self.name!r}: its output levels are {levels}; there must be one block per level, without gaps.'
      )

  @property
  def outputs(self) -> dict[int, int]:
    """{level: index of the block that is the output of that level}, finest first."""
    found = {block.level: len(STEM_LEVELS) + i for i, block in enumerate(self.blocks) if block.is_output}
    return dict(sorted(found.items()))

  @property
  def digest(self) -> str:
    """16 hex digits that name this architecture; the name does not enter."""
    text = json.dumps(self.to_dict()['blocks'], sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

  def level_of(self, index: int) -> int:
    """Returns the level of block `index`, counted as in `BlockSpec.parents`."""
    return (*STEM_LEVELS, *(block.level for block in self.blocks))[index]

  def wiring(self) -> tuple[tuple[int, ...], ...]:
    """Returns the blocks that each block sums: its parents, and for an output also the blocks still unused.

    Such a block joins the output of its level if it is of the same type, as its feature has the same width then; so do
    the authors' code and Model Garden.
    """
    used, sums = set(), []
    kinds = [*((level, 'bottleneck') for level in STEM_LEVELS), *((block.level, block.block) for block in self.blocks)]
    for index, block in enumerate(self.blocks, start=len(STEM_LEVELS)):
      used.update(block.parents)
      joined = [i for i in range(index) if i not in used and kinds[i] == kinds[index]] if block.is_output else []
      used.update(joined)
      sums.append((*block.parents, *joined))
    return tuple(sums)

  @property
  def unused(self) -> frozenset[int]:
    """Blocks that lead to no output, which are not built."""
    reached = set(self.outputs.values())
    for index, sources in reversed(list(enumerate(self.wiring(), start=len(STEM_LEVELS)))):
      reached.update(sources if index in reached else ())
    return frozenset(range(len(STEM_LEVELS) + len(self.blocks))) - reached

  def to_dict(self) -> dict[str, Any]:
    """Returns the JSON form as a dict."""
    blocks = []
    for block in self.blocks:
      entry = {'level': block.level, 'block': block.block, 'parents': list(block.parents)}
      if block.is_output:
        entry['is_output'] = True
      blocks.append(entry)
    return {'format': _FORMAT, 'name': self.name, 'blocks': blocks}

  def to_json(self, indent: int | None = None) -> str:
    """Returns the JSON form as text."""
    return json.dumps(self.to_dict(), indent=indent)

  @classmethod
  def from_dict(cls, data: Mapping[str, Any]) -> 'SpineNetSpec':
    """Reads the JSON form; a ValueError names the key that is missing, unknown or of the wrong type."""
    _check_keys('backbone', data, _SPEC_KEYS)
    if data['format'] != _FORMAT:
      raise ValueError(f'backbone: format {data["format"]!r} is not supported; this version reads format {_FORMAT}.')
    if not isinstance(data['name'], str) or not isinstance(data['blocks'], list):
      raise ValueError('backbone: name must be a string and blocks a list.')
    blocks = []
    for index, entry in enumerate(data['blocks']):
      _check_keys(f'backbone {data["name"]!r}, block {len(STEM_LEVELS) + index}', entry, _BLOCK_KEYS, ('is_output',))
      blocks.append(BlockSpec(entry['level'], entry['block'], entry['parents'], entry.get('is_output', False)))
    return cls(data['name'], tuple(blocks))

  @classmethod
  def from_json(cls, text: str) -> 'SpineNetSpec':
    """Reads the JSON form from text; a ValueError says what is wrong with it."""
    try:
      data = safe_json.loads(text)
    except ValueError as e:
      raise ValueError(f'backbone: {e}') from e
    return cls.from_dict(data)

  def __str__(self) -> str:
    lines = [f'{self.name}: {len(self.blocks)} blocks after a stem of {len(STEM_LEVELS)}']
    for index, block in enumerate(self.blocks, start=len(STEM_LEVELS)):
      mark = '*' if block.is_output else ''
      lines.append(f'  {index}: L{block.level}{mark} = {block.block}({block.parents[0]}, {block.parents[1]})')
    return '\n'.join(lines)


def _problems(block: Any, index: int) -> Iterable[str]:
  if not isinstance(block, BlockSpec):
    yield f'must be a BlockSpec, not {block!r}.'
    return
  if type(block.level) is not int or not 1 <= block.level <= 7:
    yield f'level {block.level!r} is outside 1..7.'
  if block.block not in BLOCKS:
    yield f'block {block.block!r} is unknown; choose one of {", ".join(BLOCKS)}.'
  if type(block.is_output) is not bool:
    yield f'is_output must be true or false, not {block.is_output!r}.'
  parents = block.parents
  if not isinstance(parents, tuple) or len(parents) != 2 or any(type(parent) is not int for parent in parents):
    yield f'parents must be two indices, not {parents!r}.'
  elif parents[0] == parents[1] or not all(0 <= parent < index for parent in parents):
    yield f'parents {parents} must be two different blocks of 0..{index - 1}.'


def _check_keys(where: str, data: Any, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
  if not isinstance(data, Mapping):
    raise ValueError(f'{where}: must be a JSON object, not {data!r}.')
  for key in needed:
    if key not in data:
      raise ValueError(f'{where}: key {key!r} is missing.')
  for key in data:
    if key not in needed + optional:
      raise ValueError(f'{where}: key {key!r} is unknown; known are {", ".join(needed + optional)}.')


# SpineNet-49: arXiv 1912.05027, as Model Garden and tensorflow/tpu build it for levels 3 to 7.
SPINENET_49 = SpineNetSpec(
  'spinenet_49',
  (
    BlockSpec(2, 'bottleneck', (0, 1)),
    BlockSpec(4, 'residual', (0, 1)),
    BlockSpec(3, 'bottleneck', (2, 3)),
    BlockSpec(4, 'bottleneck', (2, 4)),
    BlockSpec(6, 'residual', (3, 5)),
    BlockSpec(4, 'bottleneck', (3, 5)),
    BlockSpec(5, 'residual', (6, 7)),
    BlockSpec(7, 'residual', (6, 8)),
    BlockSpec(5, 'bottleneck', (8, 9)),
    BlockSpec(5, 'bottleneck', (8, 10)),
    BlockSpec(4, 'bottleneck', (5, 10), is_output=True),
    BlockSpec(3, 'bottleneck', (4, 10), is_output=True),
    BlockSpec(5, 'bottleneck', (7, 12), is_output=True),
    BlockSpec(7, 'bottleneck', (5, 14), is_output=True),
    BlockSpec(6, 'bottleneck', (12, 14), is_output=True),
  ),
)

_CATALOG = {SPINENET_49.name: SPINENET_49}


def resolve(ref: str | SpineNetSpec) -> SpineNetSpec:
  """Resolves 'spinenet_49', the path of a .json file, or JSON text to a backbone.

  Raises:
    ValueError: if there is no such name, or the file cannot be read or holds no backbone.
  """
  if isinstance(ref, SpineNetSpec):
    return ref
  if ref in _CATALOG:
    return _CATALOG[ref]
  if ref.lstrip().startswith('{'):
    return SpineNetSpec.from_json(ref)
  if not ref.endswith('.json'):
    raise ValueError(f'backbone {ref!r} is unknown: {", ".join(_CATALOG)}, a .json path or JSON text is expected.')
  try:
    return SpineNetSpec.from_json(pathlib.Path(ref).read_text(encoding='utf-8'))
  except (OSError, ValueError) as e:
    raise ValueError(f'backbone file {ref!r}: {getattr(e, "strerror", None) or e}') from e
