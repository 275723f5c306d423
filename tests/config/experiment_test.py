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
"""Tests of reading experiments: what is overridden by what, and what a typo gets."""

import pathlib

import pytest
import yaml

from nasfpn_tf import topology
from nasfpn_tf.config import loading
from nasfpn_tf.training import params as params_lib


def _write(directory, name, text):
  path = pathlib.Path(directory) / name
  path.write_text(text)
  return str(path)


def test_later_sources_win(tmp_path):
  first = _write(tmp_path, 'a.yaml', 'task: {model: {num_classes: 4, min_level: 2}, losses: {l2_weight_decay: 1e-3}}')
  second = _write(tmp_path, 'b.yaml', 'task: {model: {num_classes: 5, head: {num_convs: 2}}}')
  params = params_lib.load_params(
    config_files=[first, second], params_override='task.model.head.num_convs=1,trainer.train_steps=7'
  )
  assert params.task.model.num_classes == 5
  assert params.task.model.min_level == 2
  assert params.task.model.head.num_convs == 1
  assert params.task.losses.l2_weight_decay == 1e-3
  assert params.trainer.train_steps == 7
  assert params_lib.load_params().task.model.min_level == 3, 'the experiment itself was changed'


def test_every_configuration_of_the_project_reads():
  names = loading.config_names()
  assert 'r50_nasfpn_7x256_640' in names
  for name, path in names.items():
    if not name.startswith('search/'):
      assert (
        params_lib.load_params(config_files=name).as_dict() == params_lib.load_params(config_files=str(path)).as_dict()
      )


def test_what_training_saves_reads_back(tmp_path):
  saved = params_lib.load_params(params_override='task.model.num_classes=4,trainer.train_steps=7')
  saved.task.model.decoder.feature_pyramid.topology = topology.get('nas_fpn').to_json()
  with open(tmp_path / 'params.yaml', 'w') as file:
    yaml.dump({**saved.as_dict(), 'runtime': saved.runtime.as_dict()}, file)
  for reference in (str(tmp_path), str(tmp_path / 'params.yaml')):
    assert params_lib.load_params(config_files=reference).as_dict() == saved.as_dict()


def test_tuples_of_model_garden_read_as_lists(tmp_path):
  path = _write(tmp_path, 'a.yaml', 'task: {model: {input_size: !!python/tuple [128, 128, 3]}}')
  assert params_lib.load_params(config_files=path).task.model.input_size == [128, 128, 3]


def test_override_may_be_a_file_or_a_mapping(tmp_path):
  path = _write(tmp_path, 'o.yaml', 'task: {model: {num_classes: 3}}')
  assert params_lib.load_params(params_override=path).task.model.num_classes == 3
  mapping = {'task.model.num_classes': 5, 'task': {'model': {'min_level': 2}, 'losses': {'l2_weight_decay': 2}}}
  params = params_lib.load_params(params_override=mapping)
  assert (params.task.model.num_classes, params.task.model.min_level, params.task.losses.l2_weight_decay) == (5, 2, 2)


@pytest.mark.parametrize('text', ['topology: best.json', 'topology: {format: 1, name: n, cells: []}'])
def test_a_topology_is_text_whether_named_or_inline(tmp_path, text):
  path = _write(tmp_path, 'a.yaml', f'task: {{model: {{decoder: {{feature_pyramid: {{{text}}}}}}}}}')
  value = params_lib.load_params(config_files=path).task.model.decoder.feature_pyramid.topology
  assert isinstance(value, str)
  inline = params_lib.load_params(
    params_override='task.model.decoder.feature_pyramid.topology=' + topology.get('fpn').to_json()
  )
  assert topology.resolve(inline.task.model.decoder.feature_pyramid.topology) == topology.get('fpn')


@pytest.mark.parametrize(
  ('override', 'message'),
  [
    (
      'task.model.decoder.feature_pyramid.num_repeat=3',
      "feature_pyramid.num_repeat' does not exist; did you mean 'num_r",
    ),
    ('tsk.model.num_classes=3', "key 'tsk' does not exist; did you mean 'task'"),
    ('task.model.num_classes=three', "task.model.num_classes must be an integer, not 'three'"),
    ('task.model.num_classes=3.5', 'task.model.num_classes must be an integer, not 3.5'),
    ('task.model.num_classes=true', 'task.model.num_classes must be an integer, not True'),
    ('task.model=fpn', 'task.model must be a section with keys of Detector'),
    ('task.model.num_classes.x=1', 'task.model.num_classes is a value .* cannot be its content'),
    ('task.losses.l2_weight_decay=small', 'l2_weight_decay must be a number'),
    ('task.model.decoder.type=nasfpm', "decoder.type 'nasfpm' is unknown; did you mean 'nasfpn'"),
    ('trainer.optimizer_config.optimizer.type=adm', "optimizer.type 'adm' is unknown; did you mean .*'adam"),
    (
      'trainer.optimizer_config.ema={averge_decay: 0.9}',
      "averge_decay' does not exist; did you mean 'average_decay'",
    ),
    ('task.model.num_classes', 'is not of the form key.of.field=value'),
    ('task.model.num_classes=3,task.model.num_classes=4', 'task.model.num_classes.* is given twice'),
    ('task.model.input_size=[1, 2', 'is not understood|is not of the form'),
    ('{task: [}', 'is not understood'),
    ('{1, 2}', 'must be|needed|exist'),
  ],
)
def test_a_wrong_override_is_named(override, message):
  with pytest.raises(ValueError, match=message) as error:
    params_lib.load_params(params_override=override)
  assert str(error.value).startswith('params_override: ')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('task: {model: {num_clases: 3}}', "key 'task.model.num_clases' does not exist; did you mean 'num_classes'"),
    ('task: {model: {num_classes: "3"}}', "task.model.num_classes must be an integer, not '3'"),
    ('task:\n  model: {}\ntask:\n  losses: {}', "is not YAML.*key 'task' is given twice.*line 3"),
    ('task: [unclosed', 'is not YAML.*line 1'),
    ('- a list', 'a mapping of keys is needed'),
    ('task: !!python/object/apply:os.system ["true"]', 'is not YAML'),
    ('task:', 'task must be a section'),
  ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
  path = _write(tmp_path, 'typo.yaml', text)
  with pytest.raises(ValueError, match=message) as error:
    params_lib.load_params(config_files=path)
  assert str(error.value).startswith(path)


def test_a_directory_that_is_no_model_dir_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'has no params\.yaml'):
    params_lib.load_params(config_files=str(tmp_path))


def test_an_unknown_experiment_is_named():
  with pytest.raises(ValueError, match="did you mean 'nasfpn_retinanet'"):
    params_lib.load_params('nasfpn_retinane')


def test_a_file_names_the_experiment_it_is_for(tmp_path):
  path = _write(tmp_path, 'a.yaml', 'experiment: spinenet_retinanet\ntask: {model: {num_classes: 4}}')
  mine = _write(tmp_path, 'mine.yaml', 'task: {train_data: {input_path: x}}')
  for files in (path, [path, mine], [mine, path]):
    params = params_lib.load_params(config_files=files)
    assert (params.task.model.backbone.type, params.task.model.num_classes) == ('spinenet', 4)
  assert params_lib.load_params('spinenet_retinanet', path).task.model.backbone.type == 'spinenet'
  with pytest.raises(ValueError, match=r"a\.yaml is for experiment 'spinenet_retinanet', not 'nasfpn_retinanet'"):
    params_lib.load_params('nasfpn_retinanet', path)
  wrong = _write(tmp_path, 'wrong.yaml', 'experiment: spinenet')
  with pytest.raises(ValueError, match="'spinenet' is unknown; did you mean 'spinenet_retinanet'"):
    params_lib.load_params(config_files=wrong)
