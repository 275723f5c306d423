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

"""Residual stacks from configuration to export: who has them, and that weights of one kind do not load as the other."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import yaml

from nasfpn_tf import load_detector
from nasfpn_tf.config import loading
from nasfpn_tf.export import calibration, saved_model, source, tflite
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import trainer
from nasfpn_tf.training.task import DetectionTask
from tests.training import rectangles

KEY = 'task.model.decoder.feature_pyramid.residual'
# Recipes of ours; everything else in configs/ is as published, or is there to be compared with what is.
OURS = (
  'bccd_mobilenetv2_nasfpnlite_3x64_384x512',
  'bccd_mobilenetv2_nasfpnlite_3x64_384x512_anytime',
  'digits_resnet10_nasfpnlite_2x48_256',
  'r50_nasfpn_7x256_640_anytime',
)


def pyramid_of(*args, **kwargs):
  return params_lib.load_params(*args, **kwargs).task.model.decoder.feature_pyramid


def test_what_a_user_starts_from_is_residual():
  assert pyramid_of('nasfpn_retinanet').residual and pyramid_of('nasfpnlite_retinanet').residual
  assert not pyramid_of('efficientdet_retinanet').residual, "EfficientDet's own recipe"


@pytest.mark.parametrize('name', [name for name in sorted(loading.config_names()) if '/' not in name])
def test_published_models_are_as_published(name):
  model = params_lib.load_params(config_files=name).task.model
  if model.decoder.type == 'feature_pyramid':
    assert model.decoder.feature_pyramid.residual == (name in OURS)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """(records, model_dir) of a residual anytime detector of two pyramids, on levels 3 to 5."""
  root = tmp_path_factory.mktemp('residual')
  prefix = rectangles.write(root, num_images=12)
  model = {
    'anytime': {'enabled': True},
    'decoder': {'feature_pyramid': {'num_repeats': 2, 'num_filters': 16}},
  }
  steps = {'train_steps': 40, 'steps_per_loop': 20, 'checkpoint_interval': 40, 'validation_interval': 40}
  experiment = rectangles.experiment(prefix, trainer={**steps, 'summary_interval': 20}, task={'model': model})
  trainer.run(experiment, 'train', str(root / 'run'))
  return prefix, str(root / 'run')


def test_params_yaml_says_it_and_one_of_before_means_without(run, tmp_path):
  _, model_dir = run
  assert pyramid_of(config_files=model_dir).residual
  saved = yaml.safe_load((pathlib.Path(model_dir) / 'params.yaml').read_text())
  del saved['task']['model']['decoder']['feature_pyramid']['residual']
  (tmp_path / 'params.yaml').write_text(yaml.safe_dump(saved))
  assert not pyramid_of(config_files=str(tmp_path)).residual


@pytest.mark.parametrize('modules', ['all', 'fitting', ['backbone', 'decoder']])
def test_weights_of_a_residual_stack_do_not_start_another(run, modules):
  _, model_dir = run
  params = params_lib.load_params(config_files=model_dir, params_override=f'{KEY}=false')
  params.task.override({'init_checkpoint': model_dir, 'init_checkpoint_modules': modules})
  task = DetectionTask(params.task)
  with pytest.raises(ValueError, match=r'residual is True there and False here.*params\.yaml|params\.yaml.*residual'):
    task.initialize(None)  # Before the model is touched.
  params.task.init_checkpoint_modules = ['backbone']
  DetectionTask(params.task).initialize(DetectionTask(params.task).build_model())


def test_they_are_not_loaded_or_evaluated_as_another(run, tmp_path):
  _, model_dir = run
  with pytest.raises(ValueError, match='residual is True there and False here'):
    load_detector(model_dir, params_override=f'{KEY}=false')
  params = params_lib.load_params(config_files=model_dir, params_override=f'{KEY}=false')
  with pytest.raises(ValueError, match='residual is True there and False here'):
    trainer.run(params, 'eval', str(tmp_path / 'evaluated'), checkpoint_path=model_dir)
  with pytest.raises(ValueError, match=r'task.model.decoder.feature_pyramid.residual is True there and False here'):
    trainer.run(params, 'train', model_dir)


def test_weights_of_another_wiring_are_not_either(run):
  """FPN has as many cells as levels, whatever they read: seven cells of another wiring have NAS-FPN's variables."""
  _, model_dir = run
  spec = json.loads(pyramid_of(config_files=model_dir).topology)
  spec['cells'][1]['op'] = 'global_pooling' if spec['cells'][1]['op'] == 'sum' else 'sum'
  override = {'task.model.decoder.feature_pyramid.topology': json.dumps(spec)}
  with pytest.raises(ValueError, match=r'topology is .* there and .* here'):
    load_detector(model_dir, params_override=override)


def test_weights_without_a_description_load(run, tmp_path):
  """Nothing says what they are of, as with Model Garden's."""
  _, model_dir = run
  for path in pathlib.Path(model_dir).glob('ckpt-*'):
    shutil.copy(path, tmp_path)
  load_detector(model_dir, checkpoint=str(tmp_path), params_override=f'{KEY}=false')


@pytest.mark.slow
def test_exports_are_those_of_the_model(run, tmp_path):
  """Each export compares itself with the Keras model, the SavedModel exit by exit, before it gets its name."""
  prefix, model_dir = run
  detector = source.load(model_dir)
  images = calibration.load_images(prefix, 12)
  version = saved_model.export_saved_model(detector, str(tmp_path / 'saved_model'), images=images[:1])
  again = source.load(version)
  assert again.params.task.model.decoder.feature_pyramid.residual
  last = detector.at_exit(2)
  tflite.export_tflite(last, str(tmp_path / 'int8.tflite'), tflite.Options(quant_type='int8', nms='none'), images)
  early = detector.model.at_exit(1)
  inputs = np.zeros([1, 128, 128, 3], np.float32)
  whole = detector.model(inputs, training=False, all_exits=True)['exits'][0]
  np.testing.assert_allclose(early(inputs, training=False)['cls_outputs']['3'], whole['cls_outputs']['3'], atol=1e-5)
