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
"""Published weights are found where import_weights.py left them, or the message has the command."""

import pytest

from nasfpn_tf import config, zoo
from nasfpn_tf.config import loading
from nasfpn_tf.modeling.weights import cache, known
from nasfpn_tf.predict import detector as predict
from nasfpn_tf.training import params as params_lib


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
  monkeypatch.setenv('NASFPN_TF_CACHE', str(tmp_path / 'cache'))
  return tmp_path / 'cache'


def _import(directory, name):
  (directory / name).mkdir(parents=True)
  (directory / name / 'ckpt-0.index').touch()
  return str(directory / name)


def test_what_is_missing_has_its_command():
  command = (
    r'python scripts/import_weights\.py --url=r50_nasfpn_7x256_640` downloads https://storage\.googleapis\.com/.*'
    r'/r50-nasfpn\.tar\.gz \(length and MD5 are those of the server\) and imports it'
  )
  for load in (zoo.load_detector, predict.load):
    with pytest.raises(FileNotFoundError, match=command):
      load('r50_nasfpn_7x256_640', weights='coco')
    with pytest.raises(ValueError, match="did you mean 'r50_nasfpn_7x256_640'"):
      load('r50_nasfpn_7x256_64', weights='coco')
    with pytest.raises(ValueError, match="weights is 'voc': it can be 'coco'"):
      load('r50_nasfpn_7x256_640', weights='voc')


def test_a_published_checksum_is_told():
  with pytest.raises(FileNotFoundError, match=r'coco-0ad1f644\.pth \(the SHA-256 begins with 0ad1f644\) and imports'):
    cache.find('r50_nasfpn_7x256_640_mmdet')


def _has_recipe(name):
  return name.removesuffix('_tpu').removesuffix('_mmdet') in loading.config_names()


@pytest.mark.parametrize('name', filter(_has_recipe, known.names(known.COCO)))
def test_the_recipe_of_that_name_finds_its_coco_weights(directory, name):
  path = _import(directory, name)
  model = params_lib.load_params(config_files=name.removesuffix('_tpu').removesuffix('_mmdet')).task.model.as_dict()
  kind = model['backbone']['type']
  if name.endswith(('_tpu', '_mmdet')):  # There is one of others too.
    model['backbone'][kind]['padding'] = known.KNOWN[name].model['backbone'][kind]['padding']
  assert cache.resolve('coco', model) == path


@pytest.mark.parametrize(
  ('recipe', 'name'), [('r50_nasfpn_7x256_640', 'resnet50_imagenet'), ('r101_fpn_640', 'resnet101_imagenet')]
)
def test_residual_network_recipes_start_from_imagenet(directory, recipe, name):
  task = params_lib.load_params(config_files=recipe).task
  model = task.model.as_dict()
  assert (task.init_checkpoint, task.init_checkpoint_modules) == ('imagenet', ['backbone'])
  with pytest.raises(FileNotFoundError, match=rf"--url={name}` downloads .* imports it\. 'none' starts from random"):
    cache.resolve(task.init_checkpoint, model)
  path = _import(directory, name)
  assert cache.resolve(task.init_checkpoint, model) == path


def test_paths_and_none():
  model = config.Detector().as_dict()
  assert cache.resolve('runs/cells', model) == 'runs/cells'
  assert cache.resolve('none', model) == cache.resolve(None, model) == ''
  model['backbone']['type'] = 'mobilenet'
  with pytest.raises(ValueError, match=r"no 'imagenet' weights are known for this model \(backbone 'mobilenet'"):
    cache.resolve('imagenet', model)
