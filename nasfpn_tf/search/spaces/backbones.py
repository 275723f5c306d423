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

"""Defines SpineNet's search space: scale-permuted backbones (arXiv 1912.05027, sec. 3)."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from nasfpn_tf.search import space
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.topology import spinenet, spinenet_figure

_KINDS = ('parent', 'parent', 'level', 'block')  # The four steps of a block.
_NUM_STEM = len(spinenet.STEM_LEVELS)


class BackboneSpace(space.SearchSpace):
  """Permutations of the blocks of a scale-decreased backbone, each of four decisions: two parents, level, block type.

  The intermediate blocks are those of the scale-decreased backbone in any order, each moved by a level offset; the
  output blocks come last, one for each level in any order. The parents of an intermediate block are two of the `window`
  blocks before it, those of an output block any two before it; a pair is written in ascending order.

  The paper draws a block of the scale-decreased backbone and an offset; different draws come to the same level, and so
  to the same backbone. Here the level that results is drawn, and is legal just if some order and some offsets give all
  the levels so far: the same backbones, each once.
  """

  name = 'spinenet'
  architecture_key = 'task.model.backbone.scale_permuted.architecture'

  def __init__(
    self,
    intermediate_levels: Sequence[int] = (2, 3, 3, 3, 4, 4, 4, 4, 4, 5),
    min_level: int = 3,
    max_level: int = 7,
    offsets: Sequence[int] = (-1, 0, 1, 2),
    window: int = 5,
    blocks: Sequence[str] = spinenet.BLOCKS,
  ):
    """Makes the space; the default permutes ResNet-50, whose architecture found is SpineNet-49.

    Args:
      intermediate_levels: of the blocks of the scale-decreased backbone, without the stem and the outputs.
      min_level: finest output level.
      max_level: coarsest output level.
      offsets: by how much the level of an intermediate block may change; without gaps.
      window: how far back the parents of an intermediate block may be.
      blocks: block types to choose from.

    Raises:
      SearchError: if there is no such backbone.
    """
    self.intermediate_levels = tuple(sorted(intermediate_levels))
    self.min_level, self.max_level, self.window = min_level, max_level, window
    self.offsets, self.blocks = tuple(sorted(offsets)), tuple(blocks)
    self._check_options()
    self._num_inner, self._num_outputs = len(self.intermediate_levels), max_level - min_level + 1
    self.num_blocks = self._num_inner + self._num_outputs
    self.num_steps = 4 * self.num_blocks
    reached = [level + offset for level in self.intermediate_levels[:1] for offset in self.offsets[:1]]
    reached += [level + offset for level in self.intermediate_levels[-1:] for offset in self.offsets[-1:]]
    self._lowest, self._highest = min([min_level, *reached]), max([max_level, *reached])
    self._num_levels = self._highest - self._lowest + 1
    self._level_sequences = functools.cache(self._count_level_sequences)

  def num_choices(self, step: int) -> int:
    """Returns the number of earlier blocks, levels or block types."""
    block, position = self._place(step)
    return (_NUM_STEM + block, _NUM_STEM + block, self._num_levels, len(self.blocks))[position]

  def kind(self, step: int) -> str:
    """Returns 'parent', 'parent', 'level', 'block', block by block."""
    return _KINDS[self._place(step)[1]]

  def completions(self, prefix: Sequence[int]) -> list[int]:
    """See the base class."""
    block, position = self._place(len(prefix))
    levels = ()
    for start in range(0, len(prefix), 4):
      tokens = tuple(prefix[start : start + 4])
      for done in range(len(tokens)):
        counts = self._counts(start // 4, tokens[:done], levels)
        if not 0 <= tokens[done] < len(counts) or not counts[tokens[done]]:
          return [0] * self.num_choices(len(prefix))
      levels += tokens[2:3] if len(tokens) == 4 else ()
    return self._counts(block, tuple(prefix[4 * block : 4 * block + position]), levels)

  def decode(self, tokens: Sequence[int]) -> spinenet.SpineNetSpec:
    """Converts a sequence to a backbone, named 'searched_' and the first digits of its digest."""
    tokens = self.check(tokens)
    blocks = []
    for block in range(self.num_blocks):
      first, second, level, kind = tokens[4 * block : 4 * block + 4]
      blocks.append(
        spinenet.BlockSpec(self._lowest + level, self.blocks[kind], (first, second), block >= self._num_inner)
      )
    return spinenet.SpineNetSpec(f'searched_{spinenet.SpineNetSpec("", blocks).digest[:8]}', blocks)

  def encode(self, architecture: spinenet.SpineNetSpec) -> tuple[int, ...]:
    """Converts a backbone to its tokens; a ValueError says why it is outside the space."""
    where = f'backbone {architecture.name!r} is not in the space {self.name!r}'
    if len(architecture.blocks) != self.num_blocks:
      raise ValueError(f'{where}: it has {len(architecture.blocks)} blocks, not {self.num_blocks}.')
    tokens = []
    for index, block in enumerate(architecture.blocks):
      if block.block not in self.blocks:
        raise ValueError(f'{where}: block {_NUM_STEM + index} is a {block.block}.')
      if block.is_output != (index >= self._num_inner):
        raise ValueError(f'{where}: the output blocks are not just the last {self._num_outputs}.')
      tokens += [*block.parents, block.level - self._lowest, self.blocks.index(block.block)]
    try:
      return self.check(tokens)
    except ValueError as e:
      raise ValueError(f'{where}: {e}') from e

  def read(self, architecture: dict[str, Any]) -> spinenet.SpineNetSpec:
    """Reads a backbone from its JSON value."""
    return spinenet.SpineNetSpec.from_dict(architecture)

  def drawing(self, architecture: dict[str, Any]) -> str:
    """Draws the backbone."""
    return spinenet_figure.svg(self.read(architecture))

  def to_json(self) -> dict[str, Any]:
    """Returns the name and the arguments of the constructor."""
    return {
      'name': self.name,
      'intermediate_levels': list(self.intermediate_levels),
      'min_level': self.min_level,
      'max_level': self.max_level,
      'offsets': list(self.offsets),
      'window': self.window,
      'blocks': list(self.blocks),
    }

  def _place(self, step: int) -> tuple[int, int]:
    """Returns (block, step within it); an IndexError past the end."""
    if not 0 <= step < self.num_steps:
      raise IndexError(f'space {self.name!r} has steps 0..{self.num_steps - 1}; there is no step {step}.')
    return divmod(step, 4)

  def _counts(self, block: int, begun: tuple[int, ...], levels: tuple[int, ...]) -> list[int]:
    """Counts completions for each token after the tokens `begun` of a block; `levels` are those of earlier blocks."""
    before = _NUM_STEM + block
    after = self._parents_and_kinds_from(block + 1)
    if len(begun) == 3:
      return [after * self._level_sequences(_sorted(levels + begun[2:], self._num_inner))] * len(self.blocks)
    after *= len(self.blocks)
    by_level = [self._level_sequences(_sorted((*levels, n), self._num_inner)) for n in range(self._num_levels)]
    if len(begun) == 2:
      return [after * count for count in by_level]
    after *= sum(by_level)
    first = max(0, before - self.window) if block < self._num_inner else 0
    if len(begun) == 1:
      return [after * (parent > begun[0]) for parent in range(before)]
    return [after * (before - 1 - parent) * (parent >= first) for parent in range(before)]

  def _parents_and_kinds_from(self, block: int) -> int:
    """Counts the choices of parents and types of the blocks from `block` on."""
    ways = 1
    for index in range(block, self.num_blocks):
      before = _NUM_STEM + index
      ways *= math.comb(min(before, self.window) if index < self._num_inner else before, 2) * len(self.blocks)
    return ways

  def _count_level_sequences(self, levels: tuple[tuple[int, ...], tuple[int, ...]]) -> int:
    """Counts the sequences of levels that begin with these, in any order: (intermediate, output)."""
    inner, outputs = levels
    if outputs:
      wanted = [level for level in outputs if self.min_level <= self._lowest + level <= self.max_level]
      distinct = len(set(outputs)) == len(outputs) == len(wanted)
      return distinct * math.factorial(self._num_outputs - len(outputs))
    if len(inner) == self._num_inner:
      moved = zip(inner, self.intermediate_levels, strict=True)
      # As the offsets have no gaps, blocks matched in the order of their levels fit if any matching does.
      fits = all(self._lowest + level - base in self.offsets for level, base in moved)
      return fits * math.factorial(self._num_outputs)
    return sum(self._level_sequences((tuple(sorted((*inner, level))), ())) for level in range(self._num_levels))

  def _check_options(self) -> None:
    problem = ''
    if not 1 <= self.min_level <= self.max_level <= 7:
      problem = f'output levels {self.min_level}..{self.max_level} are not within 1..7'
    elif not self.offsets or self.offsets != tuple(range(self.offsets[0], self.offsets[0] + len(self.offsets))):
      problem = f'offsets {list(self.offsets)} must be consecutive whole numbers'
    elif self.window < 2:
      problem = f'a window of {self.window} leaves fewer than two parents'
    elif not self.blocks or set(self.blocks) - set(spinenet.BLOCKS) or len(set(self.blocks)) != len(self.blocks):
      problem = f'blocks {list(self.blocks)} must be one or more of {", ".join(spinenet.BLOCKS)}, each once'
    elif self.intermediate_levels and (
      self.intermediate_levels[0] + self.offsets[0] < 1 or self.intermediate_levels[-1] + self.offsets[-1] > 7
    ):
      problem = 'some intermediate level and offset lead outside the levels 1..7'
    if problem:
      raise SearchError(f'space spinenet has no legal sequence: {problem}.')


def _sorted(levels: tuple[int, ...], num_inner: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
  """Returns the levels of intermediate and of output blocks, each sorted."""
  return tuple(sorted(levels[:num_inner])), tuple(sorted(levels[num_inner:]))
