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

"""Defines synthetic rewards, to compare searchers in seconds: one whose best is known, one that is like a pyramid's."""

from collections.abc import Sequence

import numpy as np

from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.spaces.pyramids import PyramidSpace


class Likeness:
  """Similarity to a hidden sequence: the mean of the shares of equal tokens and of equal cells.

  The hidden sequence itself has 1, and nothing else has 95 %: a pyramid of 7 cells with one token wrong has 0.91. Whole
  cells count so that tokens do not contribute independently of each other.
  """

  def __init__(self, space: SearchSpace, seed: int, tokens_per_cell: int = 4):
    """Hides a sequence drawn uniformly.

    Args:
      space: where from.
      seed: of the draw.
      tokens_per_cell: decisions that make a cell.
    """
    self.best = np.array(space.sample(np.random.default_rng((seed, space.num_steps, 1))))
    self._tokens_per_cell = tokens_per_cell

  def __call__(self, tokens: Sequence[int]) -> float:
    """Computes the reward of a sequence, 0 to 1."""
    same = np.array(tokens) == self.best
    return 0.5 * float(same.mean()) + 0.5 * float(same.reshape(-1, self._tokens_per_cell).all(axis=1).mean())


_GAINS = {'sum': 1.1, 'global_pooling': 0.9}  # Of the operations of a `Mixing`.


class Mixing:
  """Reward by what each output of a pyramid is a mixture of, with noise as between two trainings; for pyramids alone.

  Each cell averages what it merges, so that an output is a mixture of the pyramid's inputs. Hidden weights say how much
  of each input is good for each output and which inputs should reach it at all. That depends on the graph, not on the
  order of its cells; the noise is a function of the architecture.
  """

  def __init__(self, space: PyramidSpace, seed: int, noise: float = 0.01):
    """Draws the hidden weights.

    Args:
      space: of pyramids.
      seed: of the weights and of the noise.
      noise: standard deviation; rewards spread by about 0.06.
    """
    self._space, self._seed, self._noise = space, seed, noise
    levels = space.max_level - space.min_level + 1
    self._reached, self._shares = np.random.default_rng(seed).normal(size=[2, levels, levels])

  def __call__(self, tokens: Sequence[int]) -> float:
    """Computes the reward of a sequence, 0 or more."""
    spec = self._space.decode(tokens)
    shares = [*np.eye(spec.num_levels)]
    for cell, sources in zip(spec.cells, spec.wiring(), strict=True):
      shares.append(np.mean([shares[source] for source in sources], axis=0) * _GAINS.get(cell.op, 1.0))
    outputs = np.stack([shares[feature] for feature in spec.outputs.values()])
    value = float(np.sum(self._shares * outputs) + 0.5 * np.sum(self._reached * (outputs > 0)))
    noise = np.random.default_rng((int(spec.digest, 16), self._seed)).normal(scale=self._noise)
    return max(0.0, 0.3 + 0.03 * value + float(noise))
