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

"""Tests of the projection with a convolution for each use."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import topology
from nasfpn_tf.layers import edge_projection
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from tests import testing

WIDTHS = {'3': 8, '4': 10, '5': 12}


def _features(width=None):
  rng = np.random.default_rng(0)
  return {
    level: rng.normal(size=[2, 64 >> i, 64 >> i, width or channels]).astype(np.float32)
    for i, (level, channels) in enumerate(WIDTHS.items())
  }


def _pyramid(spec='bifpn', num_filters=8, **kwargs):
  return FeaturePyramid(topology.get(spec), 2, num_filters, project_each_edge=True, **kwargs)


def test_uses_are_those_of_the_cells_and_of_what_joins():
  assert edge_projection.uses(topology.get('bifpn')) == {'3': 1, '4': 2, '5': 2, '6': 2, '7': 2}
  assert edge_projection.uses(topology.get('nas_fpn')) == {'3': 1, '4': 2, '5': 1, '6': 1, '7': 1}


def test_each_use_has_a_convolution_and_so_has_the_first_level_that_is_pooled():
  pyramid = _pyramid()
  pyramid(_features())
  # Level 3 has the pyramid's width already.
  assert list(pyramid.projection.convs) == ['4_0', '4_1', '5_0', '5_1', '6']
  pyramid = _pyramid()
  pyramid(_features(8))
  assert not pyramid.projection.convs


@pytest.mark.parametrize('spec', ['bifpn', 'nas_fpn', 'fpn'])
def test_the_contract_of_a_layer(spec):
  shapes = {str(3 + i): (2, 64 >> i, 64 >> i, 8) for i in range(5)}
  kwargs = {'spec': topology.get(spec).to_dict(), 'num_repeats': 1, 'num_filters': 8, 'project_each_edge': True}
  testing.run_layer_test(FeaturePyramid, kwargs, _features(), shapes)


@pytest.mark.parametrize('spec', ['bifpn', 'nas_fpn'])
def test_closed_form(spec):
  pyramid = _pyramid(spec)
  pyramid(_features())
  given = {int(level): channels for level, channels in WIDTHS.items()}
  assert pyramid.count_params() == topology.params(
    topology.get(spec), 2, 8, input_filters=given, project_each_edge=True
  )


def test_each_use_reads_its_own_projection():
  """With all convolutions alike it is the shared projection."""
  pyramid, shared = _pyramid(), FeaturePyramid(topology.get('bifpn'), 2, 8)
  features = _features()
  pyramid(features)
  shared(features)
  for level, conv in shared.projection.convs.items():
    for i in range(2):
      pyramid.projection.convs[f'{level}_{i}'].set_weights(conv.get_weights())
  pyramid.projection.convs['6'].set_weights(shared.projection.convs['5'].get_weights())
  for a, b in zip(pyramid.stages, shared.stages, strict=True):
    a.set_weights(b.get_weights())
  testing.assert_close(pyramid(features), shared(features), 1e-5)
  before = pyramid(features)
  conv = pyramid.projection.convs['4_1']
  conv.set_weights([w + 1.0 for w in conv.get_weights()])
  assert not np.allclose(pyramid(features)['4'], before['4'])


def test_the_parts_can_be_called_alone():
  pyramid = _pyramid()
  features = _features()
  whole = pyramid(features)
  parts = pyramid.project(features)
  for stage in pyramid.stages:
    parts = stage(parts)
  testing.assert_close(dict(zip(whole, parts, strict=True)), tf.nest.map_structure(tf.identity, whole), 0.0)
