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

import random

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf import topology
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid, PyramidStage
from nasfpn_tf.layers.input_projection import InputProjection
from tests import testing

CHANNELS = {2: 4, 3: 6, 4: 8, 5: 10}


def _features(min_level=3, size=(128, 128), batch=2, max_level=5, seed=0):
  """{level: feature} of a backbone with `CHANNELS` on an image of `size`."""
  rng = np.random.default_rng(seed)
  return {
    str(level): rng.normal(size=[batch, size[0] >> level, size[1] >> level, CHANNELS[level]]).astype('float32')
    for level in range(min_level, max_level + 1)
  }


def _random_spec(seed, min_level=3, max_level=7, num_inner=3):
  """A valid topology of `num_inner` intermediate cells and the outputs in random order, drawn until none is dead."""
  rng = random.Random(seed)
  levels = list(range(min_level, max_level + 1))
  while True:
    outputs = [(level, True) for level in rng.sample(levels, len(levels))]
    cells = []
    for i, (level, is_output) in enumerate([(rng.choice(levels), False) for _ in range(num_inner)] + outputs):
      op = rng.choice(topology.OPS)
      num_inputs = topology.ops.get(op).arity or rng.choice([1, 2, 3])
      cells.append(topology.CellSpec(level, op, rng.sample(range(len(levels) + i), num_inputs), is_output))
    try:
      return topology.PyramidSpec(f'random_{seed}', min_level, max_level, tuple(cells))
    except ValueError:
      continue


@pytest.mark.parametrize(
  ('name', 'num_repeats', 'separable', 'keep_prob'), [('nas_fpn', 2, False, 0.9), ('bifpn', 1, True, 1.0)]
)
def test_keeps_the_layer_contract(name, num_repeats, separable, keep_prob):
  testing.run_layer_test(
    FeaturePyramid,
    {
      'spec': topology.get(name), 'num_repeats': num_repeats, 'num_filters': 8, 'use_separable_conv': separable,
      'activation': 'swish', 'dropblock_keep_prob': keep_prob, 'kernel_regularizer': 'l2',
    },
    _features(),
    {'3': (2, 16, 16, 8), '4': (2, 8, 8, 8), '5': (2, 4, 4, 8), '6': (2, 2, 2, 8), '7': (2, 1, 1, 8)},
  )  # fmt: skip


def test_projection_and_stage_keep_the_layer_contract():
  shapes = [(2, 16, 16, 6), (2, 8, 8, 6), (2, 4, 4, 6), (2, 2, 2, 6)]
  kwargs = {'min_level': 3, 'max_level': 6, 'num_filters': 6, 'conv_options': {'use_separable_conv': True}}
  layer = testing.run_layer_test(InputProjection, kwargs, _features(), shapes)
  assert list(layer.convs) == ['4', '5'], 'level 3 is 6 wide already'
  stage = {'spec': topology.nas_fpn(3, 6), 'num_filters': 6}
  testing.run_layer_test(PyramidStage, stage, layer(_features()), shapes)


@pytest.mark.parametrize('name', topology.names())
@pytest.mark.parametrize(('min_level', 'max_level'), [(3, 7), (3, 6), (2, 6)])
@pytest.mark.parametrize('separable', [False, True])
def test_shapes_and_closed_form_parameters(name, min_level, max_level, separable):
  spec = topology.get(name, min_level, max_level)
  pyramid = FeaturePyramid(spec, num_repeats=2, num_filters=8, use_separable_conv=separable)
  outputs = pyramid(_features(min_level, size=(128, 256)))
  for level in range(min_level, max_level + 1):
    assert outputs[str(level)].shape == (2, 128 >> level, 256 >> level, 8)
  assert list(outputs) == [str(level) for level in spec.levels]
  assert pyramid.output_specs == {level: output.shape for level, output in outputs.items()}
  filters = {level: CHANNELS[level] for level in range(min_level, 6)}
  assert pyramid.count_params() == topology.params(spec, 2, 8, filters, separable=separable)


@pytest.mark.parametrize(('num_repeats', 'params'), [(5, 21_609_984), (7, 29_885_440)])
def test_parameters_of_the_published_pyramids_over_resnet50(num_repeats, params):
  inputs = {str(level): tf_keras.Input([128 >> level, 128 >> level, 64 << level]) for level in (3, 4, 5)}
  pyramid = FeaturePyramid('nas_fpn', num_repeats=num_repeats, num_filters=256)
  pyramid(inputs)
  assert pyramid.count_params() == params == topology.params(topology.NAS_FPN, num_repeats, 256)


@pytest.mark.parametrize('seed', range(6))
def test_random_topologies(seed):
  min_level, max_level = random.Random(seed).choice([(3, 7), (3, 6), (2, 6)])
  spec = _random_spec(seed, min_level, max_level)
  num_filters = 5 + seed
  pyramid = FeaturePyramid(spec, num_repeats=1, num_filters=num_filters)
  features = _features(min_level)
  with tf.GradientTape() as tape:
    outputs = pyramid(features, training=True)
    loss = tf.add_n([tf.reduce_sum(output**3) for output in outputs.values()])
  gradients = tape.gradient(loss, pyramid.trainable_weights)
  for weight, gradient in zip(pyramid.trainable_weights, gradients, strict=True):
    # A feature of the backbone that only an unread input carries is the one thing that may stay out.
    assert gradient is not None or '/projection/' in weight.name
  filters = {level: CHANNELS[level] for level in range(min_level, 6)}
  assert pyramid.count_params() == topology.params(spec, 1, num_filters, filters)


def test_nas_fpn_is_wired_as_published():
  """The stage against the seven cells of arXiv 1904.07392, fig. 6, written out."""
  stage = PyramidStage(topology.NAS_FPN, 4)
  p3, p4, p5, p6, p7 = inputs = [
    tf.constant(np.random.default_rng(i).normal(size=[1, 16 >> i, 16 >> i, 4]).astype('float32')) for i in range(5)
  ]
  outputs = stage(inputs)
  convolve = [lambda x, cell=cell: cell.conv_norm(tf.nn.relu(x)) for cell in stage.cells]

  def up(x, factor):
    return tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2)

  def down(x, factor):
    return tf.nn.max_pool2d(x, factor, factor, 'SAME')

  def gate(x):
    return tf.sigmoid(tf.reduce_max(x, axis=[1, 2], keepdims=True))

  inner_a = convolve[0](up(p6, 4) + p4 * gate(p6))
  inner_b = convolve[1](p4 + inner_a)
  out3 = convolve[2](p3 + up(inner_b, 2))
  out4 = convolve[3](inner_b + down(out3, 2))
  out5 = convolve[4](down(out4, 2) + down(out3, 4) * gate(out4) + p5)
  out7 = convolve[5](down(out5, 4) + down(inner_b, 8) * gate(out5) + p7)
  out6 = convolve[6](up(out7, 2) + down(out5, 2) * gate(out7))
  testing.assert_close(outputs, [out3, out4, out5, out6, out7], 1e-6)


def test_parts_called_alone_give_the_whole():
  pyramid = FeaturePyramid('nas_fpn', num_repeats=3, num_filters=8)
  features = _features()
  expected = pyramid(features)
  partial = pyramid.project(features)
  for stage in pyramid.stages:
    partial = stage(partial)
  testing.assert_close(dict(zip(expected, partial, strict=True)), expected, 0.0)


def test_weights_name_their_stage_and_cell():
  pyramid = FeaturePyramid('nas_fpn', num_repeats=2, num_filters=8, name='neck')
  pyramid(_features())
  names = [w.name for w in pyramid.weights]
  assert len(set(names)) == len(names)
  assert 'neck/projection/level_3/conv/kernel:0' in names
  assert 'neck/stage_1/cell_6/conv_norm/norm/gamma:0' in names
  prefixes = [f'neck/stage_1/cell_{i}/' for i in range(7)]
  assert all(w.name.startswith(tuple(prefixes)) for w in pyramid.stages[1].weights)


def test_missing_coarse_levels_are_pooled_and_levels_out_of_range_ignored():
  features = _features(2, size=(128, 128))
  pyramid = FeaturePyramid(topology.fpn(3, 5), num_repeats=1, num_filters=8)
  outputs = pyramid(features)
  assert list(outputs) == ['3', '4', '5']
  testing.assert_close(pyramid({k: features[k] for k in '345'}), outputs, 0.0)
  projection = InputProjection(3, 7, 8, {})
  projected = projection({'3': features['3']})
  assert list(projection.convs) == ['3']
  np.testing.assert_array_equal(projected[2], tf.nn.max_pool2d(projected[0], 4, 4, 'SAME'))
  np.testing.assert_array_equal(projected[4], tf.nn.max_pool2d(projected[0], 16, 16, 'SAME'))


def test_batch_may_change_and_size_too():
  pyramid = FeaturePyramid('nas_fpn', num_repeats=1, num_filters=4)
  pyramid(_features())
  assert pyramid(_features(batch=5, size=(256, 128)))['3'].shape == (5, 32, 16, 4)


@pytest.mark.parametrize(
  ('features', 'message'),
  [
    (_features(size=(320, 320)), r"level '3' is 40x40, an image of 320x320.*multiples of 128.*fits is 384x384"),
    (_features(size=(128, 200)), r'image height and width must be multiples of 128'),
    ({'4': _features()['4'], '5': _features()['5']}, r"level '3' is missing.*has '4', '5'"),
    ({'3': _features()['3'], '5': _features()['5']}, r"level '4' is missing.*has '3', '5'"),
    ({**_features(), '4': _features()['3']}, r"level '4' is 16x16 and level '3' is 16x16, not exactly 2 times"),
    ({3: _features()['3']}, r"level '3' is missing.*has 3\. "),
    (list(_features().values()), r"a dict \{'3': c3, '4': c4, ...\} is needed, not a list"),
  ],
)
def test_features_that_do_not_fit_are_explained(features, message):
  with pytest.raises(ValueError, match=message):
    FeaturePyramid('nas_fpn', num_repeats=1, num_filters=4)(features)


def test_dynamic_sizes_are_explained():
  features = {level: tf_keras.Input([None, None, 4]) for level in '345'}
  with pytest.raises(ValueError, match=r"level '3' has shape \(None, None, None, 4\).*fixed image size"):
    FeaturePyramid('nas_fpn', num_repeats=1, num_filters=4)(features)


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'spec': 'nas_fpm'}, r"'nas_fpm' is not in the catalogue.*did you mean 'nas_fpn'"),
    ({'spec': 7}, r'catalogue name, a .json path or inline JSON, not 7'),
    ({'spec': {'format': 1, 'name': 'x'}}, r"key 'min_level' is missing"),
    ({'spec': 'fpn', 'num_repeats': 0}, r'num_repeats must be a positive integer, not 0'),
    ({'spec': 'fpn', 'num_filters': 2.5}, r'num_filters must be a positive integer, not 2.5'),
    ({'spec': 'fpn', 'dropblock_keep_prob': 0.0}, r'keep_prob must be in \(0, 1\], not 0.0'),
    ({'spec': 'fpn', 'activation': 'rellu'}, r"activation 'rellu' is unknown"),
  ],
)
def test_bad_settings_are_explained(kwargs, message):
  with pytest.raises(ValueError, match=message):
    FeaturePyramid(**kwargs)


def test_settings_reach_the_parts():
  pyramid = FeaturePyramid(
    'nas_fpn', num_repeats=1, num_filters=4, use_sync_bn=True, norm_momentum=0.9, norm_epsilon=1e-4,
    kernel_regularizer=tf_keras.regularizers.L2(0.5), dropblock_keep_prob=0.8, dropblock_size=5, dropblock_ramp_steps=9,
  )  # fmt: skip
  pyramid(_features())
  parts = [*pyramid.projection.convs.values(), *(cell.conv_norm for cell in pyramid.stages[0].cells)]
  for part in parts:
    assert part.norm.synchronized
    assert (part.norm.momentum, part.norm.epsilon) == (0.9, 1e-4)
  kernels = [part.conv.kernel for part in parts]
  np.testing.assert_allclose(sum(pyramid.losses), sum(0.5 * tf.reduce_sum(k**2) for k in kernels), rtol=1e-5)
  step = tf.Variable(0)
  pyramid.follow_step(step)
  for cell in pyramid.stages[0].cells:
    dropblock = cell.dropblock
    assert (dropblock.keep_prob, dropblock.block_size, dropblock.ramp_steps) == (0.8, 5, 9)
    assert dropblock._step is step


def test_saved_model_round_trip(tmp_path):
  features = _features()
  inputs = {level: tf_keras.Input(f.shape[1:]) for level, f in features.items()}
  layer = FeaturePyramid('nas_fpn', num_repeats=1, num_filters=4, dropblock_keep_prob=0.9)
  model = tf_keras.Model(inputs, layer(inputs))
  model.save(tmp_path / 'model', save_format='tf')
  loaded = tf_keras.models.load_model(tmp_path / 'model')
  testing.assert_close(loaded(features), model(features), 1e-6)


def _gradient(pyramid, features, weightings):
  """All gradients of a weighted sum of the outputs in training, as one vector."""
  with tf.GradientTape() as tape:
    outputs = tf.nest.flatten(pyramid(features, training=True))
    loss = tf.add_n([tf.reduce_sum(tf.cast(o, tf.float32) * w) for o, w in zip(outputs, weightings, strict=True)])
  gradients = tape.gradient(loss, pyramid.trainable_weights)
  return tf.concat([tf.reshape(g, [-1]) for g in gradients], axis=0)


def _compiled_and_plain(pyramid, features, weights):
  """`_gradient` and the weights that the step leaves, with XLA and without, from the same `weights`."""
  rng = np.random.default_rng(1)
  weightings = [tf.constant(rng.normal(size=[4, 32 >> i, 32 >> i, 8]).astype('float32')) for i in range(5)]
  results = []
  for jit_compile in (True, False):
    pyramid.set_weights(weights)
    gradient = tf.function(_gradient, jit_compile=jit_compile)(pyramid, features, weightings)
    results.append((gradient.numpy(), pyramid.get_weights()))
  return results


def _distance(a, b):
  return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_training_step_compiles_with_xla():
  tf_keras.utils.set_random_seed(0)
  pyramid = FeaturePyramid('nas_fpn', num_repeats=1, num_filters=8)
  features = {level: tf.constant(f) for level, f in _features(size=(256, 256), batch=4).items()}
  pyramid(features)
  weights = pyramid.get_weights()
  (compiled, compiled_after), (plain, plain_after) = _compiled_and_plain(pyramid, features, weights)
  assert _distance(compiled, plain) < 1e-4
  testing.assert_close(compiled_after, plain_after, 1e-5)

  # bfloat16 has 8 bits, and rounding moves which inputs pass a ReLU; XLA must be no further off than TensorFlow.
  bfloat16 = FeaturePyramid.from_config(pyramid.get_config() | {'dtype': 'mixed_bfloat16'})
  bfloat16(features)
  (compiled, _), (rounded, _) = _compiled_and_plain(bfloat16, features, weights)
  assert _distance(rounded, plain) < 0.2
  assert _distance(compiled, plain) < 1.2 * _distance(rounded, plain)


def test_graph_is_lean():
  """A stage is convolutions, norms and what the topology asks for: no copies, no casts, no n-ary additions."""
  stage = PyramidStage(topology.NAS_FPN, 4)
  shapes = [tf.TensorSpec([1, 16 >> i, 16 >> i, 4]) for i in range(5)]
  stage([tf.zeros(s.shape) for s in shapes])
  graph = tf.function(lambda *f: stage(list(f), training=False)).get_concrete_function(*shapes).graph
  types = [op.type for op in graph.get_operations()]
  counts = {op: types.count(op) for op in ('Conv2D', 'FusedBatchNormV3', 'ResizeNearestNeighbor', 'MaxPool', 'Max')}
  assert counts == {'Conv2D': 7, 'FusedBatchNormV3': 7, 'ResizeNearestNeighbor': 3, 'MaxPool': 6, 'Max': 4}
  assert not {'AddN', 'Tile', 'Pack', 'Cast', 'Transpose', 'Shape'} & set(types)
