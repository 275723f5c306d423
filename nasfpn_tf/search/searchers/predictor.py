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
"""Searches with a learned predictor: an ensemble of regression trees chooses the architectures to evaluate.

The scheme is that of BANANAS (arXiv 1910.11858): candidates are mutations of the best architectures so far, an ensemble
predicts the reward of each from its encoding, and one random draw from each prediction decides (independent Thompson
sampling, sec. 4). Trees take the place of the paper's networks: they are fitted in milliseconds and need no tuning. The
encoding is the space's (`SearchSpace.features`).
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers.evolution import mutate
from nasfpn_tf.search.searchers.searcher import trial_rng
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Results, Trial


@dataclasses.dataclass(frozen=True)
class Options:
  """Constants of the search.

  Attributes:
    num_initial: architectures drawn uniformly before the first prediction.
    num_candidates: architectures whose rewards are predicted for one proposal.
    num_parents: best architectures so far that candidates are mutations of.
    random_share: share of the candidates that are drawn uniformly instead.
    num_trees: trees of the ensemble.
    refit_every: observations between two fits of the ensemble.

  Raises:
    ValueError: at construction, naming what is out of range.
  """

  num_initial: int = 20
  num_candidates: int = 100
  num_parents: int = 10
  random_share: float = 0.1
  num_trees: int = 50
  refit_every: int = 5

  def __post_init__(self):
    for name in ('num_initial', 'num_candidates', 'num_parents', 'num_trees', 'refit_every'):
      if getattr(self, name) < 1:
        raise ValueError(f'predictor: {name} is {getattr(self, name)!r}; it must be 1 or more.')
    if not 0 <= self.random_share <= 1:
      raise ValueError(f'predictor: random_share is {self.random_share!r}; it must be from 0 to 1.')


def fit_ensemble(features: np.ndarray, rewards: Sequence[float], num_trees: int, seed: int) -> Any:
  """Fits randomized trees to rewards.

  Args:
    features: `[architectures, size]`, of `SearchSpace.features`.
    rewards: of the same architectures.
    num_trees: of the ensemble.
    seed: of the trees.

  Returns:
    Scikit-learn's ensemble, with `predict` and the trees in `estimators_`.
  """
  from sklearn.ensemble import ExtraTreesRegressor  # Takes long to import, and no other searcher needs it.

  return ExtraTreesRegressor(num_trees, max_features=0.5, random_state=seed, n_jobs=1).fit(features, rewards)


class PredictorSearch:
  """Proposes the candidate whose predicted reward is highest in one draw from the ensemble's prediction."""

  def __init__(self, space: SearchSpace, seed: int = 0, **options: float):
    """Begins with nothing observed: the first `num_initial` architectures are drawn uniformly.

    Args:
      space: what is searched.
      seed: of the draws and of the ensemble.
      **options: fields of `Options`.
    """
    self._space, self._seed, self._options = space, seed, Options(**options)
    self._observed: list[tuple[tuple[int, ...], float]] = []  # (tokens, reward), in the order of observation.
    self._ensemble: tuple[int, Any] | None = None  # With the number of observations it is fitted to.
    self._features: list[np.ndarray] = []  # Of the first observations; derived, so no part of the state.

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """See `Searcher`; `info` has the predicted reward."""
    trials = []
    for trial_id in range(first_id, first_id + count):
      rng = trial_rng(self._seed, trial_id)
      if len(self._observed) < self._options.num_initial:
        trials.append(Trial.of(self._space, trial_id, self._space.sample(rng)))
        continue
      candidates = self._candidates(rng)
      features = np.stack([self._space.features(tokens) for tokens in candidates])
      ensemble = self._fitted()
      predictions = np.stack([tree.predict(features) for tree in ensemble.estimators_])
      mean = predictions.mean(axis=0)
      best = int(np.argmax(mean + predictions.std(axis=0) * rng.normal(size=len(mean))))
      info = {'predicted': round(float(mean[best]), 6)}
      trials.append(Trial.of(self._space, trial_id, candidates[best], info))
    return trials

  def observe(self, results: Results) -> None:
    """Keeps the rewards; the next proposal learns from them."""
    self._observed += [(tuple(trial.tokens), measurement.reward) for trial, measurement in results]

  def state(self) -> bytes:
    """Returns what has been observed."""
    return json.dumps({'predictor': self._observed}, separators=(',', ':')).encode()

  def restore(self, state: bytes) -> None:
    """See `Searcher`."""
    try:
      observed = json.loads(state)['predictor']
      self._observed = [(self._space.check(tokens), float(reward)) for tokens, reward in observed]
    except (ValueError, TypeError, KeyError) as e:
      raise SearchError(
        'This is not the state of a predictor for this space: continue with the searcher and the space of the search.'
      ) from e
    self._ensemble, self._features = None, []

  def _candidates(self, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Draws different architectures, those that were not observed if there are any to be found."""
    known = {tokens for tokens, _ in self._observed}
    ranked = sorted(dict(self._observed).items(), key=lambda entry: -entry[1])  # Stable: the earlier one of two equals.
    parents = [tokens for tokens, _ in ranked[: self._options.num_parents]]
    found: dict[tuple[int, ...], None] = {}
    for _ in range(self._options.num_candidates):
      if rng.random() < self._options.random_share:
        tokens = self._space.sample(rng)
      else:
        tokens = mutate(self._space, parents[int(rng.integers(len(parents)))], rng)
      found[tokens] = None
    if known.issuperset(found):  # All around the best has been seen.
      found |= dict.fromkeys(self._space.sample(rng) for _ in range(self._options.num_candidates))
    return [tokens for tokens in found if tokens not in known] or list(found)

  def _fitted(self) -> Any:
    """Fits the ensemble to the observations up to the last multiple of `refit_every`, but at least `num_initial`."""
    every, first = self._options.refit_every, self._options.num_initial
    count = first + (len(self._observed) - first) // every * every
    if self._ensemble is None or self._ensemble[0] != count:
      new = self._observed[len(self._features) : count]
      self._features += [self._space.features(tokens) for tokens, _ in new]
      rewards = [reward for _, reward in self._observed[:count]]
      ensemble = fit_ensemble(np.stack(self._features[:count]), rewards, self._options.num_trees, self._seed)
      self._ensemble = count, ensemble
    return self._ensemble[1]
