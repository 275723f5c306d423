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


"""AmoebaNet-D: its wiring, its levels, and its size against published figures.

Sources of the sizes: GPipe (arXiv 1811.06965, table 1; also in the benchmarks of kakaobrain/torchgpipe), where the
normal cells of all sections are counted together and the classifier has 1000 classes; and EfficientDet's comparison
(arXiv 1911.09070, table 2).
"""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.modeling.backbones import factory

from nasfpn_tf import config, topology
from nasfpn_tf.layers.drop_path import DropPath
from nasfpn_tf.modeling import cost, detector
from nasfpn_tf.modeling.backbones.amoebanet import AmoebaNet
from nasfpn_tf.modeling.backbones.amoebanet_cell import AmoebaCell
from nasfpn_tf.modeling.backbones.amoebanet_conv import ActivatedConv, HalvingConv
from tests import testing


def _map(size, channels, seed=0):
  return np.random.default_rng(seed).normal(size=[2, *size, channels]).astype('float32')


@pytest.fixture(scope='module')
def backbone():
  return AmoebaNet((64, 96, 3), num_cells=1, num_filters=16, stem_filters=8, drop_path_keep_prob=0.5)


def test_levels_have_their_strides_and_the_documented_widths(backbone):
  expected = {
    str(level): [64 >> level, 96 >> level, width] for level, width in zip(range(2, 6), (12, 64, 128, 256), strict=True)
  }
  assert {level: shape[1:].as_list() for level, shape in backbone.output_specs.items()} == expected
  outputs = backbone(_map((64, 96), 3))
  assert {level: o.shape[1:].as_list() for level, o in outputs.items()} == expected
  assert all(np.isfinite(o).all() and o.numpy().min() == 0 for o in outputs.values())


@pytest.mark.parametrize(
  ('kwargs', 'skip', 'shape'),
  [
    ({'kind': 'normal', 'skip': 'halve'}, ((16, 24), 6), (2, 8, 12, 32)),
    ({'kind': 'reduction', 'skip': 'keep', 'drop_path_keep_prob': 0.5}, ((8, 12), 6), (2, 4, 6, 24)),
  ],
)
def test_cells_keep_the_layer_contract(kwargs, skip, shape):
  inputs = [_map(*skip), _map((8, 12), 10, seed=1)]
  testing.run_layer_test(AmoebaCell, {'num_filters': 8, 'kernel_regularizer': 'l2', **kwargs}, inputs, shape)


def test_convolutions_keep_the_layer_contract():
  kwargs = {'num_filters': 6, 'kernel_size': (1, 7), 'strides': (1, 2), 'activation': 'swish'}
  testing.run_layer_test(ActivatedConv, kwargs, _map((8, 12), 4), (2, 8, 6, 6))
  testing.run_layer_test(HalvingConv, {'num_filters': 6}, _map((7, 12), 4), (2, 4, 6, 6))


def test_a_halving_convolution_reads_the_diagonal():
  layer = HalvingConv(2, activation='linear')
  x = tf.constant(np.arange(30, dtype='float32').reshape([1, 5, 6, 1]))
  layer(x)
  layer.set_weights(
    [
      np.ones_like(w) if 'moving_mean' not in v.name else 0 * w
      for v, w in zip(layer.weights, layer.get_weights(), strict=True)
    ]
  )
  layer.norm.beta.assign([0.0, 0.0])
  outputs = layer(x).numpy()[0] * np.sqrt(1 + layer.norm.epsilon)
  np.testing.assert_allclose(outputs[..., 0], [[0, 2, 4], [12, 14, 16], [24, 26, 28]], rtol=1e-5)
  # The last row has none below it.
  np.testing.assert_allclose(outputs[..., 1], [[7, 9, 11], [19, 21, 23], [0, 0, 0]], rtol=1e-5)


def test_normal_cell_is_wired_as_published():
  """Against the cell of the authors' `model_specs.py` written out."""
  cell = AmoebaCell('normal', 8)
  before, previous = inputs = [tf.constant(_map((6, 6), 8)), tf.constant(_map((6, 6), 12, 1))]
  output = cell(inputs)
  squeezed = cell.squeeze(previous)
  ops = cell.operations

  def pool(kind, x):
    return tf.nn.pool(x, [3, 3], kind, padding='SAME')

  two = ops[0](before) + pool('MAX', before)
  three = before + ops[3](squeezed)
  four = ops[4](squeezed) + ops[5](squeezed)
  five = pool('MAX', two) + two
  six = pool('AVG', before) + ops[9](five)
  testing.assert_close(output, tf.concat([squeezed, three, four, six], axis=-1), 1e-5)
  kernels = [[conv.conv.kernel_size for conv in operation.convs] for operation in ops]
  one, long = [(1, 1)], [(1, 1), (1, 7), (7, 1), (1, 1)]
  assert kernels == [one, [], [], long, one, long, [], [], [], one]


def test_reduction_cell_is_wired_as_published():
  cell = AmoebaCell('reduction', 8)
  before, previous = inputs = [tf.constant(_map((6, 6), 8)), tf.constant(_map((6, 6), 12, 1))]
  output = cell(inputs)
  squeezed = cell.squeeze(previous)
  ops = cell.operations

  def pool(kind, x, size, stride):
    return tf.nn.pool(x, [size, size], kind, strides=[stride, stride], padding='SAME')

  two = pool('MAX', squeezed, 2, 2) + pool('MAX', squeezed, 3, 2)
  three = two + ops[3](before)
  four = ops[4](two) + pool('MAX', two, 3, 1)
  five = three + pool('MAX', before, 2, 2)
  six = pool('AVG', two, 3, 1) + ops[9](three)
  testing.assert_close(output, tf.concat([four, five, six], axis=-1), 1e-5)
  assert [conv.conv.kernel_size for conv in ops[3].convs] == [(1, 1), (3, 3), (1, 1)]
  assert [conv.conv.kernel_size for conv in ops[4].convs] == [(1, 1), (1, 7), (7, 1), (1, 1)]


def test_paths_are_dropped_more_often_the_deeper_and_never_at_inference(backbone):
  cells = [layer for layer in backbone.layers if isinstance(layer, AmoebaCell)]
  keep_probs = [{p.keep_prob for p in cell.submodules if isinstance(p, DropPath)} for cell in cells]
  # Seven cells: two of the stem, three normal ones and two reductions between them; 1 - i / 7 * .5.
  assert [len(probs) for probs in keep_probs] == [1] * 7
  np.testing.assert_allclose([probs.pop() for probs in keep_probs], 1 - np.arange(1, 8) / 14)
  # All operations but the three identities of a normal cell, the two of a reduction cell.
  assert [sum(isinstance(p, DropPath) for p in cell.submodules) for cell in cells] == [8, 8, 8, 8, 8, 8, 8]
  plain = AmoebaNet((64, 96, 3), num_cells=1, num_filters=16, stem_filters=8)
  plain.set_weights(backbone.get_weights())
  images = _map((64, 96), 3)
  testing.assert_close(backbone(images, training=False), plain(images, training=False), 0.0)
  assert np.abs(backbone(images, training=True)['5'] - plain(images, training=True)['5']).max() > 0.1


def test_config_round_trip(backbone):
  rebuilt = AmoebaNet.from_config(backbone.get_config())
  rebuilt.set_weights(backbone.get_weights())
  assert rebuilt.get_config() == backbone.get_config()
  images = _map((64, 96), 3)
  testing.assert_close(rebuilt(images), backbone(images), 0.0)


def test_the_factory_of_model_garden_applies_the_configuration():
  built = factory.build_backbone(
    tf_keras.layers.InputSpec(shape=[None, 64, 64, 3]),
    config.Backbone(
      type='amoebanet',
      amoebanet={'num_cells': 1, 'num_filters': 16, 'drop_path_keep_prob': 0.9, 'drop_path_ramp_steps': 7},
    ),
    config.Detector(norm_activation={'use_sync_bn': True, 'norm_momentum': 0.9, 'activation': 'swish'}).norm_activation,
    tf_keras.regularizers.l2(0.5),
  )
  arguments = built.get_config()
  assert (arguments['num_filters'], arguments['drop_path_ramp_steps'], arguments['activation']) == (16, 7, 'swish')
  norms = [layer for layer in built.submodules if hasattr(layer, 'moving_variance')]
  assert norms and all(layer.momentum == 0.9 and layer.synchronized for layer in norms)
  kernels = [v for v in built.trainable_variables if 'kernel' in v.name]
  assert float(tf.add_n(built.losses)) == pytest.approx(
    sum(0.5 * float(tf.reduce_sum(k**2)) for k in kernels), rel=1e-4
  )


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'num_cells': 0}, 'backbone.amoebanet.num_cells is 0'),
    ({'num_filters': 12}, 'num_filters is 12; it must be at least 16'),
    ({'num_filters': 190}, 'num_filters 190 is not a multiple of 4'),
    ({'drop_path_keep_prob': 0.0}, 'drop_path_keep_prob 0.0 must be above 0'),
    ({'drop_path_ramp_steps': -1}, 'drop_path_ramp_steps -1 not negative'),
  ],
)
def test_settings_out_of_range_are_named(arguments, message):
  with pytest.raises(ValueError, match=message):
    AmoebaNet(**arguments)


def _num_trainable(num_cells, num_filters, stem_filters=32):
  """Trainable parameters in closed form."""
  total, skip_width, width, halved = 27 * stem_filters + 2 * stem_filters, stem_filters, stem_filters, False

  def conv(inputs, outputs, size=1):
    return inputs * outputs * size + 2 * outputs

  cells = [('reduction', num_filters // 4), ('reduction', num_filters // 2)]
  for section in range(3):
    cells += [('reduction', num_filters << section)] * (section > 0) + [('normal', num_filters << section)] * num_cells
  for i, (kind, f) in enumerate(cells):
    long = conv(f, f // 4) + 2 * conv(f // 4, f // 4, 7) + conv(f // 4, f)
    total += conv(width, f)
    if i and (halved or skip_width != f):
      total += conv(skip_width, f)
    if kind == 'normal':
      total += 3 * conv(f, f) + 2 * long
    else:
      state_1 = f if i else skip_width
      total += conv(state_1, f // 4) + conv(f // 4, f // 4, 9) + conv(f // 4, f) + long + conv(f, f)
      total += conv(state_1, f) * (state_1 != f)
    skip_width, width, halved = width, f * (4 if kind == 'normal' else 3), kind == 'reduction'
  return total


@pytest.mark.parametrize(('num_cells', 'num_filters'), [(1, 32), (2, 20)])
def test_closed_form_and_built_network_agree(num_cells, num_filters):
  built = AmoebaNet((64, 64, 3), num_cells, num_filters, stem_filters=12)
  counted = sum(v.shape.num_elements() for v in built.trainable_variables)
  assert counted == _num_trainable(num_cells, num_filters, stem_filters=12)


@pytest.mark.parametrize(
  ('num_cells', 'num_filters', 'published'), [(6, 416, 318e6), (6, 544, 542e6), (12, 544, 1.05e9)]
)
def test_parameters_of_the_published_classifiers(num_cells, num_filters, published):
  """AmoebaNet-D (3 * N, F). At (18, 208) 82M are published and these are 81.1M, at (72, 512) 1.8B and 1.84B: rounded,
  and GPipe does not say whether its auxiliary classifier counts.
  """
  classifier = 16 * num_filters * 1000 + 1000
  assert _num_trainable(num_cells, num_filters) + classifier == pytest.approx(published, rel=5e-3)


@pytest.mark.slow
def test_cost_of_the_published_detector():
  """NAS-FPN 7 @ 384 at 1280 pixels: 185M parameters, 1317G multiply-adds. The width of its AmoebaNet is not published;
  with six cells a section, F = 240 meets both figures.
  """
  model = detector.build_detector(
    config.Detector(
      num_classes=91,
      input_size=[1280, 1280, 3],
      backbone={'type': 'amoebanet', 'amoebanet': {'num_filters': 240}},
      decoder={'feature_pyramid': {'topology': 'nas_fpn', 'num_repeats': 7, 'num_filters': 384}},
    )
  )
  backbone = sum(v.shape.num_elements() for v in model.backbone.trainable_variables)
  assert backbone == _num_trainable(6, 240)
  trainable = sum(v.shape.num_elements() for v in model.trainable_variables)
  assert trainable == pytest.approx(185e6, rel=5e-3)
  assert cost.count_multiply_adds(model, (1280, 1280)) == pytest.approx(1317e9, rel=5e-3)
  filters = {3: 4 * 240, 4: 8 * 240, 5: 16 * 240}
  assert model.decoder.count_params() == topology.params(topology.get('nas_fpn'), 7, 384, filters)
