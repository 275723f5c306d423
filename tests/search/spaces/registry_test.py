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

"""A search space is one file: what a module in nasfpn_tf/search/spaces/ brings along, shown by one more of them."""

import json

import pytest

from nasfpn_tf import topology
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import evaluators, run, spaces
from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Trial
from tests.search import samples

LADDERS = '''
"""FPN's top-down path, with an operation to choose at each step down."""

from nasfpn_tf import topology
from nasfpn_tf.search.space import SearchSpace


class LadderSpace(SearchSpace):
  """Top-down pyramids on P3..P7, one decision a level: how it is merged with the level above."""

  name = 'ladders'
  num_steps = 4
  ops = ('sum', 'global_pooling')

  def num_choices(self, step):
    return len(self.ops)

  def kind(self, step):
    return 'op'

  def completions(self, prefix):
    return [len(self.ops) ** (self.num_steps - len(prefix) - 1)] * len(self.ops)

  def decode(self, tokens):
    cells = [topology.CellSpec(7, 'sum', (4,), is_output=True)]
    for i, token in enumerate(self.check(tokens)):
      cells.append(topology.CellSpec(6 - i, self.ops[token], (3 - i, 5 + i), is_output=True))
    return topology.PyramidSpec('ladder_' + ''.join(map(str, tokens)), 3, 7, cells)

  def encode(self, architecture):
    return self.check([self.ops.index(cell.op) for cell in architecture.cells[1:]])

  def read(self, architecture):
    return topology.PyramidSpec.from_dict(architecture)

  def drawing(self, architecture):
    return topology.svg(self.read(architecture))

  def to_json(self):
    return {'name': self.name}
'''


@pytest.fixture(autouse=True)
def fixture_ladders(tmp_path, monkeypatch):
  """One more file in the package of spaces."""
  (tmp_path / 'ladders.py').write_text(LADDERS)
  monkeypatch.setattr(spaces, '__path__', [*spaces.__path__, str(tmp_path)])


def test_it_has_a_name():
  assert set(spaces.known()) >= {'detector', 'ladders', 'nasfpn', 'spinenet'}
  assert spaces.build({'name': 'ladders'}).size() == 16
  known = ', '.join(sorted(spaces.known()))
  with pytest.raises(SearchError, match=f"'ladder' is unknown; choose one of {known}, or"):
    spaces.build({'name': 'ladder'})


@pytest.mark.parametrize('searcher', ['ppo', 'evolution', 'random'])
def test_it_is_searched_and_reported(searcher, tmp_path):
  config = config_lib.SearchConfig(
    space={'name': 'ladders'},
    searcher={'name': searcher},
    evaluator={'name': 'tests.search.samples:instant'},
    max_trials=5,
  )
  assert run.run(config, str(tmp_path / 'search'))
  lines = [json.loads(line) for line in (tmp_path / 'search' / 'trials.jsonl').read_text().splitlines()]
  best = max(lines, key=lambda line: line['measurement']['reward'])
  found = topology.resolve(str(tmp_path / 'search' / 'best.json'))
  assert found == topology.PyramidSpec.from_dict(best['architecture']) and found.name.startswith('ladder_')
  report = (tmp_path / 'search' / 'report.html').read_text()
  assert 'Search in the space ladders' in report and f'<title>Feature pyramid {found.name}' in report


def test_the_evaluator_is_handed_it():
  evaluate = evaluators.prepare(Setup('tests.search.samples:knows_space', space={'name': 'ladders'}))
  trial = Trial.of(spaces.build({'name': 'ladders'}), 0, (0, 1, 1, 0))
  assert evaluate(trial, '').cost == 1.0
  assert evaluators.prepare(Setup('tests.search.samples:instant'))(trial, '').reward == samples.reward(trial)
