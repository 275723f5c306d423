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
"""Tests of the feature layers of SSDLite."""

import numpy as np
import pytest

from nasfpn_tf.layers.ssd_layers import SSDLayers
from tests import testing


def _features():
  rng = np.random.default_rng(0)
  sides = {'3': (10, 14, 4), '4': (5, 7, 6), '5': (3, 4, 8)}
  return {level: rng.normal(size=[2, *shape]).astype(np.float32) for level, shape in sides.items()}


def test_the_contract_of_a_layer():
  """Odd sides are rounded up; the levels of the backbone pass as they are."""
  shapes = {'4': (2, 5, 7, 6), '5': (2, 3, 4, 8), '6': (2, 2, 2, 10), '7': (2, 1, 1, 6)}
  kwargs = {'min_level': 4, 'extra_filters': [10, 6], 'activation': 'swish'}
  features = {level: x for level, x in _features().items() if level != '3'}
  # Levels 4 and 5 are not the layer's: under bfloat16 they are cast as its other inputs are.
  layer = testing.run_layer_test(SSDLayers, kwargs, features, shapes)
  outputs = layer(features)
  for level in '45':
    np.testing.assert_array_equal(outputs[level], features[level])
  half, whole = 8 * 5 + 2 * 5 + 9 * 5 + 2 * 5 + 5 * 10 + 2 * 10, 10 * 3 + 2 * 3 + 9 * 3 + 2 * 3 + 3 * 6 + 2 * 6
  assert sum(np.prod(w.shape) for w in layer.trainable_weights) == half + whole


def test_finer_levels_are_left_out():
  assert sorted(SSDLayers(4, [6])(_features())) == ['4', '5', '6']


def test_a_layer_without_filters_is_refused():
  with pytest.raises(ValueError, match=r'extra_filters \[8, 0\]'):
    SSDLayers(4, [8, 0])
