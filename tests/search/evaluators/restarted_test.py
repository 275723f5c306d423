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

"""Children trained alone in one detector: each begins anew, as one that is built for it does."""

import json

import numpy as np
import pytest

from nasfpn_tf.modeling import detector
from nasfpn_tf.search.evaluators import proxy, restarted
from nasfpn_tf.search.evaluators.bank import Bank
from nasfpn_tf.search.evaluators.child import ChildConfig
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.backbones import BackboneSpace
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Trial
from nasfpn_tf.training import recipe
from tests.training import rectangles

SPACE = PyramidSpace(num_cells=4, max_level=5)
SPECS = [SPACE.decode(SPACE.sample(np.random.default_rng(seed))) for seed in range(2)]


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
  """As the evaluator's part of a search configuration, which is JSON."""
  params = rectangles.experiment(rectangles.write(tmp_path_factory.mktemp('records'), num_images=4))
  common = {'task': params.task.as_dict(), 'trainer': params.trainer.as_dict()}
  common['trainer'] |= {'train_steps': 20, 'steps_per_loop': 10, 'checkpoint_interval': 10}
  common['trainer']['optimizer_config']['learning_rate']['constant']['learning_rate'] = 0.01
  common['runtime'] = {'mixed_precision_dtype': 'float32'}
  return json.loads(json.dumps({'params_override': common, 'seed': 1}))


def trial(number):
  return Trial.of(SPACE, number, SPACE.encode(SPECS[number]))


def test_a_child_does_not_see_what_was_trained_before_it(settings, tmp_path, monkeypatch):
  child = ChildConfig.read(settings, SPACE)
  one = restarted.RestartedDetector(child, SPECS[0])
  found, weights = [], []
  for number in (0, 1, 0):
    if number == 1:
      monkeypatch.setattr(one, '_kept', [])  # The batches that are read again are the same.
    found.append(one.train_and_evaluate(SPECS[number]))
    weights.append([variable.numpy() for variable in one._bank.variables])
  assert found[0] == pytest.approx(found[2], abs=0.02) and found[0] > 0.0
  # Parallel sums round differently, and Adam's first steps are as long for a gradient of nearly 0.
  same, other = (np.mean([np.abs(x - y).mean() for x, y in zip(weights[0], weights[k], strict=True)]) for k in (2, 1))
  assert same < 0.1 * other
  # The evaluator is this detector.
  measurement = proxy.evaluate(trial(0), str(tmp_path), {**settings, 'rebuild': False}, SPACE)
  assert (measurement.status, measurement.reason) == ('ok', '') and measurement.cost > 0.0
  assert measurement.ap == measurement.reward == pytest.approx(found[0], abs=0.02)


def test_its_cells_begin_as_those_of_a_detector_that_is_built(settings):
  params = ChildConfig.read(settings, SPACE).experiment_of(SPECS[0].to_dict())
  built = detector.build_detector(recipe.complete(params, 'train').params.task.model)
  before = [variable.numpy() for variable in built.variables]
  Bank(built, near_identity=False)
  for variable, value in zip(built.variables, before, strict=True):
    np.testing.assert_array_equal(variable.numpy(), value)


def test_a_child_that_diverges_fails_alone(settings, tmp_path):
  diverging = json.loads(json.dumps({**settings, 'rebuild': False}))
  diverging['params_override']['trainer']['optimizer_config']['learning_rate']['constant']['learning_rate'] = 1e30
  measurement = proxy.evaluate(trial(0), str(tmp_path), diverging, SPACE)
  assert (measurement.status, measurement.reward) == ('failed', 0.0)
  assert 'ValueError: the loss became ' in measurement.reason


def test_what_needs_a_detector_of_each_child_is_refused(settings, tmp_path):
  keys = {**settings, 'rebuild': False}
  with pytest.raises(SearchError, match=r'^evaluator: halving needs a detector of each child: remove it, or rebuild:'):
    proxy.evaluate(trial(0), str(tmp_path), {**keys, 'halving': {'first_steps': 1}}, SPACE)
  backbones = BackboneSpace(intermediate_levels=(2, 3), min_level=3, max_level=4, offsets=(0, 1), window=2)
  sample = Trial.of(backbones, 0, backbones.sample(np.random.default_rng(0)))
  with pytest.raises(SearchError, match=r'^evaluator: rebuild: false supports spaces of pyramids; remove it'):
    restarted.average_precision(settings, backbones, sample.architecture)
