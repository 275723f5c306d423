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

"""Search configurations: files, overrides, and what is said about mistakes."""

import pytest
import yaml

from nasfpn_tf.config import loading
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import searchers, spaces
from nasfpn_tf.search.problems import SearchError

TEXT = """
space: {name: nasfpn, num_cells: 7}
searcher: {name: ppo, learning_rate: 1e-3}
evaluator: {name: 'tests.search.samples:instant', trial: 3}
executor: {name: local, trials_per_process: 1}
max_trials: 50
"""


@pytest.fixture(name='path')
def fixture_path(tmp_path):
  path = tmp_path / 'search.yaml'
  path.write_text(TEXT)
  return path


def test_a_file_and_what_is_laid_on_top(path):
  config = config_lib.load(str(path), 'space.num_cells=9,evaluator.names=[a, b],max_trials=5,evaluator.x.y=1e-3')
  assert config.space == {'name': 'nasfpn', 'num_cells': 9}
  assert config.searcher == {'name': 'ppo', 'learning_rate': 0.001}
  assert config.evaluator_config() == {'seed': 0, 'trial': 3, 'names': ['a', 'b'], 'x': {'y': 0.001}}
  assert config.max_trials == 5
  (path.parent / 'more.yaml').write_text('evaluator: {x: 1}')
  assert config_lib.load(str(path), str(path.parent / 'more.yaml')).evaluator['x'] == 1
  assert config_lib.load(str(path), '{seed: 4, space: {min_level: 4}}').space['num_cells'] == 7


def test_the_evaluator_has_the_seed_of_the_search_or_its_own(path):
  assert config_lib.load(str(path), 'seed=4').evaluator_config()['seed'] == 4
  assert config_lib.load(str(path), 'seed=4,evaluator.seed=5').evaluator_config()['seed'] == 5


def test_a_name_on_the_command_line(path):
  config = config_lib.load(str(path))
  assert config.replace(searcher='ppo').searcher == config.searcher
  assert config.replace(searcher='random', executor='ray').searcher == {'name': 'random'}


@pytest.mark.parametrize(
  ('override', 'message'),
  [
    ('max_trails=5', "key 'max_trails' does not exist; did you mean 'max_trials'"),
    ('max_trials=none', "max_trials must be an integer, not 'none'"),
    ('max_trials=0', 'max_trials must be at least 1, not 0'),
    ('num_workers=1.5', 'num_workers must be an integer, not 1.5'),
    ('seed=-1', 'seed must be at least 0, not -1'),
    ('seed=true', 'seed must be an integer, not True'),
    ('reuse_rewards=1', 'reuse_rewards must be true or false, not 1'),
    ('grace_seconds=-1', 'grace_seconds must not be negative: -1'),
    ('grace_seconds=.nan', 'grace_seconds must be a finite number, not nan'),
    ('report_seconds=.inf', 'report_seconds must be a finite number, not inf'),
    ('num_workers=1000000', 'num_workers must be at most 1000, not 1000000'),
    ('max_trials=100000000000', 'max_trials must be at most 10000000'),
    ('space=nasfpn', 'space: must be a mapping with a name'),
    ('max_trials.x=1', "max_trials.x lies under 'max_trials', which is a value"),
    ('=[', r"params_override: '=\[' is not of the form key.of.field=value"),
  ],
)
def test_mistakes_are_named(path, override, message):
  with pytest.raises(SearchError, match=message):
    config_lib.load(str(path), override)


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ("evaluator.s='k,b=c'", {'s': 'k,b=c'}),
    ('evaluator.path=*.tfrecord', {'path': '*.tfrecord'}),
    ("evaluator.path=/data/don't-*,evaluator.b=1", {'path': "/data/don't-*", 'b': 1}),
    ('evaluator.a={b: [1, 2], c: "d,e=f"}', {'a': {'b': [1, 2], 'c': 'd,e=f'}}),
  ],
)
def test_an_override_means_what_it_means_in_training(path, text, expected):
  evaluator = config_lib.load(str(path), text).evaluator_config()
  assert evaluator == {'seed': 0, 'trial': 3, **expected}
  assert loading.nested(loading.parse_override(text))['evaluator'] == expected


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'seed: \xff\n', r'is not UTF-8 text \(byte 6\); save it as UTF-8'),
    (b'evaluator: ' + b'[' * 5000, 'nested deeper'),
    (
      b'a: &a [1, 2, 3]\n'
      + b''.join(b'%c: &%c [%s]\n' % (c, c, b', '.join([b'*%c' % (c - 1)] * 9)) for c in b'bcdefgh'),
      'aliases',
    ),
    (b'evaluator: {day: 2026-11-28}', "'2026-11-28' is a date"),
    (b'evaluator: {? [a, b] : 1}', 'a key must be text'),
    (b'', 'the file is empty'),
  ],
)
def test_a_bad_file_is_one_error_that_names_it(path, content, message):
  path.write_bytes(content)
  with pytest.raises(SearchError, match=message) as error:
    config_lib.load(str(path))
  assert str(error.value).startswith(str(path))
  assert '\n' not in str(error.value)


def test_files_that_cannot_be_read(path):
  with pytest.raises(SearchError, match=r"'nothing' is neither a file nor a name in configs/search/; known are "):
    config_lib.load('nothing')
  path.write_text('seed: 1\nseed: 2\n')
  with pytest.raises(SearchError, match="key 'seed' is given twice"):
    config_lib.load(str(path))
  path.write_text('- seed\n')
  with pytest.raises(SearchError, match='a mapping of keys is needed'):
    config_lib.load(str(path))


@pytest.mark.parametrize(
  ('space', 'message'),
  [
    ({'name': 'nasfnp'}, "space 'nasfnp' is unknown; choose one of detector, nasfpn"),
    ({'name': 'nasfpn', 'cells': 7}, "option 'cells' is unknown; known are num_cells, min_level, max_level, ops"),
    ({'name': 'nasfpn', 'num_cells': '7'}, 'an option has a value of the wrong type'),
    ({'name': 'no_such:Space'}, 'cannot be loaded'),
    ({'name': 'nasfpn_tf.search.spaces.pyramids:Space'}, 'cannot be loaded'),
  ],
)
def test_spaces_that_cannot_be_made(space, message):
  with pytest.raises(SearchError, match=message):
    spaces.build(space)


@pytest.mark.parametrize('module', ['spaces.pyramids', 'pyramids'])
def test_a_space_of_ones_own(module):
  made = spaces.build({'name': f'nasfpn_tf.search.{module}:PyramidSpace', 'num_cells': 9})
  assert made.num_steps == 36


@pytest.mark.parametrize('name', sorted(loading.search_config_names()))
def test_the_configurations_of_the_project(name):
  config = config_lib.load(name)
  space = spaces.build(config.space)
  options = {key: value for key, value in config.searcher.items() if key != 'name'}
  searcher = searchers.build(config.searcher['name'], space, config.seed, options)
  (trial,) = searcher.propose(0, 1)
  assert space.read(trial.architecture).digest == trial.digest
  assert yaml.safe_load(loading.search_config_names()[name].read_text())
