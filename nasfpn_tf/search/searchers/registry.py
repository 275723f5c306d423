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

"""Builds the searcher that a configuration names."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers import ppo, predictor
from nasfpn_tf.search.searchers.evolution import RegularizedEvolution
from nasfpn_tf.search.searchers.policy import PolicySearch
from nasfpn_tf.search.searchers.random_search import RandomSearch
from nasfpn_tf.search.searchers.searcher import Searcher
from nasfpn_tf.search.space import SearchSpace

SEARCHERS = {
  'ppo': PolicySearch,
  'evolution': RegularizedEvolution,
  'predictor': predictor.PredictorSearch,
  'random': RandomSearch,
}


def build(kind: str, space: SearchSpace, seed: int = 0, options: Mapping[str, Any] | None = None) -> Searcher:
  """Builds the searcher that a configuration names.

  Args:
    kind: 'ppo', 'evolution', 'predictor' or 'random'.
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
    'evolution': {'population_size': int, 'tournament_size': int, 'selection': str},
    'predictor': {field.name: type(field.default) for field in dataclasses.fields(predictor.Options)},
    'random': {},
  }[kind]
  for key, value in (options or {}).items():
    if key not in known:
      raise SearchError(f'searcher {kind}: option {key!r} is unknown; {", ".join(known) or "it has none"}.')
    wanted = int | float if known[key] is float else known[key]
    if isinstance(value, bool) or not isinstance(value, wanted):
      needed = 'text' if wanted is str else 'a number'
      raise SearchError(f'searcher {kind}: option {key} is {value!r}; {needed} is needed.')
  try:
    return SEARCHERS[kind](space, seed, **(options or {}))
  except ValueError as e:
    raise SearchError(f'searcher {e}') from e
