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

import json
from collections.abc import Sequence

import numpy as np

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers.searcher import trial_rng
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Results, Trial


class RegularizedEvolution:
  """Evolution that removes the oldest architecture, not the worst (arXiv 1802.01548, algorithm 1).

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
      rng = trial_rng(self._seed, trial_id)
      if len(self._population) < self._population_size:
        trials.append(Trial.of(self._space, trial_id, self._space.sample(rng)))
        continue
      rivals = rng.choice(len(self._population), self._tournament_size, replace=False)
      parent_id, tokens, _ = max((self._population[i] for i in rivals), key=lambda member: member[2])
      trials.append(Trial.of(self._space, trial_id, mutate(self._space, tokens, rng), {'parent': parent_id}))
    return trials

  def observe(self, results: Results) -> None:
    """Adds the new trials to the population and removes the oldest."""
    self._population += [(trial.id, list(trial.tokens), measurement.reward) for trial, measurement in results]
    del self._population[: -self._population_size]

  def state(self) -> bytes:
    """Returns the population."""
    return json.dumps(self._population).encode()

  def restore(self, state: bytes) -> None:
    """See `Searcher`."""
    try:
      population = json.loads(state)
      if not isinstance(population, list):
        raise ValueError('no list')
      self._population = [
        (int(member), list(self._space.check(tokens)), float(reward)) for member, tokens, reward in population
      ]
    except (ValueError, TypeError) as e:
      raise SearchError(
        'The state is not of an evolution: continue with the searcher that the search began with.'
      ) from e


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
