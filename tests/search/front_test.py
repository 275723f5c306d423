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

"""The Pareto frontier of a search as files: its points, a configuration to train for each, old ones removed."""

import json

import yaml

from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import front, run
from nasfpn_tf.search.spaces.detectors import DetectorSpace
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.trial import Measurement, Trial
from nasfpn_tf.training import params as params_lib

SPACE = DetectorSpace()
EVALUATOR = {
  'name': 'proxy',
  'cost': 'latency_ms',
  'config_file': 'digits_resnet10_nasfpnlite_2x48_256',
  'params_override': {'task.train_data.input_path': 'records/digits_train-*', 'trainer': {'train_steps': 400}},
}


def trials(*measurements):
  searched = [Trial.of(SPACE, i, SPACE.sequence(i * 10**9)) for i in range(len(measurements))]
  return list(zip(searched, measurements, strict=True))


def test_every_point_is_a_configuration_of_a_training(tmp_path):
  results = trials(
    Measurement(0.3, 0.3, 20.0), Measurement(0.2, 0.2, 30.0), Measurement.failure('NaN'), Measurement(0.1, 0.1, 10.0)
  )
  with SearchDirectory(str(tmp_path)) as directory:
    front.write(directory, results, EVALUATOR, SPACE)
  found = json.loads((tmp_path / 'pareto.json').read_text())
  assert found['cost'] == 'latency_ms'
  assert [(p['trial'], p['ap'], p['cost'], p['config_file']) for p in found['points']] == [
    (3, 0.1, 10.0, 'pareto/000003.yaml'),
    (0, 0.3, 20.0, 'pareto/000000.yaml'),
  ]
  for point in found['points']:
    params = params_lib.load_params(config_files=str(tmp_path / point['config_file']))
    model, wanted = params.task.model, point['architecture']['task']['model']
    assert model.input_size == wanted['input_size'] and model.head.num_convs == wanted['head']['num_convs']
    assert model.decoder.feature_pyramid.topology == wanted['decoder']['feature_pyramid']['topology']
    assert params.task.train_data.input_path == 'records/digits_train-*'
    assert params.trainer.train_steps == 1750  # The recipe's, not the children's.


def test_the_best_has_a_training_even_without_a_cost(tmp_path):
  with SearchDirectory(str(tmp_path)) as directory:
    results = trials(Measurement(0.2), Measurement(0.3), Measurement(0.3), Measurement.failure('NaN'))
    front.write(directory, results, EVALUATOR, SPACE)
  best = yaml.safe_load((tmp_path / 'best.yaml').read_text())
  assert best['task']['model']['head'] == results[1][0].architecture['task']['model']['head']
  assert (tmp_path / 'best.yaml').read_text().startswith('# Trial 1: AP not measured, cost not measured, reward 0.3')
  assert not (tmp_path / 'pareto.json').exists()


def test_points_that_are_dominated_later_are_removed(tmp_path):
  with SearchDirectory(str(tmp_path)) as directory:
    front.write(directory, trials(Measurement(0.3, 0.3, 20.0)), EVALUATOR, SPACE)
    front.write(directory, trials(Measurement(0.3, 0.3, 20.0), Measurement(0.4, 0.4, 10.0)), EVALUATOR, SPACE)
  assert [path.name for path in (tmp_path / 'pareto').iterdir()] == ['000001.yaml']


def test_pyramids_have_points_too(tmp_path):
  space = PyramidSpace()
  trial = Trial.of(space, 0, space.sequence(0))
  training = front.training_of(EVALUATOR, space, trial.architecture)
  topology = training['task']['model']['decoder']['feature_pyramid'].pop('topology')
  assert json.loads(topology) == trial.architecture
  assert training['task']['model']['decoder']['feature_pyramid']['num_filters'] == 48


def test_a_search_writes_them(tmp_path):
  config = config_lib.SearchConfig(
    space={'name': 'detector'},
    searcher={'name': 'evolution', 'population_size': 4, 'tournament_size': 2, 'selection': 'pareto'},
    evaluator={'name': 'tests.search.samples:instant'},
    max_trials=10,
  )
  assert run.run(config, str(tmp_path))
  points = json.loads((tmp_path / 'pareto.json').read_text())['points']
  listed = {path.name for path in (tmp_path / 'pareto').iterdir()}
  assert listed == {point['config_file'].removeprefix('pareto/') for point in points}
  costs = [point['cost'] for point in points]
  assert costs == sorted(costs)
  assert yaml.safe_load((tmp_path / 'pareto' / sorted(listed)[0]).read_text())['task']['model']['input_size']
