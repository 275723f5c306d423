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
"""Every operation of the table has its function; an entry and a function are all that a new operation needs."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import interpreter as litert

from nasfpn_tf import topology
from nasfpn_tf.layers import merge_ops
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.topology import ops

WIDTH = 4


@pytest.mark.parametrize('name', topology.OPS)
def test_every_operation_of_the_table_has_a_function(name):
  assert callable(merge_ops.get(name))


def test_functions_are_of_the_table_and_one_for_each():
  with pytest.raises(ValueError, match="op 'mean' is unknown"):
    merge_ops.implements('mean')(tf.reduce_mean)
  with pytest.raises(ValueError, match="'sum' already has a function: add_all"):
    merge_ops.implements('sum')(tf.add_n)
  with pytest.raises(ValueError, match="op 'mean' is unknown"):
    merge_ops.get('mean')


def test_an_operation_without_a_function_is_explained(monkeypatch):
  monkeypatch.setattr(ops, 'MERGE_OPS', (*ops.MERGE_OPS, ops.MergeOp('mean', None, 0, 'm', 'm', 'mean')))
  with pytest.raises(ValueError, match=r"op 'mean' has no function in layers/merge_ops\.py"):
    merge_ops.get('mean')


@pytest.fixture
def spec(monkeypatch):
  """A pyramid of a new operation, which is added in the two places where one is added: the table and the functions."""
  entry = ops.MergeOp('scaled_max', 2, 1, 'M', 'mx', 'maximum of scaled inputs')
  monkeypatch.setattr(ops, 'MERGE_OPS', (*ops.MERGE_OPS, entry))
  monkeypatch.setattr(merge_ops, '_functions', dict(merge_ops._functions))

  @merge_ops.implements('scaled_max')
  def scaled_max(inputs):
    first, second = inputs.resampled()
    weights = tf.unstack(inputs.weights)
    return tf.maximum(inputs.rounded(first * weights[0]), inputs.rounded(second * weights[1]))

  cells = ((4, (0, 1), False), (3, (0, 2), True), (4, (2, 3), True))
  return topology.PyramidSpec(
    'new', 3, 4, tuple(topology.CellSpec(level, 'scaled_max', inputs, is_output) for level, inputs, is_output in cells)
  )


@pytest.fixture
def pyramid(spec):
  """Two pyramids of it, built."""
  built = FeaturePyramid(spec, num_repeats=2, num_filters=WIDTH)
  built(_features())
  return built


def _features():
  rng = np.random.default_rng(0)
  return {str(level): rng.normal(size=[1, 64 >> level, 64 >> level, WIDTH]).astype('float32') for level in (3, 4)}


def test_a_new_operation_is_validated_and_drawn(spec):
  assert topology.PyramidSpec.from_json(spec.to_json()) == spec
  with pytest.raises(ValueError, match='scaled_max takes exactly two inputs, not 1'):
    topology.PyramidSpec('bad', 3, 4, (topology.CellSpec(3, 'scaled_max', (0,), True), *spec.cells[1:]))
  drawing = topology.draw(spec)
  assert re.findall(r'M (\d)', drawing) == ['2', '4', '3']
  assert 'M maximum of scaled inputs;' in drawing
  assert topology.formula(spec, 1) == 'P3* = scaled_max(0, 2)'
  assert topology.dot(spec).count('scaled_max') == 3
  figure = topology.svg(spec)
  assert figure.count('>mx<') == 4  # Three cells and the legend.
  assert '>maximum of scaled inputs<' in figure


def test_a_new_operation_is_searched(spec):
  space = PyramidSpace(num_cells=3, min_level=3, max_level=4, ops=('sum', 'scaled_max'))
  assert space.decode(space.encode(spec)).cells == spec.cells


def test_a_new_operation_is_counted_as_it_is_built(pyramid, spec):
  assert pyramid.count_params() == topology.params(spec, 2, WIDTH, {3: WIDTH, 4: WIDTH})
  cells = [cell for stage in pyramid.stages for cell in stage.cells]
  assert [cell.fusion_weights.shape for cell in cells] == [[2]] * 6


def test_a_new_operation_trains(pyramid):
  optimizer = tf_keras.optimizers.SGD(0.01)
  losses = []
  for _ in range(3):
    with tf.GradientTape() as tape:
      outputs = pyramid(_features(), training=True)
      losses.append(tf.add_n([tf.reduce_mean((value - 1.0) ** 2) for value in outputs.values()]))
    gradients = tape.gradient(losses[-1], pyramid.trainable_variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    optimizer.apply_gradients(zip(gradients, pyramid.trainable_variables, strict=True))
  assert losses[2] < losses[0]
  weights = pyramid.stages[0].cells[0].fusion_weights.numpy()
  assert (weights != 1.0).all()


def test_a_new_operation_is_exported(pyramid, tmp_path):
  features = _features()
  expected = {level: value.numpy() for level, value in pyramid(features, training=False).items()}
  signature = {level: tf.TensorSpec(value.shape, name=f'level_{level}') for level, value in features.items()}
  module = tf.Module()
  module.pyramid = pyramid
  module.serve = tf.function(lambda f: pyramid(f, training=False), input_signature=[signature])
  tf.saved_model.save(module, str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  for level, value in loaded.serve(features).items():
    np.testing.assert_allclose(value, expected[level], atol=1e-5)
  interpreter = litert.Interpreter(model_content=tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert())
  run = interpreter.get_signature_runner()
  outputs = run(**{f'level_{level}': value for level, value in features.items()})
  by_side = {value.shape[1]: value for value in outputs.values()}
  for value in expected.values():
    np.testing.assert_allclose(by_side[value.shape[1]], value, atol=1e-4)
