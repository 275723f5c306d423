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

"""Scale-permuted backbones: SpineNet-49 is Model Garden's, others are built as their wiring says and can be trained."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.modeling.backbones import factory, spinenet

from benchmarks import model_figures
from nasfpn_tf import config
from nasfpn_tf.modeling import cost, detector, validation
from nasfpn_tf.modeling.backbones.scale_permuted import ScalePermutedNet
from nasfpn_tf.topology.spinenet import BlockSpec, SpineNetSpec
from tests import testing

# Blocks 2, 4 and 5 lead nowhere; block 3 joins block 6.
SMALL = SpineNetSpec(
  'small',
  (
    BlockSpec(3, 'residual', (0, 1)),
    BlockSpec(3, 'bottleneck', (0, 1)),
    BlockSpec(5, 'bottleneck', (0, 1)),
    BlockSpec(1, 'residual', (0, 4)),
    BlockSpec(3, 'bottleneck', (0, 1), is_output=True),
    BlockSpec(5, 'residual', (1, 6), is_output=True),
    BlockSpec(4, 'residual', (6, 7), is_output=True),
  ),
)
NARROW = {'num_filters': 8, 'filter_size_scale': 0.125}


@pytest.fixture(scope='module')
def small():
  return ScalePermutedNet(SMALL, (64, 96, 3), **NARROW)


def images(height, width):
  return np.random.default_rng(0).normal(size=[2, height, width, 3]).astype('float32')


def test_spinenet_49_has_the_published_figures():
  """Those of configs/spinenet49_640_a.yaml, which tests/benchmarks/models_test.py holds against the published ones."""
  model = detector.build_detector(
    config.Detector(
      num_classes=91,
      input_size=[128, 128, 3],
      backbone={'type': 'scale_permuted'},
      decoder={'type': 'identity'},
      head={'num_convs': 0},
    )
  )
  measured = model_figures.load(testing.repo_root() / 'docs' / 'models.json')['spinenet49_640_a']
  assert cost.count_params(model.backbone) == measured.params['backbone']
  assert cost.count_trainable_params(model.backbone) == measured.trainable['backbone']
  # In proportion to the area, exactly, where the sides are multiples of the coarsest stride.
  assert cost.multiply_adds_by_part(model, (128, 128))['backbone'] * 25 == measured.multiply_adds['backbone']


def test_spinenet_49_is_model_gardens():
  theirs = spinenet.SpineNet(
    tf_keras.layers.InputSpec(shape=[None, 128, 128, 3]), endpoints_num_filters=8, filter_size_scale=0.125
  )
  ours = ScalePermutedNet('spinenet_49', (128, 128, 3), **NARROW)
  assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
  ours.set_weights(theirs.get_weights())
  testing.assert_close(ours(images(128, 128)), theirs(images(128, 128)), 0.0)


def test_levels_have_their_strides(small):
  assert {level: shape[1:].as_list() for level, shape in small.output_specs.items()} == {
    '3': [8, 12, 8],
    '4': [4, 6, 8],
    '5': [2, 3, 8],
  }


def test_what_leads_nowhere_is_not_built_and_all_else_is_trained(small):
  blocks = [layer for layer in small.layers if 'block' in type(layer).__name__.lower()]
  assert len(blocks) == 9 - len(SMALL.unused)
  with tf.GradientTape() as tape:
    outputs = small(images(64, 96), training=True)
    loss = tf.add_n([tf.reduce_mean(output**2) for output in outputs.values()])
  gradients = tape.gradient(loss, small.trainable_variables)
  assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)


def test_a_block_that_nothing_uses_joins_its_output(small):
  """Block 3 reaches the outputs in no other way than joining block 6."""
  # The other bottleneck of this size is block 6, which comes later.
  block, _ = (layer for layer in small.layers if 'bottleneck' in layer.name and layer.output_shape[1:3] == (8, 12))
  weights = small.get_weights()
  before = small(images(64, 96))
  block.set_weights([2.0 * value for value in block.get_weights()])
  assert np.abs(small(images(64, 96))['3'] - before['3']).max() > 1e-3
  small.set_weights(weights)


def test_config_round_trip(small):
  rebuilt = ScalePermutedNet.from_config(small.get_config())
  rebuilt.set_weights(small.get_weights())
  assert rebuilt.get_config() == small.get_config()
  testing.assert_close(rebuilt(images(64, 96)), small(images(64, 96)), 0.0)


def test_the_factory_of_model_garden_applies_the_configuration():
  built = factory.build_backbone(
    tf_keras.layers.InputSpec(shape=[None, 64, 64, 3]),
    config.Backbone(
      type='scale_permuted',
      scale_permuted={'architecture': SMALL.to_json(), **NARROW, 'stochastic_depth_drop_rate': 0.2},
    ),
    config.Detector(norm_activation={'use_sync_bn': True, 'norm_momentum': 0.9, 'activation': 'swish'}).norm_activation,
    tf_keras.regularizers.l2(0.5),
  )
  arguments = built.get_config()
  assert (arguments['num_filters'], arguments['stochastic_depth_drop_rate'], arguments['activation']) == (
    8,
    0.2,
    'swish',
  )
  assert arguments['architecture'] == SMALL.to_json() and arguments['kernel_regularizer'] is not None
  norms = [layer for layer in built.submodules if hasattr(layer, 'moving_variance')]
  assert norms and all(layer.momentum == 0.9 and layer.synchronized for layer in norms)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'input_shape': (64, 80, 3)}, 'not a multiple of 32, the stride of small'),
    ({'input_shape': (None, None, 3)}, 'not a multiple of 32'),
    ({'num_filters': 0}, 'num_filters 0 and block_repeats 1 must be at least 1'),
    ({'block_repeats': 0}, 'block_repeats 0 must be at least 1'),
    ({'filter_size_scale': 0.03}, 'leave no channels of 32'),
    ({'stochastic_depth_drop_rate': 1.0}, 'stochastic_depth_drop_rate 1.0 must be within'),
    ({'activation': 'relu6'}, "activation is 'relu6'"),
  ],
)
def test_settings_out_of_range_are_named(arguments, message):
  with pytest.raises(ValueError, match=message):
    ScalePermutedNet(SMALL, **{'input_shape': (64, 64, 3), **arguments})


@pytest.mark.parametrize(
  ('architecture', 'message'),
  [
    ('spinenet49', "backbone 'spinenet49' is unknown"),
    (SMALL.to_json(), r"'scale_permuted' has levels 3, 4, 5, but decoder 'identity' of levels 3\.\.7 needs level 6"),
  ],
  ids=('unknown', 'levels'),
)
def test_an_architecture_that_does_not_fit_is_an_error_before_anything_is_built(architecture, message):
  model = config.Detector(
    num_classes=3,
    input_size=[128, 128, 3],
    backbone={'type': 'scale_permuted', 'scale_permuted': {'architecture': architecture}},
    decoder={'type': 'identity'},
  )
  with pytest.raises(ValueError, match=message):
    validation.check(model)
