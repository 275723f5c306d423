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

"""The analysis of variance finds the spreads that recorded rewards were made with."""

import dataclasses

import numpy as np
import pytest

from benchmarks import device, search_table, search_variance
from nasfpn_tf.search import table
from nasfpn_tf.search.config import SearchConfig
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Measurement
from tests import testing

CONFIG = SearchConfig(
  space={'name': 'nasfpn', 'num_cells': 3, 'min_level': 3, 'max_level': 4},
  evaluator={'name': 'tests.search.samples:instant'},
)


def test_spreads_between_topologies_and_seeds_are_told_apart():
  rng = np.random.default_rng(0)
  topologies = rng.normal(0.5, 0.03, size=[4000, 1])
  found = search_variance.analyze(topologies + rng.normal(0.0, 0.02, size=[4000, 3]))
  assert (found.num_topologies, found.num_seeds) == (4000, 3)
  assert found.between == pytest.approx(0.03, rel=0.05) and found.within == pytest.approx(0.02, rel=0.05)
  assert found.explained == pytest.approx(0.69, abs=0.03) and found.p < 1e-6
  # Correlated normal variables: tau is 2 / pi * asin(correlation).
  assert found.tau == pytest.approx(2 / np.pi * np.arcsin(9 / 13), abs=0.03)


def test_seeds_alone_are_no_difference_between_topologies():
  found = search_variance.analyze(np.random.default_rng(0).normal(0.5, 0.02, size=[300, 2]))
  assert found.between < 0.004 and found.p > 0.01 and abs(found.tau) < 0.1
  with pytest.raises(SearchError, match='at least 2 topologies with 2 seeds each'):
    search_variance.analyze([[0.1], [0.2]])


def test_a_table_is_analyzed(tmp_path, capsys):
  path = str(tmp_path / 'table.jsonl')
  search_table.record(CONFIG, path, 6, [0, 1], str(tmp_path / 'work'))
  recorded = table.Table(path)
  lone = dataclasses.replace(recorded.rows[0], seed=2, measurement=Measurement.failure('no memory', 1.0))
  table.add(path, recorded.space, lone)
  search_variance.report(path, [], None)
  printed = capsys.readouterr().out
  assert '| | 6 topologies, 2 seeds |' in printed
  assert '| standard deviation between seeds | 0.00 |' in printed  # This evaluator does not depend on the seed.
  assert "| Kendall's tau of two seeds | 1.00 |" in printed


@pytest.mark.parametrize('name', ['digits_residual', 'digits_published', 'digits'])
def test_the_documented_shares_are_those_of_the_committed_tables(capsys, name):
  documents = testing.repo_root() / 'docs'
  written = device.read_tables((documents / 'search.md').read_text(encoding='utf-8'))
  column = f'`{name}.jsonl`'
  (documented,) = [{row['']: row[column] for row in rows} for rows in written if column in rows[0]]
  search_variance.report(str(documents / 'search_table' / f'{name}.jsonl'), [], None)
  ((*figures,),) = device.read_tables(capsys.readouterr().out)
  found = {row['']: value for row in figures for key, value in row.items() if key}
  (counted,) = [key for key in figures[0] if key]
  assert counted == f'{documented["topologies"]} topologies, 2 seeds'
  share, tau = 'share of the variance explained by the topology', "Kendall's tau of two seeds"
  assert documented[share] == found[share] and documented[tau] == found[tau]
  for label in ('AP: mean', 'standard deviation between topologies', 'standard deviation between seeds'):
    value = documented.get(label) or documented[f'{label}, percent']
    assert float(value) == pytest.approx(float(found[label]), abs=0.0501)  # One digit in the docs, two printed.
