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

"""Reads and writes tables of recorded rewards, on which searchers are compared in seconds.

A table is a JSONL file. Its first line says what was recorded: `format`, the search `space`, the `evaluator`, as in a
search configuration. Each further line is one training: `tokens` and `digest` of the architecture, `seed`, `reward`,
`ap`, `cost`, `seconds`, `status` and `reason`.
"""

import bisect
import collections
import dataclasses
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.search import spaces
from nasfpn_tf.search.problems import SearchError, explained
from nasfpn_tf.search.space import Architecture, SearchSpace
from nasfpn_tf.search.trial import OK, Measurement

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Row:
  """One evaluation of a table: `tokens` of the architecture, `seed` of its training, and the `measurement`."""

  tokens: tuple[int, ...]
  seed: int
  measurement: Measurement


class Table:
  """Recorded rewards by architecture and seed.

  Attributes:
    path: the file.
    space: that the architectures are of.
    evaluator: what was recorded: the evaluator's part of the search configuration.
    rows: the evaluations in the order of the file.
  """

  def __init__(self, path: str):
    """Reads a table; a line that a killed recorder left incomplete at the end is ignored.

    Raises:
      SearchError: the file cannot be read, or a line is not of such a table; the message names the line.
    """
    self.path = path
    with explained(path), open(path, encoding='utf-8') as file:
      *lines, rest = file.read().split('\n')
    self.is_whole = not rest
    if not lines:
      raise SearchError(f'{path}: the table does not exist; its first line must describe what was recorded.')
    try:
      head = json.loads(lines[0])
      if head['format'] != _FORMAT:
        raise ValueError(f'format {head["format"]!r} is not supported')
      self.space, self.evaluator = spaces.build(head['space']), dict(head['evaluator'])
    except (ValueError, KeyError, TypeError) as e:
      raise SearchError(f'{path}, line 1: not the header of a table of recorded rewards: {e}') from e
    self.rows = [self._row(number, line) for number, line in enumerate(lines[1:], start=2)]

  def rewards(self) -> dict[tuple[int, ...], float]:
    """Returns the mean reward over the seeds of each architecture; a failed evaluation counts as 0.

    Raises:
      SearchError: there are fewer than two architectures, which is nothing to search.
    """
    found = collections.defaultdict(list)
    for row in self.rows:
      found[row.tokens].append(row.measurement.reward)
    if len(found) < 2:
      raise SearchError(f'{self.path}: {len(found)} architectures are too few to search; record more.')
    return {tokens: statistics.fmean(rewards) for tokens, rewards in found.items()}

  def complete(self) -> dict[tuple[int, ...], dict[int, Measurement]]:
    """Returns {tokens: {seed: measurement}} of the architectures that were evaluated, without failing, with all seeds.

    All seeds are those with which any evaluation did not fail, in ascending order.
    """
    rows = sorted((row for row in self.rows if row.measurement.status == OK), key=lambda row: row.seed)
    seeds = {row.seed for row in rows}
    found: dict[tuple[int, ...], dict[int, Measurement]] = {row.tokens: {} for row in self.rows}
    for row in rows:
      found[row.tokens][row.seed] = row.measurement
    return {tokens: by_seed for tokens, by_seed in found.items() if by_seed.keys() == seeds}

  def check_space(self, space: SearchSpace) -> None:
    """Raises a `SearchError` if the table is of another space."""
    if space.digest != self.space.digest:
      raise SearchError(
        f'{self.path} is a table for another space: {json.dumps(self.space.to_json())},'
        f' not {json.dumps(space.to_json())}.'
      )

  def _row(self, number: int, line: str) -> Row:
    try:
      entry = json.loads(line)
      tokens = self.space.check(entry['tokens'])
      if self.space.decode(tokens).digest != entry['digest']:
        raise ValueError(f'digest {entry["digest"]} is not that of the tokens')
      fields = {field.name: entry[field.name] for field in dataclasses.fields(Measurement) if field.name in entry}
      return Row(tokens, int(entry['seed']), Measurement(**fields))
    except (ValueError, KeyError, TypeError) as e:
      raise SearchError(f'{self.path}, line {number}: not an evaluation of a table: {e}') from e


def begin(path: str, space: SearchSpace, evaluator: Mapping[str, Any]) -> Table:
  """Starts a table or continues one: makes it end with a complete line.

  Raises:
    SearchError: it is of another space or evaluator, or cannot be written.
  """
  if not os.path.exists(path):
    with explained(path):
      os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
      _append(path, {'format': _FORMAT, 'space': space.to_json(), 'evaluator': dict(evaluator)})
  table = Table(path)
  table.check_space(space)
  if table.evaluator != json.loads(json.dumps(dict(evaluator))):
    raise SearchError(f'{path} was recorded with another evaluator: start another table.')
  if not table.is_whole:
    with explained(path), open(path, 'r+b') as file:
      file.truncate(file.read().rindex(b'\n') + 1)
  return table


def add(path: str, space: SearchSpace, row: Row) -> None:
  """Adds an evaluation, on disk when this returns."""
  entry = {'tokens': list(row.tokens), 'digest': space.decode(row.tokens).digest, 'seed': row.seed}
  _append(path, {**entry, **json.loads(row.measurement.to_json())})


def _append(path: str, entry: Mapping[str, Any]) -> None:
  with explained(path), open(path, 'a', encoding='utf-8') as file:
    file.write(json.dumps(entry, separators=(',', ':')) + '\n')
    file.flush()
    os.fsync(file.fileno())


class Recorded(SearchSpace):
  """The part of a space that a table has: each searcher proposes recorded architectures alone."""

  def __init__(self, space: SearchSpace, sequences: Sequence[tuple[int, ...]]):
    """Takes the whole space and the legal sequences of it that there are."""
    self._space, self._sequences = space, sorted(sequences)
    self.name, self.num_steps, self.architecture_key = space.name, space.num_steps, space.architecture_key

  def num_choices(self, step: int) -> int:
    """Answers like the whole space."""
    return self._space.num_choices(step)

  def kind(self, step: int) -> str:
    """Answers like the whole space."""
    return self._space.kind(step)

  def completions(self, prefix: Sequence[int]) -> list[int]:
    """Counts recorded sequences."""
    prefix = tuple(int(token) for token in prefix)
    counts = [0] * self.num_choices(len(prefix))
    for sequence in self._sequences[bisect.bisect_left(self._sequences, prefix) :]:
      if sequence[: len(prefix)] != prefix:
        break
      counts[sequence[len(prefix)]] += 1
    return counts

  def decode(self, tokens: Sequence[int]) -> Architecture:
    """Converts like the whole space, recorded sequences only."""
    return self._space.decode(self.check(tokens))

  def encode(self, architecture: Any) -> tuple[int, ...]:
    """Converts like the whole space; a ValueError if the architecture was not recorded."""
    return self.check(self._space.encode(architecture))

  def read(self, architecture: dict[str, Any]) -> Architecture:
    """Answers like the whole space."""
    return self._space.read(architecture)

  def features(self, tokens: Sequence[int]) -> Any:
    """Answers like the whole space."""
    return self._space.features(tokens)

  def to_json(self) -> dict[str, Any]:
    """Returns that of the whole space and how many architectures were recorded."""
    return {**self._space.to_json(), 'recorded': len(self._sequences)}
