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

"""The proxy task on a toy data set: rewards, costs, children that fail, configurations that cannot be used."""

import dataclasses
import errno
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import yaml

from nasfpn_tf.config import loading
from nasfpn_tf.modeling import cost, detector
from nasfpn_tf.search import config as search_config
from nasfpn_tf.search.evaluators import child, proxy, shared
from nasfpn_tf.search.evaluators.reward import Reward
from nasfpn_tf.search.problems import DeviceLost, SearchError, StorageFull
from nasfpn_tf.search.spaces.backbones import BackboneSpace
from nasfpn_tf.search.spaces.detectors import DetectorSpace
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Trial
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import preemption, recipe, trainer
from tests.training import rectangles

SPACE = PyramidSpace(num_cells=4, max_level=5)


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=4)


def config(prefix, **keys):
  """As the evaluator's part of a search configuration, which is JSON."""
  params = rectangles.experiment(prefix)
  common = {'task': params.task.as_dict(), 'trainer': params.trainer.as_dict()}
  return json.loads(json.dumps({'params_override': common, 'seed': 1, **keys}))


def trial(number=0):
  return Trial.of(SPACE, number, SPACE.sample(np.random.default_rng(number)))


def test_reward_is_the_ap_of_the_last_evaluation_at_a_cost(prefix, tmp_path):
  settings = {'reward': {'target': 2e7, 'exponent': -0.5}}
  longer = config(prefix, **settings)
  longer['params_override']['trainer'] |= {'train_steps': 40, 'steps_per_loop': 20, 'checkpoint_interval': 20}
  longer['params_override']['trainer']['optimizer_config']['learning_rate']['constant']['learning_rate'] = 0.01
  measurement = proxy.evaluate(trial(), str(tmp_path), longer)
  assert measurement.status == 'ok' and measurement.seconds > 0
  result = json.loads((tmp_path / 'child' / 'eval.json').read_text())
  assert result['step'] == 40 and measurement.ap == result['AP'] > 0
  assert measurement.reward == pytest.approx(result['AP'] * (measurement.cost / 2e7) ** -0.5)
  assert json.loads((tmp_path / 'child' / 'topology.json').read_text()) == trial().architecture
  assert not list((tmp_path / 'child').rglob('ckpt*'))


BACKBONES = BackboneSpace(intermediate_levels=(2, 3), min_level=3, max_level=4, offsets=(0, 1), window=2)


def backbone_trial():
  return Trial.of(BACKBONES, 0, BACKBONES.sample(np.random.default_rng(0)))


def backbone_config(prefix, **keys):
  """As `config`, for children that are scale-permuted backbones without a pyramid."""
  settings = config(prefix, architecture_key='task.model.backbone.scale_permuted.architecture', **keys)
  settings['params_override']['task']['model'] |= {
    'max_level': 4,
    'backbone': {'type': 'scale_permuted', 'scale_permuted': {'num_filters': 16, 'filter_size_scale': 0.125}},
    'decoder': {'type': 'identity'},
  }
  return settings


@pytest.mark.slow
def test_a_backbone_is_a_child_too(prefix, tmp_path):
  sample, settings = backbone_trial(), backbone_config(prefix, cost='latency_ms')
  del settings['architecture_key']  # The space knows it.
  measurement = proxy.evaluate(sample, str(tmp_path), settings, BACKBONES)
  assert (measurement.status, measurement.reason) == ('ok', '') and measurement.cost > 0.0
  trained = yaml.safe_load((tmp_path / 'child' / 'params.yaml').read_text())['task']['model']['backbone']
  assert json.loads(trained['scale_permuted']['architecture']) == sample.architecture
  settings['params_override']['task']['model']['max_level'] = 5
  with pytest.raises(SearchError, match='has levels 3, 4, but'):
    proxy.evaluate(sample, str(tmp_path), settings, BACKBONES)


def test_children_that_cannot_be_trained_fail_with_the_reason(prefix, tmp_path, monkeypatch):
  diverging = config(prefix)
  diverging['params_override']['trainer']['optimizer_config']['learning_rate']['constant']['learning_rate'] = 1e30
  measurement = proxy.evaluate(trial(), str(tmp_path / 'nan'), diverging)
  assert (measurement.status, measurement.reward) == ('failed', 0.0)
  assert 'NonFiniteLossError: The loss exploded to ' in measurement.reason and measurement.seconds > 0

  def out_of_memory(*unused_arguments, **unused_options):
    raise MemoryError('no room')

  monkeypatch.setattr(trainer, 'run', out_of_memory)
  measurement = proxy.evaluate(trial(), str(tmp_path / 'memory'), config(prefix))
  assert measurement.status == 'failed'
  assert measurement.reason.startswith('MemoryError: not enough memory: no room; use a smaller ')


def test_a_full_disk_is_no_fault_of_a_child(prefix, tmp_path, monkeypatch):
  for error in (
    OSError(errno.ENOSPC, 'No space left on device'),
    tf.errors.ResourceExhaustedError(None, None, 'ckpt-2.data; No space left on device'),
  ):

    def run(*unused_arguments, error=error, **unused_options):
      raise error

    monkeypatch.setattr(trainer, 'run', run)
    with pytest.raises(StorageFull, match='no space left to write'):
      proxy.evaluate(trial(), str(tmp_path), config(prefix))


@pytest.mark.parametrize(
  'error',
  [
    tf.errors.UnavailableError(None, None, 'Socket closed'),
    tf.errors.InternalError(None, None, 'CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure'),
  ],
)
def test_a_lost_device_is_no_fault_of_a_child(prefix, tmp_path, monkeypatch, error):
  def run(*unused_arguments, **unused_options):
    raise error

  monkeypatch.setattr(trainer, 'run', run)
  with pytest.raises(DeviceLost, match=f'is gone: {error.message}. Nothing is lost: bring it back'):
    proxy.evaluate(trial(), str(tmp_path), config(prefix))


@pytest.mark.slow
def test_a_preempted_child_goes_on_in_its_directory(prefix, tmp_path, monkeypatch):
  """Its pyramid is residual; at last it is killed after its training."""
  settings = config(prefix, keep_checkpoints=True)
  settings['params_override']['task']['model']['decoder']['feature_pyramid']['residual'] = True
  with monkeypatch.context() as patched:
    patched.setattr(preemption.Preemption, 'exit_if_told', lambda self, save: (save(), exit(preemption.EXIT_CODE)))
    with pytest.raises(SystemExit, match='42'):
      proxy.evaluate(trial(), str(tmp_path), settings)
  assert (tmp_path / 'child' / 'ckpt-2.index').exists()
  measurement = proxy.evaluate(trial(), str(tmp_path), settings, SPACE)
  assert measurement.status == 'ok', measurement.reason
  steps = [json.loads(line)['step'] for line in (tmp_path / 'child' / 'train_history.jsonl').read_text().splitlines()]
  assert steps == [2, 4]
  assert [path.name for path in (tmp_path / 'child').glob('ckpt*.index')] == ['ckpt-4.index']
  trained = yaml.safe_load((tmp_path / 'child' / 'params.yaml').read_text())['task']['model']['decoder']
  assert trained['feature_pyramid']['residual'] is True
  again = proxy.evaluate(trial(), str(tmp_path), {**settings, 'keep_checkpoints': False})
  assert again.status == 'ok' and again.ap == pytest.approx(measurement.ap, abs=1e-6)


@pytest.mark.parametrize(('number', 'projection'), [(0, None), (3, 'project_each_edge'), (3, 'coarse_convs')])
def test_cost_is_that_of_the_built_detector(prefix, number, projection):
  common = config(prefix)
  pyramid = common['params_override']['task']['model']['decoder']['feature_pyramid']
  pyramid |= {projection: True} if projection else {}
  settings = child.ChildConfig.read(common)
  params = settings.experiment_of(trial(number).architecture)
  model = recipe.complete(params, 'train').params.task.model
  assert settings.cost_of(params) == cost.count_multiply_adds(detector.build_detector(model), model.input_size)


def test_cost_depends_on_the_levels_of_the_cells(prefix):
  settings = child.ChildConfig.read(config(prefix))
  found = {settings.cost_of(settings.experiment_of(trial(number).architecture)) for number in range(6)}
  assert len(found) > 1


def test_cost_can_be_a_latency(prefix):
  settings = child.ChildConfig.read(config(prefix, cost='latency_ms'))
  assert settings.cost_of(settings.experiment_of(trial().architecture)) > 0.0


@pytest.mark.parametrize('name', loading.search_config_names())
def test_the_configurations_of_the_project_describe_children(name):
  evaluator, steps = search_config.load(name).evaluator_config(), 0
  if search_config.load(name).evaluator['name'] == 'shared':
    sharing = {field.name for field in dataclasses.fields(shared.SharingConfig)}
    steps = shared.SharingConfig(**{key: evaluator[key] for key in evaluator.keys() & sharing}).warm_up_steps
    evaluator = {key: evaluator[key] for key in evaluator.keys() - sharing}
  else:
    ours = {field.name for field in dataclasses.fields(proxy.ProxyConfig)}
    proxy.ProxyConfig(**{key: evaluator[key] for key in evaluator.keys() & ours})
    evaluator = {key: evaluator[key] for key in evaluator.keys() - ours}
  settings = child.ChildConfig.read(evaluator)
  params = params_lib.load_params(settings.experiment, settings.config_file, settings.params_override)
  rate = params.trainer.optimizer_config.learning_rate
  if rate.type == 'cosine':
    assert rate.cosine.decay_steps == (steps or params.trainer.train_steps)


def test_the_papers_proxy():
  """Arxiv 1904.07392, sec. 4.1; 110,895 images are those of train2017 without the 7,392 set apart."""
  override = search_config.load('nasfpn_coco_paper').evaluator['params_override']
  params = params_lib.load_params(params_override=override)
  pyramid, rate = params.task.model.decoder.feature_pyramid, params.trainer.optimizer_config.learning_rate
  assert params.task.model.backbone.get().model_id == 10 and params.task.model.input_size == [512, 512, 3]
  assert (pyramid.num_repeats, pyramid.num_filters) == (3, 256)
  epoch = 110895 / params.task.train_data.global_batch_size
  assert params.trainer.train_steps / epoch == pytest.approx(10, rel=1e-3)
  assert rate.stepwise.values == [0.08, 0.008] and rate.stepwise.boundaries[0] / epoch == pytest.approx(8, rel=1e-3)


def test_children_are_evaluated_once_and_share_a_seed(prefix):
  params = child.ChildConfig.read(config(prefix)).experiment_of(trial().architecture)
  assert params.trainer.validation_interval == params.trainer.train_steps
  assert params.trainer.best_checkpoint_export_subdir == '' and params.task.train_data.seed == 1
  assert child.ChildConfig.read(config(prefix)).reward_function() == Reward()


@pytest.mark.parametrize(
  'keys, message',
  [
    ({'rewards': {}}, "key 'rewards' does not exist; did you mean 'reward'"),
    ({'reward': {'target': -1}}, 'target -1'),
    ({'reward': {'targets': 1}}, 'targets'),
    ({'reward': 0.5}, r'evaluator\.reward must be a mapping, each value a number, not 0\.5'),
    ({'seed': '3'}, r"evaluator\.seed must be an integer, not '3'"),
    ({'config_file': 3}, r'evaluator\.config_file must be a string or a list, each element a string, not 3'),
    ({'params_override': 'a=1'}, r'evaluator\.params_override must be a mapping'),
    ({'architecture_key': None}, r'evaluator\.architecture_key must be a string, not None'),
    ({'cost': 'flops'}, "cost 'flops' is unknown; choose one of multiply_adds, latency_ms, bytes"),
    ({'config_file': 'nowhere'}, 'nowhere'),
    ({'params_override': {'task': {'modle': 1}}}, "'task.modle' does not exist"),
    ({'params_override': {'task.train_data.input_path': '/nowhere/train-*'}}, 'No TFRecord file matches'),
    ({'params_override': {}}, 'input_path is not set'),
  ],
)
def test_what_no_child_can_be_trained_with_ends_the_search(prefix, tmp_path, keys, message):
  with pytest.raises(SearchError, match=message):
    proxy.evaluate(trial(), str(tmp_path), config(prefix) | keys)
  assert list(pathlib.Path(tmp_path).iterdir()) == []


def test_levels_that_the_children_do_not_have_end_the_search(prefix, tmp_path):
  space = PyramidSpace(num_cells=4, min_level=3, max_level=6)
  sample = Trial.of(space, 0, space.sample(np.random.default_rng(0)))
  with pytest.raises(SearchError, match=r'3\.\.6'):
    proxy.evaluate(sample, str(tmp_path), config(prefix), space)


DETECTORS = DetectorSpace([64], [[3, 4], [3, 5]], [1, 2], [8, 16], [1], num_cells=4)


def test_a_detector_is_a_child_too(prefix, tmp_path):
  sample = Trial.of(DETECTORS, 0, DETECTORS.sample(np.random.default_rng(1)))
  measurement = proxy.evaluate(sample, str(tmp_path), config(prefix), DETECTORS)
  assert measurement.status == 'ok', measurement.reason
  model = yaml.safe_load((tmp_path / 'child' / 'params.yaml').read_text())['task']['model']
  wanted = sample.architecture['task']['model']
  assert model['input_size'] == wanted['input_size'] and model['max_level'] == wanted['max_level']
  pyramid, wanted = model['decoder']['feature_pyramid'], wanted['decoder']['feature_pyramid']
  assert {key: pyramid[key] for key in wanted} == wanted


@pytest.mark.parametrize('cost', ['multiply_adds', 'bytes'])
@pytest.mark.parametrize('space', [DETECTORS, SPACE], ids=lambda space: space.name)
def test_a_target_that_no_architecture_meets_ends_the_search_before_a_training(prefix, tmp_path, space, cost):
  sample = Trial.of(space, 0, space.sample(np.random.default_rng(1)))
  settings = config(prefix, cost=cost, reward={'target': 1e3, 'exponent': -0.1})
  with pytest.raises(SearchError, match=rf"no architecture of the space '{space.name}' costs 1000 {cost} or less; "):
    proxy.evaluate(sample, str(tmp_path), settings, space)
  assert list(tmp_path.iterdir()) == []
