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
import tf_keras
from official.vision.modeling import backbones

from nasfpn_tf import config
from nasfpn_tf.layers.drop_path import DropPath
from nasfpn_tf.modeling import detector, recompute


def _config(**overrides):
  model = config.Detector(
    num_classes=3,
    input_size=[64, 64, 3],
    min_level=3,
    max_level=5,
    backbone={'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.25}},
    decoder={'feature_pyramid': {'num_repeats': 1, 'num_filters': 16}},
    head={'num_convs': 1},
    anchor={'num_scales': 1, 'aspect_ratios': [1.0]},
  )
  model.override(overrides)
  return model


RECOMPUTED = {'recompute_backbone': True, 'recompute_head': True, 'decoder': {'feature_pyramid': {'recompute': True}}}


def _step(model, images):
  with tf.GradientTape() as tape:
    outputs = model(images, training=True)
    exits = outputs.get('exits', [outputs])
    levels = [o for part in ('cls_outputs', 'box_outputs') for one in exits for o in one[part].values()]
    # Strongly weighted, for the predictors' kernels start near zero.
    loss = tf.add_n([tf.reduce_sum((1e3 * o) ** 2) for o in levels])
  return loss, tape.gradient(loss, model.trainable_variables)


@pytest.fixture(scope='module')
def plain():
  tf_keras.utils.set_random_seed(0)
  return detector.build_detector(_config())


def _assert_trains_alike(plain, recomputed):
  recomputed.set_weights(plain.get_weights())
  images = tf.random.stateless_normal([2, 64, 64, 3], [1, 2])
  (loss, gradients), (again, recomputed_gradients) = (tf.function(_step)(m, images) for m in (plain, recomputed))
  np.testing.assert_allclose(again, loss, rtol=1e-4)
  flat, expected = (np.concatenate([np.ravel(g) for g in gs]) for gs in (recomputed_gradients, gradients))
  assert np.linalg.norm(flat - expected) < 1e-4 * np.linalg.norm(expected)
  for variable, gradient, expected in zip(plain.trainable_variables, recomputed_gradients, gradients, strict=True):
    if '/bias' not in variable.name:  # Zero but for rounding before a batch norm.
      assert np.linalg.norm(gradient - expected) < 1e-2 * np.linalg.norm(expected) + 1e-6, variable.name
  for a, b in zip(recomputed.non_trainable_variables, plain.non_trainable_variables, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=a.name)


def test_a_recomputed_detector_trains_as_a_plain_one_and_has_its_checkpoints(plain, tmp_path):
  recomputed = detector.build_detector(_config(**RECOMPUTED))
  _assert_trains_alike(plain, recomputed)
  models = (plain, recomputed)
  for a, b in (models, models[::-1]):
    path = tf.train.Checkpoint(model=a, **a.checkpoint_items).write(str(tmp_path / 'checkpoint'))
    tf.train.Checkpoint(model=b, **b.checkpoint_items).read(path).assert_consumed()


def _count_pools(model):
  """Returns how often a training step pools, which the ResNet does at the end of its stem alone."""
  step = tf.function(lambda images: _step(model, images)).get_concrete_function(tf.TensorSpec([2, 64, 64, 3]))
  graph = step.graph.as_graph_def()
  functions = [graph.node, *(function.node_def for function in graph.library.function)]
  return sum(node.op == 'MaxPool' for nodes in functions for node in nodes)


def test_the_stem_is_recomputed_with_level_2_and_for_itself(plain):
  pools = _count_pools(plain)
  assert _count_pools(detector.build_detector(_config(recompute_backbone=True))) == pools + 2


@pytest.mark.slow
def test_every_exit_of_an_anytime_detector_is_recomputed():
  anytime, two = {'enabled': True}, {'num_repeats': 2}
  recomputed = RECOMPUTED | {'decoder': {'feature_pyramid': {**two, 'recompute': True}}}
  _assert_trains_alike(
    detector.build_detector(_config(anytime=anytime, decoder={'feature_pyramid': two})),
    detector.build_detector(_config(anytime=anytime, **recomputed)),
  )


@pytest.mark.slow
def test_a_recomputed_amoebanet_trains_as_a_plain_one():
  backbone = {'type': 'amoebanet', 'amoebanet': {'num_cells': 1, 'num_filters': 32}}
  _assert_trains_alike(*(detector.build_detector(_config(backbone=backbone, **more)) for more in ({}, RECOMPUTED)))


def test_stochastic_depth_drops_the_same_in_both_passes():
  backbone = backbones.ResNet(10, depth_multiplier=0.25, init_stochastic_depth_rate=0.5)
  images = tf.random.stateless_normal([2, 64, 64, 3], [1, 2])
  before = backbone(images)['5']
  recompute.recompute_blocks(backbone)
  dropped = [layer for layer in backbone.submodules if isinstance(layer, DropPath)]
  # Model Garden's rate grows with the position of a block's group.
  assert max(1 - layer.keep_prob for layer in dropped) == pytest.approx(0.5)
  np.testing.assert_allclose(backbone(images)['5'], before, atol=1e-5)
  last = backbone.trainable_variables[-1]

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      outputs = backbone(images, training=True)['5']
    return outputs, tape.gradient(outputs, last)

  # A dropped example adds nothing to the shift of the last batch norm, and a kept one twice its share.
  outputs, gradient = zip(*(step() for _ in range(8)), strict=True)
  assert len({float(tf.reduce_sum(o)) for o in outputs}) > 1
  assert np.isfinite(outputs).all() and np.isfinite(gradient).all()


def test_a_backbone_without_blocks_is_refused():
  with pytest.raises(ValueError, match=r'recompute_backbone: plain is not made.*resnet, spinenet and amoebanet are'):
    recompute.recompute_blocks(tf_keras.Sequential([tf_keras.layers.Conv2D(4, 3)], name='plain'))
