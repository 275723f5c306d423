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

"""Searches at random: the baseline for other searchers."""

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers.searcher import trial_rng
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Results, Trial


class RandomSearch:
  """Draws architectures uniformly from the space, independent of rewards."""

  def __init__(self, space: SearchSpace, seed: int = 0):
    """Keeps the space; trial i is drawn by `trial_rng(seed, i)`."""
    self._space, self._seed = space, seed

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """See `Searcher`."""
    return [
      Trial.of(self._space, i, self._space.sample(trial_rng(self._seed, i))) for i in range(first_id, first_id + count)
    ]

  def observe(self, results: Results) -> None:
    """Learns nothing."""

  def state(self) -> bytes:
    """Returns an empty state."""
    return b''

  def restore(self, state: bytes) -> None:
    """Does nothing: there is no state."""
    if state:
      raise SearchError('This is not the state of a random search: continue with the searcher of the search.')
