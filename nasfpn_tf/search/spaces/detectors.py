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

"""Defines the joint space of a detector: its sizes, and the merging cells of its pyramid.

NAS-FPN searches the pyramid of a detector whose sizes are given (`pyramids`). On a small device the sizes matter as
much: input resolution, levels, pyramids in the stack, channels and the depth of the head are decided here together with
the cells, for searches under a target of latency, multiply-adds or bytes.
"""

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasfpn_tf import topology
from nasfpn_tf.search import space
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.pyramids import PyramidSpace

# The decisions before the cells, in this order, each with the key of the model that it sets.
_SIZES = {
  'input_size': 'input_size',
  'levels': 'min_level and max_level',
  'num_repeats': 'decoder.feature_pyramid.num_repeats',
  'num_filters': 'decoder.feature_pyramid.num_filters',
  'num_convs': 'head.num_convs',
}
_LARGEST = 2**16  # Of a size: no image, layer or stack of layers is larger.


class DetectorSpec:
  """A detector as changes to a training's configuration: `{'task': {'model': {...}}}`, which `train.py` reads as it is.

  Attributes:
    name: 'detector_' and the first digits of the digest.
    model: the keys of the model that are decided; the topology is JSON text in them, as in every configuration.
  """

  def __init__(self, model: Mapping[str, Any]):
    """Takes the keys of the model."""
    self.model = dict(model)
    self.name = f'detector_{self.digest[:8]}'

  @property
  def digest(self) -> str:
    """16 hex digits that name the detector."""
    text = json.dumps(self.model, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

  @property
  def pyramid(self) -> topology.PyramidSpec:
    """The topology of its pyramid."""
    return topology.PyramidSpec.from_json(self.model['decoder']['feature_pyramid']['topology'])

  def to_dict(self) -> dict[str, Any]:
    """Returns the changes to a training's configuration."""
    return {'task': {'model': self.model}}


class DetectorSpace(space.SearchSpace):
  """Detectors of five sizes, each one of a list, and a pyramid of `num_cells` cells (`PyramidSpace`) on their levels.

  The head has the channels of the pyramid. With more levels a pyramid of the same number of cells has fewer that are
  not outputs.
  """

  name = 'detector'
  architecture_key = ''  # An architecture is changes to the experiment.

  def __init__(
    self,
    input_size: Sequence[int | Sequence[int]] = (256, 384, 512),
    levels: Sequence[Sequence[int]] = ((3, 6), (3, 7)),
    num_repeats: Sequence[int] = (1, 2, 3, 4),
    num_filters: Sequence[int] = (32, 48, 64, 88),
    num_convs: Sequence[int] = (1, 2, 3),
    num_cells: int = 7,
    ops: Sequence[str] = ('sum', 'global_pooling'),
  ):
    """Makes the space of all combinations.

    Args:
      input_size: pixels of a square image, or [height, width]; multiples of the coarsest stride.
      levels: [finest, coarsest] level of the pyramid.
      num_repeats: pyramids in the stack (N).
      num_filters: channels of the pyramid and of the head (D).
      num_convs: convolutions of the head before its last.
      num_cells: merging cells of a pyramid.
      ops: operations of the cells to choose from.

    Raises:
      SearchError: an option is empty, repeats a value or cannot be; the message names it.
    """
    self.num_cells, self.ops = num_cells, tuple(ops)
    self._choices = {
      'input_size': [_pair(value) for value in input_size],
      'levels': [tuple(value) for value in levels],
      'num_repeats': list(num_repeats),
      'num_filters': list(num_filters),
      'num_convs': list(num_convs),
    }
    for name, values in self._choices.items():
      if not values or len(set(values)) != len(values) or any(not _is_size(value, name) for value in values):
        raise SearchError(f'space detector: {name} {list(values)} must be one or more {_needed(name)}, each once.')
    self._pyramids = [PyramidSpace(num_cells, *pair, ops) for pair in self._choices['levels']]
    coarsest = 2 ** max(highest for _, highest in self._choices['levels'])
    for height, width in self._choices['input_size']:
      if height % coarsest or width % coarsest:
        raise SearchError(
          f'space detector: input_size {[height, width]} is not a multiple of {coarsest}, the coarsest stride.'
        )
    self._num_sizes = len(_SIZES)
    self.num_steps = self._num_sizes + 4 * num_cells

  def num_choices(self, step: int) -> int:
    """Returns the number of sizes, or of what the cells of any levels have to choose from."""
    if step < self._num_sizes:
      return len(self._values(step))
    return max(pyramid.num_choices(step - self._num_sizes) for pyramid in self._pyramids)

  def kind(self, step: int) -> str:
    """Returns the name of the size, then 'input', 'input', 'level', 'op', cell by cell."""
    return [*_SIZES][step] if step < self._num_sizes else self._pyramids[0].kind(step - self._num_sizes)

  def completions(self, prefix: Sequence[int]) -> list[int]:
    """See the base class."""
    prefix, step = tuple(prefix), len(prefix)
    sizes = prefix[: self._num_sizes]
    if any(not 0 <= token < len(self._values(i)) for i, token in enumerate(sizes)):
      return [0] * self.num_choices(step)
    if step >= self._num_sizes:
      counts = self._pyramid(prefix).completions(prefix[self._num_sizes :])
      return counts + [0] * (self.num_choices(step) - len(counts))
    after = math.prod(len(self._values(i)) for i in range(step + 1, self._num_sizes) if i != 1)
    if step == 1:
      return [after * pyramid.size() for pyramid in self._pyramids]
    pyramids = self._pyramids if step < 1 else [self._pyramid(prefix)]
    return [after * sum(pyramid.size() for pyramid in pyramids)] * len(self._values(step))

  def decode(self, tokens: Sequence[int]) -> DetectorSpec:
    """Converts a sequence to a detector."""
    tokens = self.check(tokens)
    size = {name: values[token] for (name, values), token in zip(self._choices.items(), tokens, strict=False)}
    pyramid = self._pyramid(tokens).decode(tokens[self._num_sizes :])
    return DetectorSpec(
      {
        'input_size': [*size['input_size'], 3],
        'min_level': size['levels'][0],
        'max_level': size['levels'][1],
        'decoder': {
          'type': 'feature_pyramid',
          'feature_pyramid': {
            'topology': pyramid.to_json(),
            'num_repeats': size['num_repeats'],
            'num_filters': size['num_filters'],
          },
        },
        'head': {'num_convs': size['num_convs'], 'num_filters': size['num_filters']},
      }
    )

  def encode(self, architecture: DetectorSpec) -> tuple[int, ...]:
    """Converts a detector to its tokens; a ValueError says why it is outside the space."""
    where = f'detector {architecture.name!r} is not in the space {self.name!r}'
    model = architecture.model
    pyramid = model['decoder']['feature_pyramid']
    found = {
      'input_size': tuple(model['input_size'][:2]),
      'levels': (model['min_level'], model['max_level']),
      'num_repeats': pyramid['num_repeats'],
      'num_filters': pyramid['num_filters'],
      'num_convs': model['head']['num_convs'],
    }
    tokens = []
    for name, value in found.items():
      if value not in self._choices[name]:
        raise ValueError(f'{where}: its {name} is {value}.')
      tokens.append(self._choices[name].index(value))
    return (*tokens, *self._pyramid(tokens).encode(architecture.pyramid))

  def read(self, architecture: dict[str, Any]) -> DetectorSpec:
    """Reads a detector from its JSON value."""
    return DetectorSpec(architecture['task']['model'])

  def to_json(self) -> dict[str, Any]:
    """Returns the name and the arguments of the constructor."""
    lists = {name: [list(v) if isinstance(v, tuple) else v for v in values] for name, values in self._choices.items()}
    return {'name': self.name, **lists, 'num_cells': self.num_cells, 'ops': list(self.ops)}

  def features(self, tokens: Sequence[int]) -> np.ndarray:
    """Encodes the sizes one-hot and as logarithms, and the pyramid as one of its levels; the others' places are 0."""
    sizes = [np.arange(len(self._values(i))) == token for i, token in enumerate(tokens[: self._num_sizes])]
    scales = [
      math.log2(1 + np.prod(values[token])) for values, token in zip(self._choices.values(), tokens, strict=False)
    ]
    encoded = self._pyramid(tokens).features(tokens[self._num_sizes :])
    pyramids = [encoded if i == tokens[1] else np.zeros(length) for i, length in enumerate(self._feature_lengths)]
    return np.concatenate([*sizes, scales, *pyramids]).astype(np.float32)

  def drawing(self, architecture: dict[str, Any]) -> str:
    """Draws the pyramid."""
    return topology.svg(self.read(architecture).pyramid)

  def cheapest(self) -> list[tuple[int, ...]]:
    """Returns the cheapest detector on each range of levels: smallest sizes, all inner cells on the coarsest level."""
    sizes = [int(np.argmin([np.prod(value) for value in values])) for values in self._choices.values()]
    return [
      self.check((sizes[0], index, *sizes[2:], *tokens))
      for index, pyramid in enumerate(self._pyramids)
      for tokens in pyramid.cheapest()
    ]

  @functools.cached_property
  def _feature_lengths(self) -> list[int]:
    return [len(pyramid.features(pyramid.sequence(0))) for pyramid in self._pyramids]

  def _values(self, step: int) -> list[Any]:
    return [*self._choices.values()][step]

  def _pyramid(self, tokens: Sequence[int]) -> PyramidSpace:
    return self._pyramids[tokens[1]]


def _pair(value: Any) -> Any:
  """Returns (height, width) of an input size."""
  return (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else value


def _is_size(value: Any, name: str) -> bool:
  numbers = value if isinstance(value, tuple) else (value,)
  return len(numbers) == (2 if name in ('input_size', 'levels') else 1) and all(
    isinstance(number, int) and not isinstance(number, bool) and (name != 'num_convs') <= number <= _LARGEST
    for number in numbers
  )


def _needed(name: str) -> str:
  if name == 'input_size':
    return f'numbers of pixels or pairs [height, width], up to {_LARGEST}'
  return 'pairs [finest, coarsest]' if name == 'levels' else f'positive whole numbers up to {_LARGEST}'
