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

"""Tables of recorded rewards: written, gone on with, read, searched; what is no such table."""

import json
import pathlib

import numpy as np
import pytest

from nasfpn_tf.search import searchers, table
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Measurement

SPACE = PyramidSpace(num_cells=3, min_level=3, max_level=4)
EVALUATOR = {'name': 'proxy', 'config_file': 'digits'}


@pytest.fixture
def path(tmp_path):
  """A table of 40 architectures, the first of them evaluated twice."""
  path = str(tmp_path / 'tables' / 'table.jsonl')
  table.begin(path, SPACE, EVALUATOR)
  for i in range(40):
    table.add(path, SPACE, table.Row(SPACE.sequence(7 * i), 0, Measurement(0.01 * i, 0.01 * i, 5.0, 3.0)))
  table.add(path, SPACE, table.Row(SPACE.sequence(0), 1, Measurement(0.5)))
  table.add(path, SPACE, table.Row(SPACE.sequence(7), 1, Measurement.failure('NaN')))
  return path


def test_what_was_written_is_read(path):
  read = table.Table(path)
  assert read.space.digest == SPACE.digest and read.evaluator == EVALUATOR and len(read.rows) == 42
  assert read.rows[3] == table.Row(SPACE.sequence(21), 0, Measurement(0.03, 0.03, 5.0, 3.0))
  rewards = read.rewards()
  assert len(rewards) == 40
  assert (rewards[SPACE.sequence(0)], rewards[SPACE.sequence(7)]) == (0.25, 0.005)


def test_a_killed_recorder_leaves_a_table_that_is_gone_on_with(path):
  with open(path, 'a') as file:
    file.write('{"tokens":[0,1')
  assert len(table.Table(path).rows) == 42
  assert len(table.begin(path, SPACE, EVALUATOR).rows) == 42
  table.add(path, SPACE, table.Row(SPACE.sequence(8), 0, Measurement(0.1)))
  assert len(table.Table(path).rows) == 43


def test_another_space_or_evaluator_is_refused(path):
  with pytest.raises(SearchError, match='table for another space'):
    table.begin(path, PyramidSpace(), EVALUATOR)
  with pytest.raises(SearchError, match='recorded with another evaluator'):
    table.begin(path, SPACE, {'name': 'shared'})


@pytest.mark.parametrize('kind', searchers.SEARCHERS)
def test_searchers_propose_what_was_recorded(path, kind):
  rewards = table.Table(path).rewards()
  space = table.Recorded(SPACE, list(rewards))
  assert space.size() == 40 and list(space.sequences()) == sorted(rewards)
  options = {'evolution': {'population_size': 10, 'tournament_size': 4}, 'predictor': {'num_candidates': 10}}
  searcher = searchers.build(kind, space, 0, options.get(kind))
  for trial_id in range(30):
    (trial,) = searcher.propose(trial_id, 1)
    searcher.observe([(trial, Measurement(rewards[trial.tokens]))])


def test_samples_are_uniform_over_what_was_recorded(path):
  space, rng = table.Recorded(SPACE, list(table.Table(path).rewards())), np.random.default_rng(0)
  drawn = [space.sample(rng) for _ in range(2000)]
  assert len(set(drawn)) == 40 and max(drawn.count(tokens) for tokens in set(drawn)) < 100


@pytest.mark.parametrize(
  ('number', 'line', 'message'),
  [
    (1, '{}', 'line 1: not the head'),
    (1, '{"format": 2}', 'format 2 is not supported'),
    (1, 'nonsense', 'line 1'),
    (3, '{"tokens": [0]}', 'line 3: .* a sequence has 12 tokens, not 1'),
    (3, '[]', 'line 3'),
  ],
)
def test_what_is_no_table_is_named(path, number, line, message):
  lines = pathlib.Path(path).read_text().splitlines()
  lines[number - 1] = line
  with open(path, 'w') as file:
    file.write('\n'.join(lines) + '\n')
  with pytest.raises(SearchError, match=message):
    table.Table(path)


def test_an_architecture_that_is_not_that_of_its_tokens_is_named(path):
  lines = pathlib.Path(path).read_text().splitlines()
  lines[4] = json.dumps({**json.loads(lines[4]), 'digest': '0' * 16})
  with open(path, 'w') as file:
    file.write('\n'.join(lines) + '\n')
  with pytest.raises(SearchError, match=r'table\.jsonl, line 5: .* digest 0000000000000000 is not'):
    table.Table(path)


def test_missing_and_empty_tables_are_named(tmp_path):
  with pytest.raises(SearchError, match=r'absent\.jsonl'):
    table.Table(str(tmp_path / 'absent.jsonl'))
  (tmp_path / 'empty.jsonl').write_text('')
  with pytest.raises(SearchError, match='table does not exist'):
    table.Table(str(tmp_path / 'empty.jsonl'))
  table.begin(str(tmp_path / 'begun.jsonl'), SPACE, EVALUATOR)
  with pytest.raises(SearchError, match='0 architectures are too few to search'):
    table.Table(str(tmp_path / 'begun.jsonl')).rewards()
