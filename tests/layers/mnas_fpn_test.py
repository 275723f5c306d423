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
"""Tests of MnasFPN's pyramids."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import config, topology
from nasfpn_tf.layers.inverted_stage import InvertedCell
from nasfpn_tf.layers.mnas_fpn import MnasFPN
from nasfpn_tf.modeling import cost, detector
from tests import testing

SMALL = {'num_repeats': 2, 'num_filters': 4, 'expansions': [8, 6, 6, 6, 6]}


def _features():
  rng = np.random.default_rng(0)
  sides = {'2': (32, 16, 3), '3': (16, 8, 4), '4': (8, 4, 6), '5': (4, 2, 8)}
  return {level: rng.normal(size=[2, *shape]).astype(np.float32) for level, shape in sides.items()}


def test_the_contract_of_a_layer():
  shapes = {'3': (2, 16, 8, 4), '4': (2, 8, 4, 4), '5': (2, 4, 2, 4), '6': (2, 2, 1, 4)}
  layer = testing.run_layer_test(MnasFPN, SMALL, _features(), shapes)
  assert [stage.name for stage in layer.stages] == ['stage_0', 'stage_1']
  first = layer.stages[0](layer.project(_features()))
  assert [x.shape for x in first] == list(shapes.values())


def test_a_cell_pools_before_its_convolution_and_upsamples_after():
  """Pooled over 3x3 of stride 4, not over 5x5; as the weights are ones, a cell is a sum of sums over channels."""
  cell = InvertedCell(4, [2, 4, 5], 1, 1, 1, activation='linear', norm_epsilon=0.0)
  rng = np.random.default_rng(1)
  fine, same, coarse = (rng.normal(size=[1, side, side, 2]).astype(np.float32) for side in (8, 2, 1))
  cell([fine, same, coarse])
  for variable in cell.weights:
    is_zero = 'mean' in variable.name or 'beta' in variable.name
    variable.assign(tf.zeros_like(variable) if is_zero else tf.ones_like(variable))
  pooled = np.stack([[fine[0, i : i + 3, j : j + 3].max((0, 1)) for j in (0, 4)] for i in (0, 4)])
  expected = pooled.sum(-1) + same[0].sum(-1) + coarse[0].sum()
  np.testing.assert_allclose(cell([fine, same, coarse])[0, ..., 0], expected, atol=1e-5)


def test_only_inputs_of_the_width_of_the_output_are_added():
  layer = MnasFPN(**SMALL)
  layer(_features())
  inputs = layer.project(_features())
  for cell in layer.stages[0].cells:
    cell.norm.gamma.assign(tf.zeros_like(cell.norm.gamma))
  outputs = layer.stages[0](inputs)
  for level, x, y in zip(layer.spec.levels, inputs, outputs, strict=True):
    expected = x if level in (3, 6) else tf.zeros_like(y)  # Level 3 has 4 channels, too.
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'expansions': [8, 6, 6, 6]}, r'expansions \[8, 6, 6, 6\]: the 5 cells of pyramid .mnas_fpn. need 5 positive'),
    ({'kernel_sizes': [3, 3, 3, 5, 0]}, r'kernel_sizes \[3, 3, 3, 5, 0\]'),
    ({'num_filters': 0}, 'num_filters must be a positive integer, not 0'),
    ({'spec': 'nas_fpn'}, "cells of pyramid 'nas_fpn' must be sums; P4 = global_pooling"),
  ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    MnasFPN(**{**SMALL, **settings})


def test_a_level_that_the_backbone_lacks_is_named():
  features = {level: x for level, x in _features().items() if level != '4'}
  with pytest.raises(ValueError, match=r'reads levels 3\.\.5 of the backbone, which has 2, 3, 5: level 4 is missing'):
    MnasFPN(**SMALL)(features)


def _model(**override):
  model = config.Detector(
    num_classes=3,
    max_level=6,
    input_size=[64, 64, 3],
    backbone={'type': 'applications', 'applications': {'alpha': 0.35, 'norm_epsilon': 0.01}},
    decoder={'type': 'mnas_fpn', 'mnas_fpn': {'norm_epsilon': 0.02, 'norm_momentum': 0.9}},
    head={'num_convs': 1, 'num_filters': 8, 'share_towers': True},
  )
  return model.replace(**override)


def test_as_the_decoder_of_a_detector():
  model = detector.build_detector(_model())
  norm = model.decoder.stages[3].cells[4].norm
  assert (norm.epsilon, norm.momentum) == (0.02, 0.9)
  epsilons = {layer.epsilon for layer in model.backbone.submodules if hasattr(layer, 'moving_variance')}
  assert epsilons == {0.01}
  assert [c.get_config()['expansion'] for c in model.decoder.stages[0].cells] == [256, 128, 128, 128, 96]
  assert cost.multiply_adds_by_part(model, (64, 64))['decoder'] > 0
  assert model(tf.zeros([1, 64, 64, 3]), training=False)['detection_boxes'].shape == (1, 100, 4)


@pytest.mark.parametrize(
  ('override', 'message'),
  [
    ({'max_level': 7}, r"topology 'mnas_fpn' has levels 3\.\.6, but 3\.\.7 are needed"),
    ({'decoder': {'mnas_fpn': {'norm_epsilon': -1.0}}}, r'model\.decoder\.mnas_fpn\.norm_epsilon is -1'),
    ({'backbone': {'applications': {'norm_epsilon': -1.0}}}, r'model\.backbone\.applications\.norm_epsilon is -1'),
    ({'decoder': {'mnas_fpn': {'num_repeats': 0}}}, r'model\.decoder\.mnas_fpn\.num_repeats is 0'),
  ],
)
def test_a_configuration_that_does_not_fit_is_refused(override, message):
  model = _model(**override)
  if 'max_level' in override:
    model = model.replace(input_size=[128, 128, 3])
  with pytest.raises(ValueError, match=message):
    detector.build_detector(model)


def test_its_topology_is_resolved_by_name():
  assert topology.resolve('mnas_fpn') is topology.MNAS_FPN
  with pytest.raises(ValueError, match=r'has levels 3\.\.6, but 3\.\.7'):
    topology.resolve('mnas_fpn', 3, 7)
