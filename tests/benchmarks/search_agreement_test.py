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

"""Cheaper rewards are compared with separate trainings: those of another table, and predicted ones."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import search_agreement
from nasfpn_tf.search import table
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Trial
from tests import testing

RECORDED = str(testing.repo_root() / 'docs' / 'search_table' / 'digits.jsonl')


@pytest.fixture(scope='module')
def trials():
  found, _ = search_agreement.recorded(RECORDED, table.Table(RECORDED).space, 24)
  return found


def test_a_prediction_from_more_architectures_agrees_better(trials):
  recorded = table.Table(RECORDED)
  known = recorded.rewards()
  own = [known[trial.tokens] for trial in trials]
  few, many = (search_agreement.predicted(recorded, trials, count) for count in (20, 200))
  assert stats.kendalltau(many, own).statistic > max(0.4, stats.kendalltau(few, own).statistic)
  with pytest.raises(SearchError, match=r'digits\.jsonl has 276 other architectures, not 277'):
    search_agreement.predicted(recorded, trials, 277)


def test_another_table_must_have_the_architectures(trials):
  found, seconds = search_agreement.cheaper(RECORDED, trials)
  first = {row.tokens: row.measurement for row in table.Table(RECORDED).rows if row.seed == 0}
  assert [m.ap for m in found] == [first[trial.tokens].ap for trial in trials] and min(seconds) > 0
  space = table.Table(RECORDED).space
  rng = np.random.default_rng(1)
  known = table.Table(RECORDED).rewards()
  strange = next(tokens for tokens in iter(lambda: space.sample(rng), None) if tokens not in known)
  with pytest.raises(SearchError, match='lacks 1 of the architectures'):
    search_agreement.cheaper(RECORDED, [*trials, Trial.of(space, 24, strange)])
