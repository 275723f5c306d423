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

"""Who proposes: random search, regularized evolution, and the recurrent controller trained by PPO.

All three keep `searcher.Searcher`'s promise: trial number i depends on the state, on i and on the seed alone.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasfpn_tf.search import controller, ppo
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searcher import Searcher
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Measurement, Trial

Results = Sequence[tuple[Trial, Measurement]]


class RandomSearch:
  """Architectures drawn uniformly from the space, whatever came before."""

  def __init__(self, space: SearchSpace, seed: int = 0):
    """Keeps the space; trial i is drawn by `numpy.random.default_rng((seed, i))`."""
    self._space, self._seed = space, seed

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """See `Searcher`."""
    return [
      Trial.of(self._space, i, self._space.sample(_rng(self._seed, i))) for i in range(first_id, first_id + count)
    ]

  def observe(self, results: Results) -> None:
    """Learns nothing."""

  def state(self) -> bytes:
    """Empty: there is nothing to know."""
    return b''

  def restore(self, state: bytes) -> None:
    """Nothing to restore."""
    if state:
      raise SearchError('The state is not of a random search: continue with the searcher of the search.')


class RegularizedEvolution:
  """Evolution that forgets the oldest, not the worst (arXiv 1802.01548, algorithm 1).

  A tournament among the newest `population_size` architectures picks the parent; the child differs in one decision,
  and in those after it that the change has made illegal.
  """

  def __init__(self, space: SearchSpace, seed: int = 0, population_size: int = 100, tournament_size: int = 25):
    """Begins with nobody: the first `population_size` architectures are drawn uniformly.

    Args:
      space: what is searched.
      seed: of the draws.
      population_size: how many architectures are alive (100 in the paper).
      tournament_size: how many of them compete to be the parent (25 in the paper).

    Raises:
      ValueError: if the sizes are not positive or a tournament is larger than the population.
    """
    if not 1 <= tournament_size <= population_size:
      raise ValueError(
        f'evolution: tournament_size is {tournament_size}; it must be from 1 to population_size, {population_size}.'
      )
    self._space, self._seed = space, seed
    self._population_size, self._tournament_size = population_size, tournament_size
    self._population: list[tuple[int, list[int], float]] = []  # (id, tokens, reward), oldest first.

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """See `Searcher`; `info` names the parent."""
    trials = []
    for trial_id in range(first_id, first_id + count):
      rng = _rng(self._seed, trial_id)
      if len(self._population) < self._population_size:
        trials.append(Trial.of(self._space, trial_id, self._space.sample(rng)))
        continue
      rivals = rng.choice(len(self._population), self._tournament_size, replace=False)
      parent_id, tokens, _ = max((self._population[i] for i in rivals), key=lambda member: member[2])
      trials.append(Trial.of(self._space, trial_id, mutate(self._space, tokens, rng), {'parent': parent_id}))
    return trials

  def observe(self, results: Results) -> None:
    """The new ones live, the oldest die."""
    self._population += [(trial.id, list(trial.tokens), measurement.reward) for trial, measurement in results]
    del self._population[: -self._population_size]

  def state(self) -> bytes:
    """The population."""
    return json.dumps(self._population).encode()

  def restore(self, state: bytes) -> None:
    """See `Searcher`."""
    try:
      population = json.loads(state)
      if not isinstance(population, list):
        raise ValueError('no list')
      self._population = [(member_id, tokens, reward) for member_id, tokens, reward in population]
    except (ValueError, TypeError) as e:
      raise SearchError(
        'The state is not of an evolution: continue with the searcher that the search began with.'
      ) from e


class PolicySearch:
  """The paper's: a recurrent controller draws architectures, PPO makes it draw better ones (sec. 3)."""

  def __init__(self, space: SearchSpace, seed: int = 0, **options: Any):
    """Begins with fresh weights.

    Args:
      space: what is searched.
      seed: of the weights and of the draws.
      **options: fields of `ppo.Options`.
    """
    self._space, self._seed, self._options = space, seed, ppo.Options(**options)
    # Three numbers, which no trial draws from.
    weights = controller.init_weights(space, np.random.default_rng((seed, 0, 1)))
    self._learner = ppo.Learner.fresh(weights)
    self._pending: list[tuple[list[int], list[float], float]] = []  # Observed and not yet learned from.

  @property
  def learner(self) -> ppo.Learner:
    """The controller and its optimizer as they are."""
    return self._learner

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """See `Searcher`; `info` keeps the log probabilities, which the update needs."""
    trials = []
    for trial_id in range(first_id, first_id + count):
      tokens, log_probs = controller.sample(self._learner.weights, self._space, _rng(self._seed, trial_id))
      trials.append(Trial.of(self._space, trial_id, tokens, {'log_probs': [round(value, 6) for value in log_probs]}))
    return trials

  def observe(self, results: Results) -> None:
    """Learns as soon as a batch is full."""
    for trial, measurement in results:
      self._pending.append((list(trial.tokens), list(trial.info['log_probs']), measurement.reward))
      if len(self._pending) == self._options.batch_size:
        batch = zip(*self._pending, strict=True)
        self._learner = ppo.update(self._learner, self._space, *batch, self._options)
        self._pending = []

  def state(self) -> bytes:
    """A line of JSON, then weights and Adam's means and squares as they lie in memory, little-endian."""
    learner = self._learner
    names = sorted(learner.weights)
    header = {
      'shapes': {name: learner.weights[name].shape for name in names},
      'dtype': learner.weights[names[0]].dtype.newbyteorder('<').str,
      'num_steps': learner.num_steps,
      'baseline': learner.baseline,
      'pending': self._pending,
    }
    arrays = [group[name] for group in (learner.weights, learner.means, learner.squares) for name in names]
    return b'\n'.join([json.dumps(header).encode(), b''.join(a.astype(header['dtype']).tobytes() for a in arrays)])

  def restore(self, state: bytes) -> None:
    """See `Searcher`."""
    text, _, data = state.partition(b'\n')
    mine = {name: list(value.shape) for name, value in self._learner.weights.items()}
    try:
      header = json.loads(text)
      values = np.frombuffer(data, header['dtype'])
      sizes = [int(np.prod(shape)) for shape in mine.values()]
      if header['shapes'] != mine or len(values) != 3 * sum(sizes):
        raise ValueError('other shapes')
    except (ValueError, TypeError, KeyError) as e:
      raise SearchError(
        'The state is not of a controller for this space: continue with the searcher and the space of the search.'
      ) from e
    groups = []
    for group in np.split(values, 3):
      arrays, start = {}, 0
      for name in sorted(mine):
        size = int(np.prod(mine[name]))
        arrays[name] = group[start : start + size].reshape(mine[name]).astype(values.dtype.newbyteorder('='))
        start += size
      groups.append(arrays)
    self._learner = ppo.Learner(*groups, header['num_steps'], header['baseline'])
    self._pending = [tuple(entry) for entry in header['pending']]


SEARCHERS = {'ppo': PolicySearch, 'evolution': RegularizedEvolution, 'random': RandomSearch}


def build(kind: str, space: SearchSpace, seed: int = 0, options: Mapping[str, Any] | None = None) -> Searcher:
  """The searcher that a configuration names.

  Args:
    kind: 'ppo', 'evolution' or 'random'.
    space: what is searched.
    seed: of all draws.
    options: further arguments of the searcher, e.g. `learning_rate` or `population_size`.

  Raises:
    SearchError: naming the searcher or the option that does not exist, or its value that cannot be.
  """
  if kind not in SEARCHERS:
    raise SearchError(f'searcher {kind!r} is unknown; choose one of {", ".join(SEARCHERS)}.')
  known = {
    'ppo': {field.name: type(field.default) for field in dataclasses.fields(ppo.Options)},
    'evolution': {'population_size': int, 'tournament_size': int},
    'random': {},
  }[kind]
  for key, value in (options or {}).items():
    if key not in known:
      raise SearchError(f'searcher {kind}: option {key!r} is unknown; {", ".join(known) or "it has none"}.')
    if isinstance(value, bool) or not isinstance(value, int if known[key] is int else int | float):
      raise SearchError(f'searcher {kind}: option {key} is {value!r}; a number is needed.')
  try:
    return SEARCHERS[kind](space, seed, **(options or {}))
  except ValueError as e:
    raise SearchError(f'searcher {e}') from e


def mutate(space: SearchSpace, tokens: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
  """A legal sequence with one token changed, and with it those that cannot stay, which are drawn anew.

  The token is chosen uniformly among those that have an alternative. A space of one sequence gives that sequence.
  """
  choices = [np.flatnonzero(space.legal(tokens[:step])) for step in range(len(tokens))]
  free = [step for step, legal in enumerate(choices) if len(legal) > 1]
  if not free:
    return tuple(tokens)
  step = int(rng.choice(free))
  child = list(tokens[:step])
  child.append(int(rng.choice([token for token in choices[step] if token != tokens[step]])))
  for token in tokens[step + 1 :]:
    legal = space.legal(child)
    child.append(int(token) if legal[token] else int(rng.choice(np.flatnonzero(legal))))
  return tuple(child)


def _rng(seed: int, trial_id: int) -> np.random.Generator:
  return np.random.default_rng((seed, trial_id))
