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
"""A detector of Model Garden is imported and detects what Model Garden's own model does, which is run here."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.configs import backbones, decoders, retinanet
from official.vision.modeling import classification_model, factory
from official.vision.modeling.backbones import resnet, spinenet

from nasfpn_tf import zoo
from nasfpn_tf.public_weights import importing, model_garden
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import task as task_lib

_NARROW = {'endpoints_num_filters': 16, 'filter_size_scale': 0.1, 'resample_alpha': 0.5, 'block_repeats': 1}
_DECODERS = {
  'fpn': decoders.Decoder(type='fpn', fpn=decoders.FPN(num_filters=16)),
  'nasfpn': decoders.Decoder(type='nasfpn', nasfpn=decoders.NASFPN(num_repeats=1)),
  'spinenet': decoders.Decoder(type='identity'),
  'spinenet_mobile': decoders.Decoder(type='identity'),
}


def _randomize(model):
  rng = np.random.default_rng(0)
  for variable in model.variables:
    if 'depthwise' in variable.name:
      variable.assign(rng.normal(0, 1 / 3, variable.shape))  # Each output reads one channel.
    elif 'kernel' in variable.name:
      variable.assign(rng.normal(0, np.prod(variable.shape[:-1]) ** -0.5, variable.shape))
    elif 'variance' in variable.name or 'gamma' in variable.name:
      variable.assign(rng.uniform(0.5, 1.0, variable.shape))
    elif variable.dtype.is_floating:
      variable.assign(rng.normal(0, 0.1, variable.shape))


def _write(directory, model, model_config):
  directory.mkdir()
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  checkpoint.write(str(directory / 'ckpt-3'))
  experiment = retinanet.retinanet_resnetfpn_coco()
  experiment.task.model = model_config
  hyperparams.save_params_dict_to_yaml(experiment, str(directory / 'params.yaml'))


_SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ('spinenet', 'spinenet_mobile')]


@pytest.fixture(scope='module', params=['fpn', 'nasfpn', *_SLOW])
def both(request, tmp_path_factory):
  """(their model, imported directory, report) of a narrow detector with random weights."""
  root = tmp_path_factory.mktemp(request.param)
  model = retinanet.RetinaNet(num_classes=4, input_size=[128, 128, 3], decoder=_DECODERS[request.param])
  model.backbone.resnet = backbones.ResNet(model_id=10, depth_multiplier=0.25)
  model.head.num_filters = 16
  with pytest.MonkeyPatch.context() as patch:
    if request.param == 'spinenet':
      patch.setitem(spinenet.SCALING_MAP, '49S', _NARROW)
      model.backbone = backbones.Backbone(type='spinenet', spinenet=backbones.SpineNet(model_id='49S'))
      model.norm_activation.activation = 'swish'
    if request.param == 'spinenet_mobile':
      mobile = backbones.SpineNetMobile(model_id='49XS', se_ratio=0.2)
      model.backbone = backbones.Backbone(type='spinenet_mobile', spinenet_mobile=mobile)
      model.norm_activation.activation = 'hard_swish'
      model.head.use_separable_conv = True
    theirs = factory.build_retinanet(tf_keras.layers.InputSpec(shape=[None, 128, 128, 3]), model)
    theirs(tf.zeros([1, 128, 128, 3]), image_shape=tf.constant([[128, 128]]), training=False)
    _randomize(theirs)
    _write(root / 'published', theirs, model)
    report = importing.import_checkpoint('model_garden', str(root / 'published'), str(root / 'run'), (128, 128))
    yield theirs, root / 'run', report


def test_detects_the_same(both):
  theirs, directory, report = both
  assert not report.missing
  assert not report.unused
  # Model Garden takes 5,000 candidates of each class, so all of these; here they are of all classes together.
  everything = {'task': {'model': {'detection_generator': {'pre_nms_top_k': 100000}}}}
  ours = zoo.load_detector(str(directory), params_override=everything)
  image = tf.random.stateless_normal([1, 128, 128, 3], [0, 1])
  arguments = {'image_shape': tf.constant([[128, 128]]), 'training': False}
  found, expected = ours(image, **arguments), theirs(image, **arguments)
  num = int(expected['num_detections'][0])
  assert num == int(found['num_detections'][0]) > 20
  if 'mobile' in directory.parent.name:
    num = 50  # Of the next ones two and two have the same score, and may come in any order.
  for key, tolerance in (('detection_boxes', 1e-2), ('detection_scores', 1e-4), ('detection_classes', 0)):
    np.testing.assert_allclose(found[key][0, :num], expected[key][0, :num], atol=tolerance)


def test_other_epsilon_of_the_batch_norms_is_refused(both):
  _, directory, _ = both
  published = directory.parent / 'published' / 'ckpt-3'
  other = {'task': {'model': {'norm_activation': {'norm_epsilon': 1e-4}}}}
  for checkpoint in (published, directory):
    with pytest.raises(ValueError, match=r'norm_activation\.norm_epsilon is 0\.001 there and 0\.0001 here'):
      zoo.load_detector(str(directory), str(checkpoint), params_override=other)


@pytest.mark.slow
def test_starts_a_detector_of_other_classes(both):
  _, directory, _ = both
  task = params_lib.load_params(
    config_files=str(directory),
    params_override={
      'task': {
        'init_checkpoint': str(directory),
        'init_checkpoint_modules': 'fitting',
        'freeze_backbone': True,
        'model': {'num_classes': 3},
      }
    },
  ).task
  detection_task = task_lib.DetectionTask(task)
  model = detection_task.build_model()
  detection_task.initialize(model)
  report = detection_task.load_report
  assert len(report.missing) == 2, report.missing  # Kernel and bias of the last class convolution.
  trained = zoo.load_detector(str(directory))
  image = tf.random.stateless_normal([1, 128, 128, 3], [0, 1])
  for level, expected in trained.backbone(image, training=False).items():
    np.testing.assert_allclose(model.backbone(image, training=False)[level], expected, atol=1e-5)
  assert not model.backbone.trainable_variables


def test_without_params_yaml_nothing_is_guessed(both, tmp_path):
  _, directory, _ = both
  for file in (directory.parent / 'published').glob('ckpt-3*'):
    (tmp_path / file.name).write_bytes(file.read_bytes())
  with pytest.raises(ValueError, match=r'there is no params\.yaml beside checkpoint .*ckpt-3'):
    importing.import_checkpoint('model_garden', str(tmp_path), str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_saved_model_and_its_file_in_place_of_a_checkpoint_are_named(tmp_path):
  exported = tf.Module()
  exported.weight = tf.Variable(1.0)
  tf.saved_model.save(exported, str(tmp_path / 'saved'))
  (tmp_path / 'saved' / 'params.yaml').write_text('task: {model: {num_classes: 4, backbone: {type: resnet}}}')
  for path, message in (
    ('saved', "is not of Model Garden's RetinaNet: it has weight.* that of a SavedModel"),
    ('saved/saved_model.pb', 'saved_model.pb is no checkpoint of TensorFlow'),
  ):
    with pytest.raises(ValueError, match=message):
      importing.import_checkpoint('model_garden', str(tmp_path / path), str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_checkpoint_without_description_is_loaded_with_a_warning(both, tmp_path, caplog):
  _, directory, _ = both
  for file in directory.glob('ckpt-0*'):
    (tmp_path / file.name).write_bytes(file.read_bytes())
  zoo.load_detector(str(directory), str(tmp_path / 'ckpt-0'))
  assert 'There is no params.yaml beside' in caplog.text
  assert 'norm_activation.norm_epsilon 0.001' in caplog.text


def test_classifier_gives_its_backbone(tmp_path, monkeypatch):
  monkeypatch.setenv('NASFPN_TF_CACHE', str(tmp_path / 'cache'))
  shape = tf_keras.layers.InputSpec(shape=[None, 128, 128, 3])
  theirs = resnet.ResNet(50, shape, depth_multiplier=0.125, norm_epsilon=1e-5)
  classifier = classification_model.ClassificationModel(theirs, num_classes=5, input_specs=shape)
  _randomize(classifier)
  (tmp_path / 'published').mkdir()
  tf.train.Checkpoint(model=classifier, **classifier.checkpoint_items).write(str(tmp_path / 'published' / 'ckpt-9'))
  (tmp_path / 'published' / 'params.yaml').write_text(
    'task: {model: {backbone: {type: resnet, resnet: {model_id: 50, depth_multiplier: 0.125}},'
    ' norm_activation: {norm_epsilon: 0.00001, activation: relu}}}'
  )
  directory, _ = importing.import_published(url='resnet50_imagenet', checkpoint=str(tmp_path / 'published'))
  assert directory == str(tmp_path / 'cache' / 'resnet50_imagenet')
  assert json.loads((tmp_path / 'cache' / 'resnet50_imagenet' / 'source.json').read_text())['published'] == 77.1

  task = params_lib.load_params(
    config_files='r50_fpn_640',
    params_override='task.model.backbone.resnet.depth_multiplier=0.125,task.model.decoder.fpn.num_filters=8,'
    'task.model.num_classes=3,task.model.input_size=[128, 128, 3]',
  ).task
  detection_task = task_lib.DetectionTask(task)
  model = detection_task.build_model()
  detection_task.initialize(model)
  assert len(detection_task.load_report.matched) == len(theirs.variables)
  image = tf.random.stateless_normal([1, 128, 128, 3], [0, 1])
  for level, expected in theirs(image, training=False).items():
    np.testing.assert_allclose(model.backbone(image, training=False)[level], expected, atol=1e-4)


def test_change_of_epsilon_keeps_the_function_even_without_variance():
  norm = tf_keras.layers.BatchNormalization(epsilon=1e-5)
  norm.build([None, 3])
  norm.set_weights(np.array([[1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [0.0, 1.0, 2.0], [0.0, 2e-5, 1.0]]))
  values = tf.constant([[0.5, -1.0, 2.0]])
  expected = norm(values)
  model_garden.change_epsilon([norm], 1e-5, 1e-4)
  norm.epsilon = 1e-4
  np.testing.assert_allclose(norm(values), expected, rtol=1e-5)
