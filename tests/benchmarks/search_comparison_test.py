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

"""The comparison of searchers: its measures and standard errors, its table, searchers with options, what is refused."""

import pytest

from benchmarks import search_comparison
from nasfpn_tf.search import searchers
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers.synthetic import Likeness
from nasfpn_tf.search.spaces.pyramids import PyramidSpace

SPACE = PyramidSpace(num_cells=3, min_level=3, max_level=4)


def test_measures_of_a_search():
  assert search_comparison.measure([0.1, 0.4, 0.2, 0.5]) == pytest.approx({'mean': 0.3, 'best': 0.5, 'area': 0.35})


def test_every_trial_counts():
  rewards = search_comparison.search(searchers.build('random', SPACE, 1), Likeness(SPACE, 0), 7)
  assert rewards == [Likeness(SPACE, 0)(trial.tokens) for trial in searchers.build('random', SPACE, 1).propose(0, 7)]


def test_a_row_has_the_mean_of_the_seeds_and_its_standard_error():
  results = [
    {'rewards': 'likeness:0', 'searcher': 'random', 'mean': mean, 'best': 0.5, 'area': 0.4, 'seconds': 1.0}
    for mean in (0.1, 0.2, 0.3)
  ]
  row = search_comparison.markdown(results).splitlines()[-1]
  assert row == '| likeness:0 | random | 3 | 0.2000 ± 0.0577 | 0.5000 ± 0.0000 | 0.4000 ± 0.0000 | 1.0 |'
  assert '| 1 | 0.1000 | 0.5000 |' in search_comparison.markdown(results[:1])


def test_searchers_are_named_with_their_options():
  assert search_comparison.searcher_of('random') == ('random', 'random', {})
  assert search_comparison.searcher_of('{name: evolution, population_size: 30}') == (
    'evolution (population_size 30)',
    'evolution',
    {'population_size': 30},
  )


@pytest.mark.parametrize('name', ['likenes:0', 'mixing:x', '/nowhere.jsonl'])
def test_unknown_rewards_are_named(name):
  with pytest.raises(SearchError, match='likeness:SEED'):
    search_comparison.problem_of(name, SPACE)
