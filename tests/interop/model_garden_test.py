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
import tensorflow as tf
from official.vision.modeling.decoders import nasfpn

from nasfpn_tf import topology
from nasfpn_tf.interop import model_garden
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from tests import testing

CHANNELS = {'3': 24, '4': 256, '5': 48}  # Level 4 needs no projection where the pyramid is 256 wide.
TOLERANCE = 1e-5

# Its first cell is P3 already.
_EARLY_OUTPUT = topology.PyramidSpec(
  'early',
  3,
  4,
  (
    topology.CellSpec(3, 'sum', (0, 1), is_output=True),
    topology.CellSpec(3, 'sum', (0, 2)),
    topology.CellSpec(4, 'sum', (1, 3), is_output=True),
  ),
)


class _CorrectedNASFPN(nasfpn.NASFPN):
  """Model Garden's decoder with its own width inside the pyramid too, where it resamples to 256 regardless."""

  def _resample_feature_map(self, inputs, input_level, target_level, target_num_filters=None):
    del target_num_filters
    return super()._resample_feature_map(inputs, input_level, target_level, self._config_dict['num_filters'])


def _features(seed=0):
  rng = np.random.default_rng(seed)
  return {
    level: tf.constant(rng.normal(size=[2, 128 >> int(level), 128 >> int(level), channels]).astype('float32'))
    for level, channels in CHANNELS.items()
  }


def _decoder(cls=nasfpn.NASFPN, spec=None, **kwargs):
  specs = {level: tf.TensorShape([None, *feature.shape[1:]]) for level, feature in _features().items()}
  if spec is not None:
    kwargs['block_specs'] = model_garden.to_block_specs(spec)
  return cls(specs, norm_momentum=0.5, **kwargs)


def _pyramid(spec='nas_fpn', **kwargs):
  pyramid = FeaturePyramid(spec, norm_momentum=0.5, **kwargs)
  pyramid(_features())
  return pyramid


def _make_trained(model, seed=0):
  """Random scales and biases, and moving statistics of real activations."""
  rng = np.random.default_rng(seed)
  for weight in model.trainable_weights:
    if 'gamma' in weight.name:
      weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    elif 'beta' in weight.name or 'bias' in weight.name:
      weight.assign(rng.normal(0.0, 0.2, weight.shape))
  for i in range(3):
    model(_features(10 + i), training=True)


def _statistics(layers):
  """Moving statistics of the norms among `layers`."""
  return [w.numpy() for layer in layers for w in layer.weights if 'moving' in w.name]


def _assert_same(pyramid, decoder):
  """Inference, training and the statistics that training leaves agree."""
  features = _features(1)
  testing.assert_close(pyramid(features, training=False), dict(decoder(features, training=False)), TOLERANCE)
  testing.assert_close(pyramid(features, training=True), dict(decoder(features, training=True)), TOLERANCE)
  ours, theirs = zip(*model_garden.layer_pairs(pyramid, decoder), strict=True)
  assert _statistics(ours), 'there are norms to compare'
  testing.assert_close(_statistics(ours), _statistics(theirs), TOLERANCE)
  # After the update too, so that the statistics are not merely stored but used alike.
  testing.assert_close(pyramid(features, training=False), dict(decoder(features, training=False)), TOLERANCE)


@pytest.mark.parametrize('num_repeats', [1, 2])
@pytest.mark.parametrize('separable', [False, True])
def test_parity_with_model_garden(separable, num_repeats):
  kwargs = {'num_repeats': num_repeats, 'num_filters': 256, 'use_separable_conv': separable}
  decoder = _decoder(**kwargs)
  _make_trained(decoder)
  pyramid = _pyramid(**kwargs)
  model_garden.load_from_model_garden(pyramid, decoder)
  _assert_same(pyramid, decoder)


@pytest.mark.parametrize(('num_filters', 'separable'), [(64, False), (64, True), (384, False)])
def test_parity_with_the_corrected_model_garden_at_other_widths(num_filters, separable):
  kwargs = {'num_repeats': 2, 'num_filters': num_filters, 'use_separable_conv': separable, 'activation': 'swish'}
  decoder = _decoder(_CorrectedNASFPN, **kwargs)
  _make_trained(decoder)
  pyramid = _pyramid(**kwargs)
  model_garden.load_from_model_garden(pyramid, decoder)
  _assert_same(pyramid, decoder)


def test_weights_go_to_model_garden_too():
  pyramid = _pyramid(num_repeats=2, num_filters=32)
  _make_trained(pyramid)
  decoder = _decoder(_CorrectedNASFPN, num_repeats=2, num_filters=32)
  model_garden.save_to_model_garden(pyramid, decoder)
  _assert_same(pyramid, decoder)


def test_parity_of_a_searched_topology():
  """Global pooling at equal levels, an unused input and an unused inner cell: what the published one does not have."""
  spec = topology.PyramidSpec(
    'searched',
    3,
    7,
    (
      topology.CellSpec(5, 'global_pooling', (1, 2)),
      topology.CellSpec(5, 'sum', (2, 4)),
      topology.CellSpec(5, 'global_pooling', (5, 2), is_output=True),
      topology.CellSpec(4, 'global_pooling', (1, 7), is_output=True),
      topology.CellSpec(3, 'sum', (8, 7), is_output=True),
      topology.CellSpec(6, 'global_pooling', (8, 9), is_output=True),
      topology.CellSpec(7, 'sum', (9, 10), is_output=True),
    ),
  )
  assert spec.wiring() == ((1, 2), (2, 4), (5, 2, 6), (1, 7), (8, 7, 0), (8, 9, 3), (9, 10))
  decoder = _decoder(_CorrectedNASFPN, spec=spec, num_repeats=2, num_filters=16)
  _make_trained(decoder)
  pyramid = _pyramid(spec, num_repeats=2, num_filters=16)
  model_garden.load_from_model_garden(pyramid, decoder)
  _assert_same(pyramid, decoder)


def test_order_of_creation_survives_other_models_of_the_process():
  """Keras numbers layers across models: past ten, 'conv2d_10' sorts before 'conv2d_9' as text."""
  first, second = (_decoder(_CorrectedNASFPN, num_repeats=2, num_filters=8) for _ in range(2))
  _make_trained(first)
  _make_trained(second, seed=1)
  for decoder in (first, second):
    pyramid = _pyramid(num_repeats=2, num_filters=8)
    model_garden.load_from_model_garden(pyramid, decoder)
    _assert_same(pyramid, decoder)


def test_block_specs_of_the_published_topology_are_model_gardens():
  blocks = model_garden.to_block_specs(topology.NAS_FPN)
  as_tuples = [(b.level, b.combine_fn, b.input_offsets, b.is_output) for b in blocks]
  assert as_tuples == nasfpn.NASFPN_BLOCK_SPECS
  assert model_garden.from_block_specs(name='nas_fpn') == topology.NAS_FPN
  assert model_garden.from_block_specs(blocks, name='nas_fpn') == topology.NAS_FPN
  assert model_garden.from_block_specs(nasfpn.NASFPN_BLOCK_SPECS).digest == topology.NAS_FPN.digest


@pytest.mark.parametrize(
  ('spec', 'message'),
  [
    (topology.bifpn(), r"cell 0 has op 'weighted_sum', which Model Garden lacks"),
    (topology.fpn(), r'cell 0 has 1 inputs; Model Garden takes two'),
    (_EARLY_OUTPUT, r'the last 2 cells must be the outputs; cell 0 breaks that'),
  ],
)
def test_topologies_that_model_garden_cannot_express_are_refused(spec, message):
  with pytest.raises(ValueError, match=message):
    model_garden.to_block_specs(spec)


def test_unknown_combine_function_is_named():
  with pytest.raises(ValueError, match=r"block 0: combine_fn 'mean' is unknown"):
    model_garden.from_block_specs([(4, 'mean', (1, 3), False)])


def test_transfer_explains_what_does_not_correspond():
  unbuilt = FeaturePyramid('nas_fpn', num_repeats=1, num_filters=64)
  decoder = _decoder(num_repeats=1, num_filters=64)
  with pytest.raises(ValueError, match=r'has no weights yet'):
    model_garden.load_from_model_garden(unbuilt, decoder)
  with pytest.raises(ValueError, match=r"has 10 convolutions, Model Garden's decoder .* at widths other than 256"):
    model_garden.load_from_model_garden(_pyramid(num_repeats=1, num_filters=64), decoder)
  with pytest.raises(ValueError, match=r"'conv' has weights .*, 'conv2d.*' has"):
    decoder = _decoder(_CorrectedNASFPN, num_repeats=1, num_filters=16)
    model_garden.load_from_model_garden(_pyramid(num_repeats=1, num_filters=8), decoder)
  with pytest.raises(ValueError, match='is residual, which Model Garden'):
    model_garden.load_from_model_garden(_pyramid(num_repeats=1, num_filters=16, residual=True), decoder)
