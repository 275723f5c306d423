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

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

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


@pytest.mark.slow
def test_every_child_begins_with_the_same_weights_and_sees_the_same_batches(settings, monkeypatch):
  one = restarted.RestartedDetector(ChildConfig.read(settings, SPACE), SPECS[0])
  start = [variable.numpy() for variable in one.variables]
  read = tf.nest.flatten(list(itertools.islice(one.train_batches(), 20)))
  for spec in SPECS:
    one.train_and_evaluate(spec)
    assert any((variable.numpy() != value).any() for variable, value in zip(one.variables, start, strict=True))
    one.restart()
    for variable, value in zip(one.variables, start, strict=True):
      np.testing.assert_array_equal(variable.numpy(), value)
  for kept in (one._kept, []):  # What is kept, and what is read again because there is too much to keep.
    monkeypatch.setattr(one, '_kept', kept)
    for tensor, value in zip(tf.nest.flatten(list(itertools.islice(one.train_batches(), 20))), read, strict=True):
      np.testing.assert_array_equal(tensor, value)


def test_a_child_is_trained_and_measured(settings, tmp_path):
  measurement = proxy.evaluate(trial(0), str(tmp_path), {**settings, 'rebuild': False}, SPACE)
  assert (measurement.status, measurement.reason) == ('ok', '') and measurement.cost > 0.0
  assert measurement.reward == measurement.ap > 0.0


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
  with pytest.raises(SearchError, match=r"^evaluator\.rebuild .*'no'"):
    proxy.evaluate(trial(0), str(tmp_path), {**settings, 'rebuild': 'no'}, SPACE)
  backbones = BackboneSpace(intermediate_levels=(2, 3), min_level=3, max_level=4, offsets=(0, 1), window=2)
  sample = Trial.of(backbones, 0, backbones.sample(np.random.default_rng(0)))
  with pytest.raises(SearchError, match=r'^evaluator: rebuild: false supports spaces of pyramids; remove it'):
    restarted.average_precision(ChildConfig.read(settings), backbones, sample.architecture)
