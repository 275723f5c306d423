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
"""Tests of loading detectors by name, file or model_dir, with their weights."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import yaml
from official.modeling import optimization

from nasfpn_tf import zoo
from nasfpn_tf.modeling import detector
from nasfpn_tf.modeling.weights import restore
from tests import testing
from tests.modeling.backbones import tiny  # noqa: F401  (registers the backbone)

TINY = {
  'num_classes': 3,
  'input_size': [64, 64, 3],
  'min_level': 3,
  'max_level': 5,
  'backbone': {'type': 'tiny', 'tiny': {'num_filters': 8}},
  'decoder': {
    'type': 'feature_pyramid',
    'feature_pyramid': {'topology': 'nas_fpn', 'num_repeats': 2, 'num_filters': 8},
  },
  'head': {'num_convs': 1},
}


@pytest.fixture(scope='module')
def trained():
  """A tiny detector whose weights are not the initial ones."""
  model = detector.build_detector(_experiment().task.model)
  rng = np.random.default_rng(0)
  model.set_weights([w + rng.normal(0, 0.01, w.shape) for w in model.get_weights()])
  return model


def _experiment():
  return zoo.load_experiment('r50_nasfpn_7x256_640', {'task.model': TINY})


def _checkpoint(model, optimizer=None):
  """What the trainer saves."""
  optimizer = optimizer or tf_keras.optimizers.legacy.SGD(0.1)
  return tf.train.Checkpoint(
    global_step=tf.Variable(3, dtype=tf.int64), model=model, optimizer=optimizer, **model.checkpoint_items
  )


def _model_dir(path):
  """A model_dir of a training: its parameters, no checkpoint yet."""
  (path / 'params.yaml').write_text(yaml.dump(json.loads(json.dumps(_experiment().as_dict()))))
  return str(path)


def _assert_same_weights(model, weights):
  for variable, weight in zip(model.variables, weights, strict=True):
    np.testing.assert_array_equal(variable.numpy(), weight, err_msg=variable.name)


def test_a_name_or_a_file_gives_a_model_with_initial_weights(tmp_path):
  path = tmp_path / 'tiny.yaml'
  path.write_text(yaml.dump({'task': {'model': TINY}}))
  by_file = zoo.load_detector(str(path))
  by_name = zoo.load_detector('r50_nasfpn_7x256_640', params_override={'task.model': TINY})
  assert [v.shape for v in by_file.variables] == [v.shape for v in by_name.variables]
  assert by_file(tf.zeros([1, 64, 64, 3]), training=False)['detection_boxes'].shape == (1, 100, 4)


def test_a_checkpoint_of_training_loads(trained, tmp_path):
  path = _checkpoint(trained).save(tmp_path / 'ckpt')
  weights = trained.get_weights()
  for reference in (path, str(tmp_path)):
    model = zoo.load_detector('r50_nasfpn_7x256_640', checkpoint=reference, params_override={'task.model': TINY})
    _assert_same_weights(model, weights)
  images = tf.random.stateless_normal([1, 64, 64, 3], [0, 1])
  testing.assert_close(model(images, training=False), trained(images, training=False), 1e-5)


def test_a_model_dir_gives_its_best_checkpoint_and_else_its_newest(trained, tmp_path):
  model_dir = _model_dir(tmp_path)
  weights = trained.get_weights()
  _checkpoint(trained).write(tmp_path / 'ckpt-10')
  _assert_same_weights(zoo.load_detector(model_dir), weights)
  other = detector.build_detector(_experiment().task.model)
  _checkpoint(other).write(tmp_path / 'best' / 'ckpt-5')
  _assert_same_weights(zoo.load_detector(model_dir), other.get_weights())
  _assert_same_weights(zoo.load_detector(model_dir, checkpoint=str(tmp_path / 'ckpt-10')), weights)


def test_a_best_checkpoint_without_its_index_is_not_replaced_by_the_newest(trained, tmp_path):
  for name in ('ckpt-10', 'best/ckpt-5'):
    _checkpoint(trained).write(tmp_path / name)
  (tmp_path / 'best' / 'ckpt-5.index').unlink()
  with pytest.raises(ValueError, match=r'best/ckpt-5\.index is missing.*copy it again'):
    zoo.best_checkpoint(str(tmp_path))
  shutil.rmtree(tmp_path / 'best')
  (tmp_path / 'best').write_text('x')
  with pytest.raises(ValueError, match=r'/best: not the directory of the best checkpoint'):
    zoo.best_checkpoint(str(tmp_path))


def test_averaged_weights_are_taken_where_they_are(trained, tmp_path):
  """Training with EMA saves checkpoints with averages beside the weights, and the best one with them swapped in."""
  model_dir = _model_dir(tmp_path)
  optimizer = optimization.ExponentialMovingAverage(tf_keras.optimizers.legacy.SGD(0.1), trainable_weights_only=False)
  model = detector.build_detector(_experiment().task.model)
  model.set_weights(trained.get_weights())
  optimizer.shadow_copy(model)
  averages = [w + 1.0 for w in trained.get_weights()]
  for slot, average in zip(optimizer._average_weights, averages, strict=True):
    slot.assign(average)
  _checkpoint(model, optimizer).write(tmp_path / 'ckpt-10')
  _assert_same_weights(zoo.load_detector(model_dir), averages)
  raw = detector.build_detector(_experiment().task.model)
  restore.restore(raw, str(tmp_path / 'ckpt-10'))
  _assert_same_weights(raw, trained.get_weights())

  with tf.distribute.OneDeviceStrategy('/cpu:0').scope():
    optimizer.swap_weights()
  swapped = model.get_weights()
  _checkpoint(model, optimizer).write(tmp_path / 'best' / 'ckpt-10')
  np.testing.assert_allclose(swapped[0], averages[0], atol=1e-5)
  _assert_same_weights(zoo.load_detector(model_dir), swapped)


def test_backbone_weights_of_the_configuration_are_not_needed_with_a_checkpoint(tmp_path):
  backbone = {'type': 'applications', 'applications': {'name': 'mobilenet_v2', 'alpha': 0.35}}
  override = {'task.model': {**TINY, 'backbone': backbone}}
  model = zoo.load_detector('r50_nasfpn_7x256_640', params_override=override)
  path = _checkpoint(model).save(tmp_path / 'ckpt')
  backbone['applications']['weights'] = '/gone/since/training.h5'
  loaded = zoo.load_detector('r50_nasfpn_7x256_640', checkpoint=path, params_override=override)
  _assert_same_weights(loaded, model.get_weights())


@pytest.mark.parametrize(
  ('override', 'message'),
  [
    ({'num_classes': 5}, r'scores/kernel.* has shape \[3, 3, 8, 45\], \[3, 3, 8, 27\] in the checkpoint'),
    ({'decoder': {'feature_pyramid': {'num_filters': 16}}}, 'has shape .* in the checkpoint'),
    ({'decoder': {'feature_pyramid': {'num_repeats': 3}}}, r'stage_2/.*is not in the checkpoint'),
    ({'decoder': {'feature_pyramid': {'num_repeats': 1}}}, r'stage_1/.*of the checkpoint is not in the model'),
    ({'head': {'use_separable_conv': True}}, 'depthwise_kernel.* is not in the checkpoint'),
    ({'backbone': {'tiny': {'num_filters': 16}}}, 'checkpoint'),
  ],
)
def test_a_checkpoint_of_another_architecture_is_refused(trained, tmp_path, override, message):
  path = _checkpoint(trained).save(tmp_path / 'ckpt')
  params = _experiment()
  params.task.model.override(override)
  model = detector.build_detector(params.task.model)
  before = model.get_weights()
  with pytest.raises(ValueError, match=message) as error:
    restore.restore(model, path)
  assert path in str(error.value) and 'another config' in str(error.value)
  assert len(str(error.value)) < 1000
  _assert_same_weights(model, before)


def test_a_checkpoint_of_something_else_is_refused(trained, tmp_path):
  path = tf.train.Checkpoint(x=tf.Variable(1.0)).save(tmp_path / 'ckpt')
  with pytest.raises(ValueError, match='backbone is not in the checkpoint'):
    restore.restore(trained, path)


def test_missing_things_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="did you mean 'r50_nasfpn_7x256_640'"):
    zoo.load_detector('r50_nasfpn_7x256')
  with pytest.raises(ValueError, match=r'ckpt-7\.index'):
    zoo.load_detector('r50_nasfpn_7x256_640', checkpoint=str(tmp_path / 'ckpt-7'))
  with pytest.raises(ValueError, match=f'no checkpoint in {tmp_path}'):
    zoo.load_detector(_model_dir(tmp_path))
  with pytest.raises(ValueError, match='num_repeat'):
    zoo.load_detector('r50_nasfpn_7x256_640', params_override='task.model.decoder.feature_pyramid.num_repeat=3')


def test_the_number_of_classes_is_read_from_the_manifest(tmp_path):
  labels = [{'label': i, 'id': 10 * i, 'name': f'kind {i}'} for i in (1, 2)]
  shard = {'file': 'train-00000-of-00001.tfrecord', 'num_records': 1, 'num_bytes': 0}
  manifest = {'format': 1, 'num_records': 1, 'shards': [shard], 'num_classes': 3, 'labels': labels}
  manifest |= {'label_scheme': 'contiguous', 'problems': {}}
  (tmp_path / 'train.manifest.json').write_text(json.dumps(manifest))
  override = {'task.model.num_classes': 0, 'task.train_data.input_path': str(tmp_path / 'train-*')}
  assert zoo.load_experiment('r50_nasfpn_7x256_640', override).task.model.num_classes == 3
  with pytest.raises(ValueError, match=r'num_classes is 0.*manifest'):
    zoo.load_experiment('r50_nasfpn_7x256_640', 'task.model.num_classes=0')
