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

"""Recording rewards: resumed, extended, and a comparison of searchers on the table that comes with the docs."""

import json
import statistics

import pytest

from benchmarks import search_comparison, search_table
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import searchers, table
from nasfpn_tf.search.config import SearchConfig
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from tests import testing
from tests.search import samples

DIGITS = testing.repo_root() / 'docs' / 'search_table' / 'digits.jsonl'

CONFIG = SearchConfig(
  space={'name': 'nasfpn', 'num_cells': 3, 'min_level': 3, 'max_level': 4},
  evaluator={'name': 'tests.search.samples:instant'},
)


def test_a_table_is_gone_on_with_and_extended(tmp_path):
  path, work_dir = str(tmp_path / 'table.jsonl'), str(tmp_path / 'work')
  assert search_table.record(CONFIG, path, 5, [0], work_dir) == 5
  assert search_table.record(CONFIG, path, 5, [0], work_dir) == 0
  assert search_table.record(CONFIG, path, 8, [0, 1], work_dir) == 11
  rows = table.Table(path).rows
  assert len({(row.tokens, row.seed) for row in rows}) == len(rows) == 16
  space = table.Table(path).space
  trial = samples.Trial.of(space, 0, rows[0].tokens)
  assert rows[0].measurement.reward == samples.reward(trial)


def test_searchers_are_compared_on_a_table(tmp_path):
  path = str(tmp_path / 'table.jsonl')
  search_table.record(CONFIG, path, 60, [0], str(tmp_path / 'work'))
  space, reward = search_comparison.problem_of(path)
  found = search_comparison.search(searchers.build('random', space, 0), reward, 20)
  assert set(found) <= set(table.Table(path).rewards().values())
  with pytest.raises(SearchError, match='table for another space'):
    search_comparison.problem_of(path, PyramidSpace())


def test_the_recorded_table_is_that_of_its_configuration():
  """So that the documented command extends it."""
  header = json.loads(DIGITS.read_text().splitlines()[0])
  config = config_lib.load('digits_table', 'evaluator.params_override.runtime.mixed_precision_dtype=bfloat16')
  assert header['evaluator'] == config.evaluator and header['space'] == config.space
  assert len(table.Table(str(DIGITS)).rewards()) == 300


def test_the_predictor_is_ahead_on_the_recorded_table():
  """As docs/search.md says; the area under the best so far needs more than three seeds to be told apart."""
  space, reward = search_comparison.problem_of(str(DIGITS))

  def measure(name, options=None):
    built = [searchers.build(name, space, seed, options) for seed in range(3)]
    found = [search_comparison.measure(search_comparison.search(searcher, reward, 100)) for searcher in built]
    return [result['mean'] for result in found], statistics.mean(result['best'] for result in found)

  means, best = measure('predictor')
  for other in (('ppo',), ('random',), ('evolution', {'population_size': 30, 'tournament_size': 10})):
    other_means, other_best = measure(*other)
    assert min(means) > max(other_means)
    assert best > other_best
