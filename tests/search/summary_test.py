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

"""The report, and the other files that are made from the store."""

import dataclasses
import html.parser
import json
import re

import numpy as np
import pytest

from nasfpn_tf import topology
from nasfpn_tf.search import summary
from nasfpn_tf.search.problems import SearchError, StorageFull
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.outputs import Outputs
from nasfpn_tf.search.trial import FAILED, REUSED, Measurement, Trial
from tests.search.samples import IDENTITY, SPACE

FULL_IDENTITY = {**IDENTITY, 'evaluator': {'name': 'a <kind> of'}}


def results(*measurements, first=0):
  trials = [Trial.of(SPACE, i, SPACE.sample(np.random.default_rng(i))) for i in range(first, first + len(measurements))]
  return list(zip(trials, measurements, strict=True))


SOME = results(
  Measurement(0.2, ap=0.2, cost=30.0, seconds=100),
  Measurement.failure('out of <memory>', seconds=60),
  Measurement(0.4, ap=0.4, cost=50.0),
  Measurement.failure('out of <memory>'),
  Measurement(0.3, ap=0.3, cost=60.0),
  Measurement(0.1, ap=0.5, cost=90.0, status=REUSED),
)


class Checker(html.parser.HTMLParser):
  """Every element is closed, in order."""

  def __init__(self):
    super().__init__()
    self.open = []

  def handle_starttag(self, tag, attrs):
    if tag not in ('meta', 'br'):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag


def rendered(given):
  text = summary.render(given, SPACE, FULL_IDENTITY, 10)
  checker = Checker()
  checker.feed(text)
  assert not checker.open
  return text


def test_the_report_shows_what_was_found():
  text = rendered(SOME)
  assert '<b>6</b><span>of 10 trials done' in text and '<b>0.4000</b><span>best reward' in text
  assert '<b>2</b><span>failed' in text and '2 min 40 s' in text
  assert 'a &lt;kind&gt; of' in text and '1.93e+15 architectures' in text
  assert re.search(r'out of &lt;memory&gt;</td><td>2</td><td>1<', text)
  assert text.count('<title>Feature pyramid searched_') == 2  # Trial 2 is the best, trial 0 was before.
  dots = re.findall(r'<g class="dots s\d"><path d="([^"]*)"', text)
  assert [path.count('M') for path in dots] == [4, 4]


def test_a_report_of_nothing_and_of_failures():
  assert '<b>0</b><span>of 10 trials done' in rendered([])
  assert '<b>2</b><span>failed' in rendered([SOME[1], SOME[3]])


def test_trials_without_a_cost_have_no_frontier():
  assert 'AP against cost' not in rendered(results(Measurement(0.5), Measurement(0.25)))


def test_frontier_holds_what_nothing_beats():
  assert summary.frontier([result for result in SOME if result[1].status != FAILED]) == [0, 2, 5]
  tied = results(Measurement(0.2, cost=1.0), Measurement(0.3, cost=1.0), Measurement(0.3, cost=2.0))
  assert summary.frontier(tied) == [1]
  again = [(dataclasses.replace(tied[1][0], id=7), Measurement(0.3, cost=1.0, status=REUSED))]
  assert summary.frontier([*tied, *again]) == [1]


def test_records_were_the_best_when_they_came():
  given = results(*map(Measurement, (0.0, 0.3, 0.3, 0.2, 0.5)))
  assert [trial.id for trial, _ in summary.records(given)] == [0, 1, 4]


def test_the_files_follow_the_results(tmp_path):
  with SearchDirectory(str(tmp_path)) as directory:
    outputs = Outputs(directory, SOME[:1], lambda given: f'{len(given)} results', report_seconds=0.0)
    outputs.add(SOME[1:3])
    assert (tmp_path / 'report.html').read_text() == '3 results'
    outputs.add(SOME[3:])
    lines = [json.loads(line) for line in (tmp_path / 'trials.jsonl').read_text().splitlines()]
    assert [line['id'] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert lines[1]['measurement']['reason'] == 'out of <memory>'
    assert topology.resolve(str(tmp_path / 'best.json')).digest == SOME[2][0].digest
    assert outputs.best == SOME[2]


def test_what_a_killed_run_left_is_made_anew(tmp_path):
  (tmp_path / 'trials.jsonl').write_text('{"half a li')
  with SearchDirectory(str(tmp_path)) as directory:
    Outputs(directory, SOME, lambda given: '')
  assert len((tmp_path / 'trials.jsonl').read_text().splitlines()) == 6
  assert not list(tmp_path.glob('*.partial'))


def test_a_search_without_a_good_trial_has_no_best(tmp_path):
  with SearchDirectory(str(tmp_path)) as directory:
    assert Outputs(directory, [SOME[1]], lambda given: '').best is None
  assert not (tmp_path / 'best.json').exists()


def test_no_room_and_no_permission_are_named(tmp_path):
  with SearchDirectory(str(tmp_path)) as directory:
    with pytest.raises(StorageFull, match='/dev/full: no space left to write'):
      directory.append('/dev/full', 'text')
    with pytest.raises(SearchError, match='cannot be written: Is a directory'):
      directory.append(str(tmp_path), 'text')


def test_one_process_holds_a_directory(tmp_path):
  with (
    SearchDirectory(str(tmp_path)),
    pytest.raises(SearchError, match='another process is running this search'),
    SearchDirectory(str(tmp_path)),
  ):
    pass
  with SearchDirectory(str(tmp_path)):
    pass
