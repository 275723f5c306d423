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

"""Defines search spaces: architectures as sequences of decisions, with the illegal ones masked.

A space is one class. It says which decisions there are, how many legal sequences begin with a given prefix, and how a
sequence becomes an architecture; masks, sizes, uniform samples and enumerations follow from the counts.
"""

import abc
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Architecture(Protocol):
  """Architecture that a sequence decodes to, such as `topology.PyramidSpec`."""

  name: str

  @property
  def digest(self) -> str:
    """16 hex digits that name the architecture, whatever it is called."""

  def to_dict(self) -> dict[str, Any]:
    """Returns the JSON form as a dict."""


class SearchSpace(abc.ABC):
  """Sequences of `num_steps` tokens, each the index of a choice, one to one with architectures.

  Attributes:
    name: as a configuration calls the space.
    num_steps: length of every sequence.
    architecture_key: where in the experiment that trains an architecture it goes, as JSON text; '' if it is changes to
      the experiment itself.
  """

  name: str
  architecture_key: str = 'task.model.decoder.feature_pyramid.topology'
  num_steps: int

  @abc.abstractmethod
  def num_choices(self, step: int) -> int:
    """Returns the number of tokens of a step, legal or not."""

  @abc.abstractmethod
  def kind(self, step: int) -> str:
    """Returns what a step decides, e.g. 'input'; a token means the same in all steps of a kind."""

  @abc.abstractmethod
  def completions(self, prefix: Sequence[int]) -> list[int]:
    """Counts, for each token of step `len(prefix)`, the legal sequences that begin with the prefix and that token.

    All are 0 where the prefix itself is illegal.
    """

  @abc.abstractmethod
  def decode(self, tokens: Sequence[int]) -> Architecture:
    """Converts a legal sequence to its architecture; a ValueError names the first illegal step."""

  @abc.abstractmethod
  def encode(self, architecture: Architecture) -> tuple[int, ...]:
    """Converts an architecture to its sequence; a ValueError says why it is not in the space."""

  @abc.abstractmethod
  def read(self, architecture: dict[str, Any]) -> Architecture:
    """Reads an architecture from the JSON value that its `to_dict` returned."""

  @abc.abstractmethod
  def to_json(self) -> dict[str, Any]:
    """Returns name and options, from which the same space can be built."""

  def drawing(self, architecture: dict[str, Any]) -> str:
    """Draws the JSON value of an architecture as SVG, for reports; '' if the space has no drawing."""
    del architecture
    return ''

  def features(self, tokens: Sequence[int]) -> np.ndarray:
    """Encodes a legal sequence as numbers, float32 of one length for the whole space, for a predictor of its reward.

    By default each token one-hot. A space that knows what its tokens amount to may add to them.
    """
    encoded = [np.arange(self.num_choices(step)) == token for step, token in enumerate(tokens)]
    return np.concatenate(encoded).astype(np.float32)

  def cheapest(self) -> list[tuple[int, ...]]:
    """Returns sequences of which one costs least of all; none where costs hardly differ.

    A target below that cost ends a search before anything is trained.
    """
    return []

  @property
  def digest(self) -> str:
    """16 hex digits that name this space with its options."""
    text = json.dumps(self.to_json(), sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

  def legal(self, prefix: Sequence[int]) -> np.ndarray:
    """Returns bool [num_choices(len(prefix))]: True if a legal sequence continues with that token."""
    return np.array([count > 0 for count in self.completions(prefix)], dtype=bool)

  def size(self) -> int:
    """Counts the legal sequences, which is the number of architectures."""
    return sum(self.completions(()))

  def check(self, tokens: Sequence[int]) -> tuple[int, ...]:
    """Checks a sequence; returns it as integers. A ValueError names the first illegal step."""
    tokens = tuple(int(token) for token in tokens)
    if len(tokens) != self.num_steps:
      raise ValueError(f'space {self.name!r}: a sequence has {self.num_steps} tokens, not {len(tokens)}.')
    for step, token in enumerate(tokens):
      legal = self.legal(tokens[:step])
      if not 0 <= token < len(legal) or not legal[token]:
        allowed = ', '.join(map(str, np.flatnonzero(legal)))
        raise ValueError(
          f'space {self.name!r}: token {token} is illegal at step {step} ({self.kind(step)}); legal there: {allowed}.'
        )
    return tokens

  def sequence(self, index: int) -> tuple[int, ...]:
    """Returns legal sequence number `index` in lexicographic order."""
    if not 0 <= index < self.size():
      raise ValueError(f'space {self.name!r} has {self.size()} sequences; there is no number {index}.')
    tokens = ()
    for _ in range(self.num_steps):
      for token, count in enumerate(self.completions(tokens)):
        if index < count:
          tokens += (token,)
          break
        index -= count
    return tokens

  def sequences(self) -> Iterator[tuple[int, ...]]:
    """Yields all legal sequences in lexicographic order; for small spaces."""
    return self._begun_with(())

  def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
    """Draws a sequence exactly uniformly from all legal ones, by its number."""
    return self.sequence(_below(rng, self.size()))

  def _begun_with(self, prefix: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(prefix) == self.num_steps:
      yield prefix
      return
    for token, count in enumerate(self.completions(prefix)):
      if count:
        yield from self._begun_with((*prefix, token))


def changes(architecture: Mapping[str, Any], key: str) -> dict[str, Any]:
  """Returns what an architecture in its JSON form changes in an experiment.

  Args:
    architecture: its JSON form.
    key: as `SearchSpace.architecture_key`.
  """
  if not key:
    return dict(architecture)
  *sections, last = key.split('.')
  changed: dict[str, Any] = {last: json.dumps(architecture)}
  for section in reversed(sections):
    changed = {section: changed}
  return changed


def _below(rng: np.random.Generator, bound: int) -> int:
  """Draws an integer uniformly from 0 to `bound` - 1, however large."""
  bits = bound.bit_length()
  while True:
    value = int.from_bytes(rng.bytes((bits + 7) // 8), 'little') & ((1 << bits) - 1)
    if value < bound:
      return value
