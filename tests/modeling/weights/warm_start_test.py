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
"""Starting a detector from checkpoints of Model Garden and of other detectors; other exits are in anytime_test.py."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.configs import backbones as mg_backbones
from official.vision.configs import image_classification as mg_classification
from official.vision.configs import retinanet as mg_retinanet
from official.vision.modeling import factory

from nasfpn_tf import config
from nasfpn_tf.modeling import detector
from nasfpn_tf.modeling.weights import restore, warm_start

SIZE = 128
RESNET = {'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.25}}


def build(**model):
  tiny = {
    'num_classes': 3,
    'input_size': [SIZE, SIZE, 3],
    'backbone': RESNET,
    'decoder': {'type': 'fpn', 'fpn': {'num_filters': 8}},
    'head': {'num_convs': 1},
  }
  return detector.build_detector(config.Detector(**{**tiny, **model}))


def write(model, path) -> str:
  """A checkpoint as Model Garden's trainer makes it."""
  return tf.train.Checkpoint(model=model, **model.checkpoint_items).write(str(path / 'ckpt-1'))


def shake(model):
  """Other values than those of initialization."""
  for i, variable in enumerate(model.variables):
    variable.assign_add(tf.random.stateless_uniform(variable.shape, [i, 7]))
  return model


def assert_same(a, b):
  for x, y in zip(a, b, strict=True):
    np.testing.assert_array_equal(x, y)


@pytest.fixture(scope='module')
def trained():
  return shake(build())


@pytest.fixture(scope='module')
def checkpoint(trained, tmp_path_factory):
  return write(trained, tmp_path_factory.mktemp('trained'))


def test_the_backbone_of_model_gardens_classifier(tmp_path):
  classifier = factory.build_classification_model(
    tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3]),
    mg_classification.ImageClassificationModel(num_classes=5, backbone=mg_backbones.Backbone(RESNET)),
  )
  path = write(shake(classifier), tmp_path)
  model = build()
  others = [v.numpy() for v in (*model.decoder.variables, *model.head.variables)]
  report = warm_start.start(model, path, ['backbone'])
  assert_same(model.backbone.variables, classifier.backbone.variables)
  assert_same((*model.decoder.variables, *model.head.variables), others)
  assert len(report.matched) == len(model.backbone.variables) and not report.missing and not report.unused
  assert all(name.startswith('backbone/') for name in report.matched)
  with pytest.raises(ValueError, match='decoder is not in the checkpoint'):
    warm_start.start(model, path, 'all')


def test_the_whole_of_model_gardens_retinanet(tmp_path):
  theirs = mg_retinanet.RetinaNet(
    num_classes=3, input_size=[SIZE, SIZE, 3], head=mg_retinanet.RetinaNetHead(num_convs=1, num_filters=8)
  )
  theirs.backbone.override(RESNET)
  theirs.decoder.override({'type': 'fpn', 'fpn': {'num_filters': 8}})
  theirs.norm_activation.use_sync_bn = False
  original = factory.build_retinanet(tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3]), theirs)
  path = write(shake(original), tmp_path)
  model = build()
  report = warm_start.start(model, path, 'all')
  for part in ('backbone', 'decoder', 'head'):
    assert_same(getattr(model, part).variables, getattr(original, part).variables)
  assert len(report.matched) == len(model.variables) and not report.missing and not report.unused


def test_what_fits_of_a_detector_of_other_classes(trained, checkpoint):
  model = build(num_classes=5)
  of_class = [v for v in model.head.variables if 'scores' in v.name]
  before = [v.numpy() for v in of_class]
  report = warm_start.start(model, checkpoint, warm_start.FITTING)
  assert_same(model.backbone.variables, trained.backbone.variables)
  assert_same(model.decoder.variables, trained.decoder.variables)
  assert_same(of_class, before)
  rest = [(a, b) for a, b in zip(model.head.variables, trained.head.variables, strict=True) if 'scores' not in a.name]
  assert_same(*zip(*rest, strict=True))
  assert len(report.missing) == len(of_class) == 2 and len(report.unused) == 0
  assert 'scores/kernel:0 has shape [3, 3, 8, 45], [3, 3, 8, 27] in the checkpoint' in report.missing[0]
  assert len(report.matched) == len(model.variables) - 2
  text = str(report)
  assert '\n' not in text and checkpoint in text and '2 (' in text and '0 of the file not used' in text


def test_what_fits_of_a_detector_with_another_pyramid(trained, checkpoint):
  model = build(decoder={'feature_pyramid': {'num_repeats': 1, 'num_filters': 8}})
  before = [v.numpy() for v in model.decoder.variables]
  report = warm_start.start(model, checkpoint, warm_start.FITTING)
  assert_same(model.backbone.variables, trained.backbone.variables)
  assert_same(model.decoder.variables, before)
  assert len(report.missing) == len(before) and len(report.unused) == len(trained.decoder.variables)


@pytest.mark.parametrize('modules', ['all', 'fitting', ['backbone']], ids=str)
def test_a_backbone_that_does_not_load_is_an_error(checkpoint, modules):
  model = build(backbone={'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.5}})
  before = model.get_weights()
  with pytest.raises(ValueError, match=r'has shape .* in the checkpoint.*differences in all'):
    warm_start.start(model, checkpoint, modules)
  assert_same(model.get_weights(), before)


def test_weights_that_are_not_finite_are_refused(trained, tmp_path):
  values = trained.decoder.get_weights()
  path = str(tmp_path / 'ckpt-7')
  try:
    trained.decoder.set_weights([np.full_like(values[0], np.nan), *values[1:]])
    tf.train.Checkpoint(**trained.checkpoint_items).write(path)
  finally:
    trained.decoder.set_weights(values)
  model = build()
  before = model.get_weights()
  for modules in ('all', ['decoder']):
    with pytest.raises(restore.NonFiniteWeightsError, match=r'ckpt-7.: weights are NaN or infinite: [^;]*\. The'):
      warm_start.start(model, path, modules)
  assert_same(model.get_weights(), before)
  warm_start.start(model, path, ['backbone'])  # Its weights are sound.


def test_unknown_parts_are_refused(trained, checkpoint):
  with pytest.raises(ValueError, match=r"\['neck'\] is no part of the model: it is all, fitting, or a list of"):
    warm_start.start(trained, checkpoint, ['backbone', 'neck'])


@pytest.mark.parametrize('suffix', ['.index', '.data-00000-of-00001'])
@pytest.mark.parametrize('cut', [0.0, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named(tmp_path, suffix, cut):
  model = build()
  path = write(model, tmp_path)
  file = tmp_path / f'ckpt-1{suffix}'
  content = file.read_bytes()
  file.write_bytes(content[: int(cut * len(content))])
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(ValueError, match=r'ckpt-1. cannot be read, it is damaged or incomplete'):
    restore.restore(model, path)
  assert_same(before, [variable.numpy() for variable in model.variables])


def test_a_flipped_byte_is_found(tmp_path):
  model = build()
  path = write(model, tmp_path)
  file = tmp_path / 'ckpt-1.data-00000-of-00001'
  content = bytearray(file.read_bytes())
  content[1000] ^= 4
  file.write_bytes(content)
  with pytest.raises(ValueError, match='cannot be read, it is damaged'):
    restore.restore(model, path)
