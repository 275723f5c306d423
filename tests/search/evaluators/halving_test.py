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

"""Successive halving: who goes on, decisions that are kept, children that are stopped, files that are damaged."""

import json

import numpy as np
import pytest

from nasfpn_tf.search.evaluators import halving, proxy
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Trial
from tests.training import rectangles

SPACE = PyramidSpace(num_cells=4, min_level=3, max_level=5)


def trial(number):
  return Trial.of(SPACE, number, SPACE.sample(np.random.default_rng(number)))


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
  params = rectangles.experiment(rectangles.write(tmp_path_factory.mktemp('records'), num_images=4))
  common = {'task': params.task.as_dict(), 'trainer': params.trainer.as_dict()}
  return json.loads(json.dumps({'params_override': common, 'seed': 1, 'halving': {'first_steps': 2}}))


def test_the_best_third_of_those_that_have_come_goes_on(tmp_path):
  rungs = halving.Rungs(str(tmp_path), 3)
  decided = [rungs.goes_on(i, 100, ap) for i, ap in enumerate([0.2, 0.1, 0.3, 0.25, 0.31, 0.29, 0.305])]
  # Of one to five the best goes on, from six on the best two.
  assert decided == [True, False, True, False, True, False, True]
  assert rungs.goes_on(7, 300, 0.01)  # The first at its rung.


def test_what_was_decided_is_decided_alike_by_whoever_asks(tmp_path):
  first = halving.Rungs(str(tmp_path), 2)
  assert first.goes_on(0, 10, 0.2)
  assert not first.goes_on(1, 10, 0.1)
  again = halving.Rungs(str(tmp_path), 2)
  assert again.goes_on(0, 10, 0.0) and not again.goes_on(1, 10, 0.9)


def test_rungs_are_eta_times_as_far_as_the_one_before():
  assert halving.HalvingConfig(50, 2).rungs(400) == [50, 100, 200]
  with pytest.raises(SearchError, match='first_steps is 50, but children are trained for 50 steps only'):
    halving.HalvingConfig(50).rungs(50)


@pytest.mark.parametrize('text', ['{', '[]', '{"2": {"0": {"ap": "much", "goes_on": true}}}', '{"2": {"0": {}}}'])
def test_a_damaged_file_is_named(tmp_path, text):
  (tmp_path / halving.FILE).write_text(text)
  with pytest.raises(SearchError, match=r'halving\.json is damaged'):
    halving.Rungs(str(tmp_path), 2).goes_on(0, 10, 0.2)
  assert (tmp_path / halving.FILE).read_text() == text


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    (2, 'evaluator.halving is 2; it must be a mapping with first_steps'),
    ({}, 'a mapping with first_steps'),
    ({'first_steps': 2, 'steps': 3}, 'a mapping with first_steps'),
    ({'first_steps': 0}, 'first_steps is 0, but must be at least 1'),
    ({'first_steps': 2, 'eta': 1}, 'eta is 1, but must be at least 2'),
    ({'first_steps': '2'}, "first_steps must be an integer, not '2'"),
    ({'first_steps': 4}, 'children are trained for 4 steps only'),
  ],
)
def test_what_cannot_be_halved_ends_the_search(settings, tmp_path, keys, message):
  with pytest.raises(SearchError, match=message):
    proxy.evaluate(trial(0), str(tmp_path / 'trials' / '0'), settings | {'halving': keys}, SPACE)
  assert not (tmp_path / 'trials').exists()


@pytest.mark.slow
def test_a_poor_child_is_stopped_and_a_good_one_is_not(settings, tmp_path):
  others = {'2': {'7': {'ap': 1.0, 'goes_on': True}}}

  def steps_of(name, entries):
    (tmp_path / name).mkdir()
    (tmp_path / name / halving.FILE).write_text(json.dumps(entries))
    work_dir = tmp_path / name / 'trials' / '0'
    measurement = proxy.evaluate(trial(0), str(work_dir), settings, SPACE)
    assert measurement.status == 'ok' and measurement.reward == measurement.ap, measurement.reason
    return json.loads((work_dir / 'child' / 'eval.json').read_text())['step']

  assert steps_of('poor', others) == 2
  assert steps_of('good', {}) == 4
  kept = json.loads((tmp_path / 'poor' / halving.FILE).read_text())
  assert kept['2']['0']['goes_on'] is False and kept['2']['7'] == others['2']['7']
  # The worker was killed before it could tell: evaluated again, the trial ends where it ended.
  again = proxy.evaluate(trial(0), str(tmp_path / 'poor' / 'trials' / '0'), settings, SPACE)
  assert again.status == 'ok' and json.loads((tmp_path / 'poor' / halving.FILE).read_text()) == kept
