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

"""Defines the interface of searchers."""

from typing import Protocol

import numpy as np

from nasfpn_tf.search.trial import Results, Trial


class Searcher(Protocol):
  """Proposes trials and learns from their results.

  The loop stores `state()` together with the news that made it, so a search that is killed at any moment goes on from
  a state that knows each measurement exactly once. For that a searcher is a function of its state: what it proposes
  for trial number i depends on the state, on i and on its seed alone (draw from `trial_rng`),
  and observing measurements in two calls comes to the same as in one.
  """

  def propose(self, first_id: int, count: int) -> list[Trial]:
    """Proposes trials `first_id` to `first_id + count - 1`. Changes no state: the same call returns the same trials."""

  def observe(self, results: Results) -> None:
    """Learns from measurements, in this order. Each trial is observed once, failed and reused ones too."""

  def state(self) -> bytes:
    """Returns all that `observe` has changed since construction."""

  def restore(self, state: bytes) -> None:
    """Makes a searcher constructed with the same arguments equal to the one whose `state()` this is, bit for bit."""


def trial_rng(seed: int, trial_id: int) -> np.random.Generator:
  """Makes the generator that trial number `trial_id` is drawn from, whatever was drawn before."""
  return np.random.default_rng((seed, trial_id))
