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

"""Residual stacks: what is added where, how they begin, and that all else of a pyramid goes with it."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf import topology
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid, PyramidStage
from nasfpn_tf.layers.merging_cell import MergingCell
from tests import testing
from tests.layers.feature_pyramid_test import _features


def _trained(pyramid, features, seed=0):
  """Gives a built pyramid weights as after some training: no scale of a batch norm is 0."""
  rng = np.random.default_rng(seed)
  pyramid(features)
  for weight in pyramid.weights:
    spread = 0.2 * rng.normal(size=weight.shape)
    weight.assign(np.abs(spread) + 0.5 if 'variance' in weight.name or 'gamma' in weight.name else spread)
  return pyramid


@pytest.mark.parametrize('name', topology.names())
@pytest.mark.parametrize(('min_level', 'max_level'), [(3, 7), (3, 6), (2, 6)])
def test_a_stack_of_any_depth_begins_as_its_projection(name, min_level, max_level):
  features = _features(min_level, size=(128, 256))
  pyramid = FeaturePyramid(topology.get(name, min_level, max_level), num_repeats=3, num_filters=8, residual=True)
  for training in (False, True):
    outputs = pyramid.stage_outputs(features, training=training)
    projected = pyramid.by_level(pyramid.project(features, training=training))
    for of_stage in outputs:
      testing.assert_close(of_stage, projected, 1e-6)


@pytest.mark.parametrize('name', topology.names())
def test_parameters_are_those_of_the_plain_stack(name):
  layers = [FeaturePyramid(name, num_repeats=2, num_filters=8, residual=residual) for residual in (False, True)]
  for layer in layers:
    layer(_features())
  plain, residual = ([w.name.partition('/')[2] for w in layer.weights] for layer in layers)
  assert plain == residual
  assert layers[1].count_params() == topology.params(topology.get(name), 2, 8, {3: 6, 4: 8, 5: 10})


def test_the_input_of_a_level_is_added_to_its_output_and_read_by_later_cells():
  """FPN of two levels written out: P4 = C4 + cell(C4), P3 = C3 + cell(C3 + up(P4))."""
  spec = topology.PyramidSpec(
    'two', 3, 4, (topology.CellSpec(4, 'sum', (1,), True), topology.CellSpec(3, 'sum', (0, 2), True))
  )
  rng = np.random.default_rng(0)
  c3, c4 = (tf.constant(rng.normal(size=[1, size, size, 4]).astype('float32')) for size in (8, 4))
  stage = _trained(PyramidStage(spec, 4, residual=True), [c3, c4])
  top, bottom = (lambda x, cell=cell: cell.conv_norm(tf.nn.relu(x)) for cell in stage.cells)
  p4 = c4 + top(c4)
  p3 = c3 + bottom(c3 + tf.repeat(tf.repeat(p4, 2, axis=1), 2, axis=2))
  testing.assert_close(stage([c3, c4]), [p3, p4], 1e-6)


def test_only_output_cells_begin_with_gamma_zero():
  pyramid = FeaturePyramid('nas_fpn', num_repeats=1, num_filters=4, residual=True)
  pyramid(_features())
  gammas = [float(tf.reduce_max(cell.conv_norm.norm.gamma)) for cell in pyramid.stages[0].cells]
  assert gammas == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_every_weight_learns():
  """A scale of 0 hides a convolution from the first step only."""
  pyramid = FeaturePyramid('nas_fpn', num_repeats=2, num_filters=8, residual=True)
  features = _features(batch=4)
  targets = [tf.random.stateless_normal([4, 16 >> i, 16 >> i, 8], [i, 0]) for i in range(5)]
  optimizer = tf_keras.optimizers.legacy.SGD(0.1)
  for _ in range(2):
    with tf.GradientTape() as tape:
      outputs = tf.nest.flatten(pyramid(features, training=True))
      loss = tf.add_n([tf.reduce_mean((o - t) ** 2) for o, t in zip(outputs, targets, strict=True)])
    gradients = tape.gradient(loss, pyramid.trainable_weights)
    optimizer.apply_gradients(zip(gradients, pyramid.trainable_weights, strict=True))
  # A bias before a batch norm has none. P7 is 1x1 here: a batch norm of four equal-weighted values still has one.
  still = [
    weight.name
    for weight, gradient in zip(pyramid.trainable_weights, gradients, strict=True)
    if 'conv/bias' not in weight.name and not np.abs(gradient).max() > 0
  ]
  assert not still


def test_keeps_the_layer_contract():
  testing.run_layer_test(
    FeaturePyramid,
    {
      'spec': topology.NAS_FPN, 'num_repeats': 2, 'num_filters': 8, 'use_separable_conv': True,
      'dropblock_keep_prob': 0.9, 'residual': True,
    },
    _features(),
    {'3': (2, 16, 16, 8), '4': (2, 8, 8, 8), '5': (2, 4, 4, 8), '6': (2, 2, 2, 8), '7': (2, 1, 1, 8)},
    check_gradients=False,  # A scale of 0 hides what is before it; `test_every_weight_learns`.
  )  # fmt: skip


def test_recomputation_changes_nothing():
  results = []
  for recompute in (False, True):
    tf_keras.utils.set_random_seed(3)
    pyramid = FeaturePyramid('nas_fpn', num_repeats=2, num_filters=8, residual=True, recompute_gradients=recompute)
    _trained(pyramid, _features())
    with tf.GradientTape() as tape:
      loss = tf.add_n([tf.reduce_sum(o**2) for o in pyramid(_features(), training=True).values()])
    results.append([loss, *tape.gradient(loss, pyramid.stages[1].trainable_weights)])
  for plain, again in zip(*results, strict=True):
    np.testing.assert_allclose(again, plain, rtol=1e-3, atol=1e-3 * np.abs(plain).max())


def test_the_first_pyramids_alone():
  features = _features()
  pyramid = _trained(FeaturePyramid('nas_fpn', num_repeats=3, num_filters=8, residual=True), features)
  first = pyramid.first(2)
  assert all(stage.residual for stage in first.stages)
  testing.assert_close(first(features), pyramid.stage_outputs(features)[1], 0.0)


def test_a_first_pyramid_with_a_projection_for_each_edge_is_as_published():
  kwargs = {'num_repeats': 2, 'num_filters': 8, 'project_each_edge': True}
  residual = FeaturePyramid('bifpn', residual=True, **kwargs)
  features = _features()
  residual(features)
  outputs = residual.stage_outputs(features)
  testing.assert_close(outputs[1], outputs[0], 1e-6)  # The second begins as the identity.
  assert [stage.residual for stage in residual.stages] == [False, True]
  plain = FeaturePyramid('bifpn', **kwargs)
  plain(features)
  assert residual.count_params() == plain.count_params()


def test_dropblock_drops_what_the_cell_adds_not_what_passes_by():
  cell = MergingCell(3, 'sum', [3], 4, residual=True, dropblock_keep_prob=0.3, dropblock_size=1)
  merged, passing = tf.ones([1, 16, 16, 4]), 5.0 * tf.ones([1, 16, 16, 4])
  cell([merged, passing])
  cell.conv_norm.norm.gamma.assign(tf.zeros([4]))
  cell.conv_norm.norm.beta.assign(tf.ones([4]))
  values = np.unique(cell([merged, passing], training=True))
  assert values.min() == 5.0 and values.max() > 5.0


def test_a_cell_that_is_given_no_residual_says_so():
  with pytest.raises(ValueError, match='takes 3 features, 2 were given'):
    MergingCell(3, 'sum', [3, 4], 4, residual=True)([tf.zeros([1, 8, 8, 4]), tf.zeros([1, 4, 4, 4])])


def test_training_step_compiles_with_xla():
  pyramid = _trained(FeaturePyramid('nas_fpn', num_repeats=1, num_filters=8, residual=True), _features())
  features = {level: tf.constant(feature) for level, feature in _features().items()}
  outputs = [tf.function(pyramid, jit_compile=jit)(features, training=True) for jit in (True, False)]
  testing.assert_close(*outputs, 1e-4)
