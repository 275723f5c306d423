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

"""An imported EfficientDet computes what google/automl's computes.

data/automl_efficientdet_d0/ is the output of google/automl itself (commit 6a54c87, efficientdet/tf2: EfficientDet-D0
with EfficientNet of width 0.03 and 8 filters, 90 classes, random weights): its variables by name, in float16, and what
it computes with these values for one image: raw outputs of the finer levels at every eighth, fourth and second
position; and the detections of its evaluation, recorded with the values before they were rounded to float16.
"""

import dataclasses
import functools
import pathlib

import h5py
import numpy as np
import pytest
import tensorflow as tf
from tf_keras.src.applications import efficientnet

from nasfpn_tf import zoo
from nasfpn_tf.modeling import detector
from nasfpn_tf.modeling.backbones import applications
from nasfpn_tf.public_weights import automl, importing, named_checkpoint

DATA = pathlib.Path(__file__).parent / 'data' / 'automl_efficientdet_d0'
KEPT = {3: 8, 4: 4, 5: 2, 6: 1, 7: 1}


@functools.cache
def _state():
  return {name: value.astype(np.float32) for name, value in np.load(DATA / 'state.npz').items()}


@pytest.fixture(scope='module', autouse=True)
def _narrow():
  network = functools.partial(efficientnet.EfficientNet, 0.03, 1.0, 224, dropout_rate=0.2, model_name='efficientnetb0')
  known = applications._APPLICATIONS['efficientnet_b0']
  with pytest.MonkeyPatch.context() as patched:
    patched.setitem(applications._APPLICATIONS, 'efficientnet_b0', dataclasses.replace(known, network=network))
    yield


def _write(path, values, global_step=True):
  """Writes a checkpoint as TensorFlow 1 does."""
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variables = {name: tf.compat.v1.Variable(value) for name, value in values.items()}
    if global_step:
      variables['global_step'] = tf.compat.v1.Variable(7, dtype=tf.int64)
    session.run(tf.compat.v1.global_variables_initializer())
    return tf.compat.v1.train.Saver(variables).save(session, str(path), write_meta_graph=False)


@pytest.fixture(scope='module')
def published(tmp_path_factory):
  """A checkpoint with moving averages, which the published ones are evaluated with."""
  averages = {f'{name}/ExponentialMovingAverage': value for name, value in _state().items()}
  raw = {name: np.zeros_like(value) for name, value in list(_state().items())[:20]}
  directory = tmp_path_factory.mktemp('efficientdet-d0')
  _write(directory / 'model', averages | raw)
  return directory


@pytest.fixture(scope='module')
def imported(published, tmp_path_factory):
  """(report, model directory)."""
  run = str(tmp_path_factory.mktemp('imported') / 'run')
  return importing.import_checkpoint('automl', str(published), run, (128, 128)), run


@pytest.fixture(scope='module')
def model(imported):
  return zoo.load_detector(imported[1])


def test_computes_and_detects_the_same(imported, model):
  report, _ = imported
  assert not report.missing
  assert not report.unused
  expected = np.load(DATA / 'outputs.npz')
  mean, deviation = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
  image = (expected['pixels'].astype(np.float32) - mean) / deviation
  features = model.decoder(model.backbone(image, training=False), training=False)
  classes, boxes, _ = model.head(features, training=False)
  for level, step in KEPT.items():
    theirs = expected[f'class_{level}']
    ours = classes[str(level)][:, ::step, ::step].numpy().reshape([*theirs.shape[:3], 9, 91])
    np.testing.assert_allclose(ours[..., 1:], theirs.reshape([*theirs.shape[:3], 9, 90]), atol=1e-5)
    assert ours[..., 0].max() < -10
    np.testing.assert_allclose(boxes[str(level)][:, ::step, ::step], expected[f'box_{level}'], atol=1e-5)
  found = model(image, training=False)  # Without a size of the image, as theirs are not clipped to it.
  best = np.s_[:40]
  np.testing.assert_allclose(found['detection_scores'][0][best], expected['gaussian_scores'], atol=1e-4)
  np.testing.assert_array_equal(found['detection_classes'][0][best], expected['gaussian_classes'])
  np.testing.assert_allclose(found['detection_boxes'][0][best], expected['gaussian_boxes'], atol=1e-2)


def test_averages_are_taken_and_all_kinds_of_file_are_read(published, tmp_path):
  state = _state()
  with h5py.File(tmp_path / 'd0.h5', 'w') as file:  # As Keras writes it.
    for name, value in state.items():
      layer = name.split('/')[0]
      file[f'{layer}/{name}:0'] = value
  module = tf.Module()
  module.variables_ = [tf.Variable(value, name=name) for name, value in state.items()]
  tf.train.Checkpoint(model=module).write(str(tmp_path / 'ckpt-1'))
  for path in (published, tmp_path / 'd0.h5', tmp_path / 'ckpt-1'):
    read = named_checkpoint.read(str(path))
    assert read.keys() == state.keys()
    assert all(np.array_equal(read[name], value) for name, value in state.items())


def test_another_model_is_refused(tmp_path):
  names = {name.replace('efficientnet-b0', 'efficientnet-lite0'): value for name, value in _state().items()}
  with pytest.raises(ValueError, match=r"lite.tf' is of EfficientNet 'lite0', which this project does not build"):
    automl.model_settings(names, 'lite.tf')
  names = {name.replace('efficientnet-b0', 'efficientnet-b6'): value for name, value in _state().items()}
  with pytest.raises(ValueError, match=r'is of EfficientDet-D6 or D7, .* give its name as --url'):
    automl.model_settings(names, 'd6')
  assert automl.model_settings(names, 'd7', {'anchor': {'anchor_size': 5.0}})['anchor']['anchor_size'] == 5.0
  with pytest.raises(ValueError, match=r'is not an EfficientDet of google/automl: it has no class_net/class-predict'):
    automl.model_settings({'a': np.zeros(3)}, 'other')


def test_without_learned_weights_the_pyramid_adds():
  names = {name: value for name, value in _state().items() if '/WSM' not in name}
  assert '"op":"sum"' in automl.model_settings(names, 'd7x')['decoder']['feature_pyramid']['topology'].replace(' ', '')


def test_a_missing_variable_is_named(model, monkeypatch, tmp_path):
  monkeypatch.setattr(detector, 'build_detector', lambda *unused_arguments: model)  # Which takes seconds.
  state = dict(_state())
  del state['efficientnet-b0/blocks_3/se/conv2d_1/bias']
  path = _write(tmp_path / 'model', state)
  with pytest.raises(ValueError, match=r'1 of the model without a value \(block3a_se_expand/bias'):
    importing.import_checkpoint('automl', path, str(tmp_path / 'run'), (128, 128))
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('name', ['d0.h5', 'model'])
def test_damaged_and_missing_files_are_named(tmp_path, name):
  path = tmp_path / name
  with pytest.raises(FileNotFoundError, match=rf'{name}.* does not exist'):
    named_checkpoint.read(str(path))
  for file in (path, tmp_path / 'model.index', tmp_path / 'model.data-00000-of-00001'):
    file.write_bytes(b'not a checkpoint')
  with pytest.raises(ValueError, match=rf'{name}.* is damaged'):
    named_checkpoint.read(str(path))


def test_a_damaged_h5_file_is_named(tmp_path):
  """One byte is changed at each of many places; where it is one of a weight nothing tells it."""
  path = tmp_path / 'd0.h5'
  with h5py.File(path, 'w') as file:
    for name, value in list(_state().items())[:40]:
      file.create_dataset(f'{name}:0', data=value)
  whole = path.read_bytes()
  refused = 0
  for place in np.random.default_rng(0).integers(0, len(whole), 300):
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    try:
      named_checkpoint.read(str(tmp_path))
    except ValueError as error:
      assert str(path) in str(error)
      assert '\n' not in str(error)
      refused += 1
  assert refused
  path.unlink()
  path.mkdir()
  for given in (tmp_path, path):
    with pytest.raises(ValueError, match=r'd0\.h5 is a directory|no checkpoint'):
      named_checkpoint.read(str(given))
