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

"""Searches as the paper does: a recurrent controller trained by PPO (arXiv 1904.07392, sec. 3)."""

import json
from typing import Any

import numpy as np

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers import controller, ppo
from nasfpn_tf.search.searchers.searcher import trial_rng
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Results, Trial


class PolicySearch:
  """A recurrent controller samples architectures; PPO trains it by their rewards (sec. 3)."""

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
      tokens, log_probs = controller.sample(self._learner.weights, self._space, trial_rng(self._seed, trial_id))
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
    """Serializes to a line of JSON, then the weights and Adam's means and squares, little-endian."""
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
    sizes = {name: int(np.prod(shape)) for name, shape in mine.items()}
    try:
      header = json.loads(text)
      values = np.frombuffer(data, header['dtype'])
      if header['shapes'] != mine or len(values) != 3 * sum(sizes.values()) or not np.isfinite(values).all():
        raise ValueError('other shapes, or no numbers')
      num_steps, baseline = int(header['num_steps']), header['baseline']
      baseline = None if baseline is None else float(baseline)
      pending = [
        (list(self._space.check(tokens)), [float(value) for value in log_probs], float(reward))
        for tokens, log_probs, reward in header['pending']
      ]
    except (ValueError, TypeError, KeyError) as e:
      raise SearchError(
        'This is not the state of a controller for this space: continue with the searcher and the space of the search.'
      ) from e
    groups = []
    for group in np.split(values, 3):
      arrays, start = {}, 0
      for name in sorted(mine):
        array = group[start : start + sizes[name]].reshape(mine[name])
        arrays[name] = array.astype(values.dtype.newbyteorder('='))
        start += sizes[name]
      groups.append(arrays)
    self._learner, self._pending = ppo.Learner(*groups, num_steps, baseline), pending
