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

import numpy as np
import pytest
import tf_keras

from nasfpn_tf.modeling.backbones import applications
from nasfpn_tf.modeling.weights import compact, pretrained


def _network(filters=4):
  return tf_keras.Sequential(
    [
      tf_keras.layers.Conv2D(filters, 3, input_shape=(8, 8, 3), name='conv', use_bias=False),
      tf_keras.layers.DepthwiseConv2D(3, name='depthwise', use_bias=False),
      tf_keras.layers.BatchNormalization(name='bn'),
    ],
    name='small',
  )


@pytest.fixture
def network():
  network = _network()
  rng = np.random.default_rng(0)
  network.set_weights([rng.normal(size=w.shape) * rng.uniform(0.1, 10.0) for w in network.get_weights()])
  network.layers[0].set_weights([network.layers[0].get_weights()[0] * [1, 0, 100, 0.01]])  # Each channel its own scale.
  return network


def test_kernels_keep_int8_precision_in_each_channel(network, tmp_path):
  path = str(tmp_path / 'w.npz')
  compact.save_weights(network, path)
  loaded = _network()
  report = compact.load_weights(loaded, path)
  assert len(report.matched) == 6 and report.source == path
  for axes, before, after in zip([(0, 1, 2), (0, 1, 3)], network.get_weights(), loaded.get_weights(), strict=False):
    step = np.abs(before).max(axis=axes, keepdims=True) / 127
    assert np.all(np.abs(after - before) <= 0.51 * step)
  for before, after in zip(network.get_weights()[2:], loaded.get_weights()[2:], strict=True):
    np.testing.assert_allclose(after, before, rtol=1e-3)


def test_what_does_not_fit_is_refused_by_name(network, tmp_path):
  path = str(tmp_path / 'w.npz')
  compact.save_weights(network, path)
  other = _network(filters=8)
  before = other.get_weights()
  with pytest.raises(ValueError, match=r'does not fit small: conv/kernel:0 has shape \(3, 3, 3, 8\), \(3, 3, 3, 4\)'):
    compact.load_weights(other, path)
  assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))
  with pytest.raises(FileNotFoundError, match='does not exist'):
    compact.load_weights(network, str(tmp_path / 'absent.npz'))


@pytest.mark.parametrize('cut', [0, 10, 300])
def test_a_cut_file_is_named(network, cut, tmp_path):
  path = tmp_path / 'w.npz'
  compact.save_weights(network, str(path))
  path.write_bytes(path.read_bytes()[:cut])
  with pytest.raises(OSError, match=r'w\.npz.* cannot be read as \.npz'):
    compact.load_weights(network, str(path))


def test_the_shipped_backbone_fits_mobilenet_v2_and_is_trained():
  backbone = applications.ApplicationsBackbone('mobilenet_v2', (64, 64, 3), weights='blood_cells')
  assert len(backbone.load_report.matched) == len(backbone.weights)
  assert all(np.isfinite(value).all() for value in backbone.get_weights())
  statistics = backbone.get_layer('mobilenet_v2').get_layer('block_16_project_BN').get_weights()
  assert np.std(statistics[2]) > 0  # Moving means, which are 0 in a new network.
  with pytest.raises(ValueError, match=r'blood_cells_backbone\.npz.* does not fit'):
    applications.ApplicationsBackbone('mobilenet_v2', (64, 64, 3), alpha=0.5, weights='blood_cells')
  assert set(pretrained.SHIPPED) == {'blood_cells'}
