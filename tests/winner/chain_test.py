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

"""The chain from records to an exported winner: its steps and what they are given; all of it, in small."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from nasfpn_tf.search import config as search_config
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.winner import chain
from tests import testing
from tests.training import rectangles

REQUEST = chain.Request('bccd_shared', 'records/a-*', 'records/b-*', 'records/c-*', 'max_trials=7', 300, 90)


def flags_of(step):
  return dict(word.removeprefix('--').partition('=')[::2] for word in step.commands[0][2:])


def steps_of(winner):
  return {step.name: step for step in winner.steps()}


def test_the_search_begins_with_a_training_of_its_own(tmp_path):
  winner = chain.Winner(REQUEST, tmp_path)
  steps = steps_of(winner)
  assert [*steps] == ['warm_up', 'search', 'train', 'saved_model', 'tflite']
  override = json.loads(flags_of(steps['warm_up'])['params_override'])
  assert override['task']['init_checkpoint'] == '' and override['trainer']['train_steps'] == 300
  assert override['task']['model']['decoder']['feature_pyramid']['topology'] == 'fpn'
  assert override['trainer']['optimizer_config']['learning_rate']['cosine']['initial_learning_rate'] == 0.0015
  winner.write_search_config()
  config = search_config.load(str(winner.search_config))
  task = config.evaluator['params_override']['task']
  assert config.max_trials == 7 and task['init_checkpoint'] == str(tmp_path / 'warm_up')
  assert task['train_data']['input_path'] == 'records/a-*' and task['validation_data']['input_path'] == 'records/b-*'
  assert task['model']['input_size'] == [256, 384, 3]  # As the configuration says.


def test_the_winner_is_trained_by_the_recipe_and_evaluated_on_other_images(tmp_path):
  flags = flags_of(steps_of(chain.Winner(REQUEST, tmp_path))['train'])
  assert flags['config_file'] == str(tmp_path / 'search' / 'best.yaml')
  override = json.loads(flags['params_override'])
  assert override['task'] == {'init_checkpoint': '', 'validation_data': {'input_path': 'records/c-*'}}
  assert override['trainer']['train_steps'] == 90


@pytest.mark.parametrize('changes', [{'warm_up_steps': 0}, {'search_config': 'bccd_proxy'}])
def test_a_search_that_begins_with_nothing_has_no_warm_up(tmp_path, changes):
  request = dataclasses.replace(REQUEST, **changes)
  assert 'warm_up' not in steps_of(chain.Winner(request, tmp_path))


def test_what_trains_nothing_is_refused(tmp_path):
  path = tmp_path / 'search.yaml'
  path.write_text("evaluator: {name: 'tests.search.samples:instant'}\n")
  with pytest.raises(SearchError, match=r"search\.yaml: evaluator 'tests.search.samples:instant' trains nothing"):
    chain.Winner(dataclasses.replace(REQUEST, search_config=str(path)), tmp_path)
  with pytest.raises(FileNotFoundError, match='nowhere'):
    chain.Winner(dataclasses.replace(REQUEST, search_config='nowhere'), tmp_path)


@pytest.mark.parametrize(
  'override, message',
  [
    ('evaluator.config_file=3', 'config_file must be a string or a list, each element a string, not 3'),
    ('evaluator.params_override=[1]', r'params_override must be a mapping, not \[1\]'),
    ('evaluator.params_override.task=[1]', r'params_override\.task must be a mapping, not \[1\]'),
  ],
)
def test_a_wrong_value_of_the_evaluator_is_named(tmp_path, override, message):
  with pytest.raises(SearchError, match=rf'bccd_shared\.yaml: evaluator\.{message}'):
    chain.Winner(dataclasses.replace(REQUEST, params_override=override), tmp_path)


@pytest.mark.slow
def test_from_records_to_an_exported_winner(tmp_path):
  """The whole chain, and a second run that finds everything there."""
  records = rectangles.write(tmp_path / 'records', num_images=6)
  command = [sys.executable, 'scripts/search_and_train.py', '--search_config=digits_shared', '--smoke']
  command += [f'--{key}={records}' for key in ('train', 'held_out')] + [f'--output_dir={tmp_path / "out"}']
  env = {**os.environ, 'PYTHONPATH': str(testing.repo_root())}
  for number in range(2):
    done = subprocess.run(command, cwd=testing.repo_root(), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.count('there already') == 5 * number
  out = pathlib.Path(tmp_path / 'out')
  assert (out / 'detector_float.tflite').is_file() and (out / 'saved_model' / '1' / 'saved_model.pb').is_file()
  found = json.loads((out / 'search' / 'best.json').read_text())
  trained = yaml.safe_load((out / 'model' / 'params.yaml').read_text())['task']['model']
  assert json.loads(trained['decoder']['feature_pyramid']['topology']) == found
