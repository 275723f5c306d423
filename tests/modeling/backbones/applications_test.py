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
"""Tests of the backbones from tf_keras.applications."""

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.modeling.backbones import factory
from official.vision.ops import preprocess_ops

from nasfpn_tf import config
from nasfpn_tf.modeling.backbones import applications
from nasfpn_tf.modeling.weights import pretrained
from tests import testing

ALPHA = 0.35


def _normalised(images):
  """Images of 0..255 as the input pipeline normalizes them."""
  return preprocess_ops.normalize_image(
    tf.constant(images, tf.float32), offset=preprocess_ops.MEAN_RGB, scale=preprocess_ops.STDDEV_RGB
  )


def _images(size=(64, 96), batch=1):
  return np.random.default_rng(0).integers(0, 256, size=[batch, *size, 3]).astype('float32')


@pytest.fixture(scope='module')
def network():
  """A small MobileNetV2 of the library with batch norm statistics that are not the initial ones."""
  network = tf_keras.applications.MobileNetV2((64, 96, 3), alpha=ALPHA, include_top=False, weights=None)
  rng = np.random.default_rng(1)
  network.set_weights([w + rng.uniform(0, 0.2, w.shape) for w in network.get_weights()])
  return network


@pytest.fixture(scope='module')
def weight_file(network, tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'mobilenet_v2.h5'
  network.save_weights(path)
  return str(path)


@pytest.fixture(scope='module')
def trunk():
  """The same network as a backbone has it, cut after C5."""
  return applications.ApplicationsBackbone('mobilenet_v2', (64, 64, 3), alpha=ALPHA).get_layer('mobilenet_v2')


@pytest.mark.parametrize(
  ('name', 'widths'),
  [
    ('mobilenet_v2', [24, 32, 96, 320]),
    ('mobilenet_v3_small', [16, 24, 48, 96]),
    ('mobilenet_v3_large', [24, 40, 112, 160]),
    ('resnet50', [256, 512, 1024, 2048]),
    ('efficientnet_b0', [24, 40, 112, 320]),
  ],
)
def test_levels_have_their_strides_and_the_documented_widths(name, widths):
  backbone = applications.ApplicationsBackbone(name, (64, 96, 3))
  expected = {str(level): [64 >> level, 96 >> level, width] for level, width in zip(range(2, 6), widths, strict=True)}
  assert {level: shape[1:].as_list() for level, shape in backbone.output_specs.items()} == expected
  outputs = backbone(_normalised(_images()))
  assert {level: o.shape[1:].as_list() for level, o in outputs.items()} == expected
  assert all(np.isfinite(o).all() for o in outputs.values())


@pytest.mark.parametrize(
  ('input_range', 'preprocess'),
  [
    ('symmetric', tf_keras.applications.mobilenet_v2.preprocess_input),
    ('caffe', tf_keras.applications.resnet.preprocess_input),
    ('torch', lambda x: tf_keras.applications.imagenet_utils.preprocess_input(x, mode='torch')),
  ],
)
def test_input_reaches_the_network_as_the_library_preprocesses_it(input_range, preprocess):
  images = _images((8, 8))
  layer = applications.ToNetworkRange(input_range)
  mapped = layer(_normalised(images))
  np.testing.assert_allclose(mapped, preprocess(images.copy()), atol=1e-3)
  rebuilt = applications.ToNetworkRange.from_config(layer.get_config())
  np.testing.assert_array_equal(rebuilt(_normalised(images)), mapped)


def test_unknown_input_range():
  with pytest.raises(ValueError, match='bgr'):
    applications.ToNetworkRange('bgr')


def test_a_weight_file_gives_the_features_of_the_library(network, weight_file):
  images = _images()
  backbone = applications.ApplicationsBackbone('mobilenet_v2', (64, 96, 3), alpha=ALPHA, weights=weight_file)
  taps = [network.get_layer(name).output for name in ('block_5_add', 'block_12_add', 'block_16_project_BN')]
  library = tf_keras.Model(network.input, taps)
  expected = library(tf_keras.applications.mobilenet_v2.preprocess_input(images.copy()), training=False)
  actual = backbone(_normalised(images), training=False)
  for level, e in zip('345', expected, strict=True):
    np.testing.assert_allclose(actual[level], e, atol=1e-3 * float(tf.reduce_max(tf.abs(e))))


def test_the_report_says_what_was_set_and_what_was_left(trunk, weight_file):
  report = pretrained.load_weights(trunk, weight_file)
  assert len(report.matched) == len(trunk.weights) and report.source == weight_file and not report.missing
  assert report.unused == ('Conv_1', 'Conv_1_bn')


def test_the_imagenet_weights_beside_the_repository_load():
  path = testing.shared_weights('mobilenet_v2_1.0_224_no_top_from_tf2_ptq_int8.h5')
  backbone = applications.ApplicationsBackbone('mobilenet_v2', (96, 64, 3), weights=str(path))
  assert len(backbone.load_report.matched) == len(backbone.weights)
  with h5py.File(path) as file:
    stored = file['block_12_project_BN/block_12_project_BN/moving_variance:0'][()]
  layer = backbone.get_layer('mobilenet_v2').get_layer('block_12_project_BN')
  np.testing.assert_array_equal(layer.moving_variance, stored)


def test_a_file_of_another_width_is_refused(weight_file):
  with pytest.raises(ValueError, match=r'mobilenet_v2\.h5.*does not fit mobilenet_v2: .*has shape.*alpha'):
    applications.ApplicationsBackbone('mobilenet_v2', (64, 64, 3), alpha=0.5, weights=weight_file)


def test_a_file_of_another_network_is_refused(weight_file):
  with pytest.raises(ValueError, match='does not fit mobilenet_v3_small: layer Conv is not in the file'):
    applications.ApplicationsBackbone('mobilenet_v3_small', (64, 64, 3), weights=weight_file)


def test_a_missing_file_is_named(trunk):
  with pytest.raises(FileNotFoundError, match=r'/nowhere/weights\.h5'):
    pretrained.load_weights(trunk, '/nowhere/weights.h5')


def test_files_that_are_no_keras_weights_are_named(trunk, tmp_path):
  text, other = tmp_path / 'text.h5', tmp_path / 'other.h5'
  text.write_text('not HDF5')
  with h5py.File(other, 'w') as file:
    file['x'] = [1]
  with pytest.raises(OSError, match=r'text\.h5'):
    pretrained.load_weights(trunk, str(text))
  with pytest.raises(ValueError, match=r'other\.h5.*lists no layers'):
    pretrained.load_weights(trunk, str(other))


def test_imagenet_without_a_connection_says_what_to_do(monkeypatch):
  def fail(*args, **kwargs):
    raise Exception('URL fetch failure')

  monkeypatch.setattr('tf_keras.src.applications.mobilenet_v2.data_utils.get_file', fail)
  with pytest.raises(OSError, match=r'URL fetch failure.*path of a Keras \.h5 file'):
    applications.ApplicationsBackbone('mobilenet_v2', (64, 64, 3), weights='imagenet')


def test_imagenet_takes_the_file_that_the_library_fetches(monkeypatch, network, weight_file):
  monkeypatch.setattr('tf_keras.src.applications.mobilenet_v2.data_utils.get_file', lambda *a, **k: weight_file)
  backbone = applications.ApplicationsBackbone('mobilenet_v2', (64, 64, 3), alpha=ALPHA, weights='imagenet')
  np.testing.assert_array_equal(
    backbone.get_layer('mobilenet_v2').get_layer('Conv1').kernel, network.get_layer('Conv1').kernel
  )


def test_the_factory_of_model_garden_applies_the_configuration():
  backbone = factory.build_backbone(
    tf_keras.layers.InputSpec(shape=[None, 64, 64, 3]),
    config.Backbone(type='applications', applications={'name': 'mobilenet_v2', 'alpha': ALPHA, 'norm_momentum': 0.9}),
    config.Detector(norm_activation={'use_sync_bn': True}).norm_activation,
    tf_keras.regularizers.l2(0.5),
  )
  trunk = backbone.get_layer('mobilenet_v2')
  norms = [layer for layer in trunk.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
  assert norms and all(layer.momentum == 0.9 and layer.synchronized for layer in norms)
  kernels = [layer.kernel for layer in trunk.layers if type(layer) is tf_keras.layers.Conv2D]
  expected = sum(0.5 * float(tf.reduce_sum(kernel**2)) for kernel in kernels)
  assert float(tf.add_n(backbone.losses)) == pytest.approx(expected, rel=1e-4)


def test_frozen_levels_stay_as_loaded(weight_file):
  backbone = applications.ApplicationsBackbone(
    'mobilenet_v2', (64, 96, 3), alpha=ALPHA, weights=weight_file, frozen_level=3
  )
  images = _normalised(_images(batch=2))
  training, inference = backbone(images, training=True), backbone(images, training=False)
  for level in '23':
    testing.assert_close(training[level], inference[level], 1e-5)
  assert np.abs(training['4'] - inference['4']).max() > 1e-2, 'level 4 runs with the statistics of the batch'
  blocks = {v.name.split('_')[1] for v in backbone.trainable_variables}
  assert blocks == {str(i) for i in range(6, 17)}
  with pytest.raises(ValueError, match=r'frozen_level 6: mobilenet_v2 has levels \[2, 3, 4, 5\]'):
    applications.ApplicationsBackbone('mobilenet_v2', (64, 96, 3), alpha=ALPHA, frozen_level=6)


def test_config_round_trip():
  backbone = applications.ApplicationsBackbone(
    'mobilenet_v2', (64, 64, 3), alpha=ALPHA, norm_momentum=0.9, kernel_regularizer=tf_keras.regularizers.l2(0.5)
  )
  rebuilt = applications.ApplicationsBackbone.from_config(backbone.get_config())
  rebuilt.set_weights(backbone.get_weights())
  assert rebuilt.get_config() == backbone.get_config()
  images = _normalised(_images((64, 64)))
  testing.assert_close(rebuilt(images), backbone(images), 0.0)
  testing.assert_close(rebuilt.losses, backbone.losses, 1e-6)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'name': 'mobilenet_v4'}, "mobilenet_v4.*did you mean.*'mobilenet_v2'"),
    ({'name': 'resnet50', 'alpha': 0.5}, 'resnet50 does not'),
    ({'name': 'mobilenet_v2', 'alpha': 0.123, 'weights': 'imagenet'}, 'applications.weights.*mobilenet_v2'),
  ],
)
def test_wrong_arguments_are_named(arguments, message):
  with pytest.raises(ValueError, match=message):
    applications.ApplicationsBackbone(input_shape=(64, 64, 3), **arguments)
