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

"""Searches by regularized evolution: mutates the best of the newest architectures (arXiv 1802.01548)."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from nasfpn_tf.report import pareto
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers.searcher import trial_rng
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Results, Trial


class RegularizedEvolution:
  """Evolution that removes the oldest architecture, not the worst (arXiv 1802.01548, algorithm 1).

  A tournament among the newest `population_size` architectures picks the parent; the child differs in one decision,
  and in those after it that the change has made illegal. The winner has the highest reward, or, with `selection`
  'pareto', is any of those that no rival dominates in cost and AP: then the population spreads along the frontier of
  both, and no target is needed.
  """

  def __init__(
    self,
    space: SearchSpace,
    seed: int = 0,
    population_size: int = 100,
    tournament_size: int = 25,
    selection: str = 'reward',
  ):
    """Begins with nobody: the first `population_size` architectures are drawn uniformly.

    Args:
      space: what is searched.
      seed: of the draws.
      population_size: how many architectures are alive (100 in the paper).
      tournament_size: how many of them compete to be the parent (25 in the paper).
      selection: 'reward', or 'pareto' by cost and AP.

    Raises:
      ValueError: if the sizes are not positive, a tournament is larger than the population, or there is no such
        selection.
    """
    if selection not in SELECTIONS:
      raise ValueError(f'evolution: selection is {selection!r}; choose one of {", ".join(SELECTIONS)}.')
    if not 1 <= tournament_size <= population_size:
      raise ValueError(
        f'evolution: tournament_size is {tournament_size}; it must be from 1 to population_size, {population_size}.'
      )
    self._space, self._seed = space, seed
    self._population_size, self._tournament_size = population_size, tournament_size
    self._selection = selection
    self._population: list[_Member] = []  # Oldest first.

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """See `Searcher`; `info` names the parent."""
    trials = []
    for trial_id in range(first_id, first_id + count):
      rng = trial_rng(self._seed, trial_id)
      if len(self._population) < self._population_size:
        trials.append(Trial.of(self._space, trial_id, self._space.sample(rng)))
        continue
      rivals = rng.choice(len(self._population), self._tournament_size, replace=False)
      parent = SELECTIONS[self._selection]([self._population[i] for i in rivals], rng)
      tokens = mutate(self._space, parent.tokens, rng)
      trials.append(Trial.of(self._space, trial_id, tokens, {'parent': parent.id}))
    return trials

  def observe(self, results: Results) -> None:
    """Adds the new trials to the population and removes the oldest."""
    for trial, found in results:
      score = found.reward if found.ap is None else found.ap
      self._population.append(_Member(trial.id, trial.tokens, found.reward, score, found.cost))
    del self._population[: -self._population_size]

  def state(self) -> bytes:
    """Returns the population: id, tokens, reward, and where they count score and cost."""
    length = 5 if self._selection == 'pareto' else 3
    return json.dumps([dataclasses.astuple(member)[:length] for member in self._population]).encode()

  def restore(self, state: bytes) -> None:
    """See `Searcher`."""
    try:
      population = json.loads(state)
      if not isinstance(population, list):
        raise ValueError('no list')
      self._population = [
        _Member(int(member), self._space.check(tokens), float(reward), *self._cost_of(*rest))
        for member, tokens, reward, *rest in population
      ]
    except (ValueError, TypeError) as e:
      raise SearchError(
        'This is not the state of an evolution: continue with the searcher that the search started with.'
      ) from e

  def _cost_of(self, score: float = 0.0, cost: float | None = None) -> tuple[float, float | None]:
    """Reads the end of a stored member, which only those of a Pareto selection have."""
    return float(score), None if cost is None else float(cost)


@dataclasses.dataclass(frozen=True)
class _Member:
  """An architecture that is alive: its trial, and what the selections go by; `score` is the AP, if it was measured."""

  id: int
  tokens: tuple[int, ...]
  reward: float
  score: float = 0.0
  cost: float | None = None


def _by_reward(rivals: Sequence[_Member], unused_rng: np.random.Generator) -> _Member:
  return max(rivals, key=lambda member: member.reward)


def _by_pareto(rivals: Sequence[_Member], rng: np.random.Generator) -> _Member:
  """Draws from the rivals that none dominates; one without a cost, as after a failure, loses to all that have one."""
  priced = {i: (member.cost, member.score) for i, member in enumerate(rivals) if member.cost is not None}
  if not priced:
    return _by_reward(rivals, rng)
  return rivals[int(rng.choice(pareto.front(priced)))]


SELECTIONS = {'reward': _by_reward, 'pareto': _by_pareto}


def mutate(space: SearchSpace, tokens: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
  """Changes one token of a legal sequence and redraws those that become illegal.

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
