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

"""Anytime detection: exits on shared weights, their cost, incremental use, wrong states."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import config
from nasfpn_tf.modeling import anytime, cost, detector
from nasfpn_tf.modeling.weights import restore, warm_start
from nasfpn_tf.training import params
from tests import testing
from tests.modeling.backbones import tiny  # noqa: F401  (registers the backbone)

NUM_EXITS = 3
SIZE = (64, 96)


def model_config(**overrides):
  """A small detector: a backbone of four convolutions, levels 3..5, three narrow pyramids with exits."""
  model = config.Detector(
    num_classes=4,
    input_size=[*SIZE, 3],
    min_level=3,
    max_level=5,
    backbone={'type': 'tiny', 'tiny': {'num_filters': 8}},
    decoder={'type': 'feature_pyramid', 'feature_pyramid': {'num_repeats': NUM_EXITS, 'num_filters': 16}},
    head={'num_convs': 2},
    anchor={'num_scales': 1, 'aspect_ratios': [1.0, 2.0]},
    detection_generator={'pre_nms_score_threshold': 0.0},
    norm_activation={'norm_momentum': 0.1, 'use_sync_bn': False},
    anytime={'enabled': True},
  )
  model.override(overrides)
  return model


def plain_config(num_repeats=NUM_EXITS, **overrides):
  """The same with one exit."""
  pyramids = {'feature_pyramid': {'num_repeats': num_repeats}}
  return model_config(anytime={'enabled': False}, decoder=pyramids, **overrides)


def shake(model, seed=0):
  """Gives a model weights and statistics that are not the initial ones."""
  rng = np.random.default_rng(seed)
  for variable in model.variables:
    noise = (
      rng.uniform(0.0, 0.02, variable.shape) if 'variance' in variable.name else rng.normal(0, 0.02, variable.shape)
    )
    variable.assign_add(noise.astype(np.float32))
  model(images(), training=True)  # Statistics that fit keep the outputs in bounds.
  return model


def images(batch=2, seed=0):
  return tf.random.stateless_normal([batch, *SIZE, 3], [seed, 1])


IMAGE_SHAPE = tf.constant([[64.0, 96.0], [50.0, 90.0]])


@pytest.fixture(scope='module')
def model():
  return shake(detector.build_detector(model_config()))


@functools.cache
def plain_detector(num_repeats):
  """With initial weights, not to be changed."""
  return detector.build_detector(plain_config(num_repeats))


def assert_same(actual, expected):
  assert set(actual) == set(expected)
  tf.nest.map_structure(np.testing.assert_array_equal, actual, {key: expected[key] for key in actual})


def operations(graph):
  """Types of the operations of a graph and of the functions that it calls."""
  for op in graph.get_operations():
    yield op.type
    if op.type in ('PartitionedCall', 'StatefulPartitionedCall'):
      yield from operations(graph._get_function(op.get_attr('f').name).graph)


def convolutions(function):
  traced = tf.function(function).get_concrete_function(tf.TensorSpec([1, *SIZE, 3]))
  return sum(kind in ('Conv2D', 'DepthwiseConv2dNative') for kind in operations(traced.graph))


def test_called_plainly_it_is_the_last_exit(model):
  outputs = model(images(), image_shape=IMAGE_SHAPE, training=False)
  assert 'exits' not in outputs
  all_exits = model(images(), image_shape=IMAGE_SHAPE, training=False, all_exits=True)
  assert len(all_exits['exits']) == model.num_exits == NUM_EXITS
  assert_same(all_exits['exits'][-1], outputs)
  assert_same({key: value for key, value in all_exits.items() if key != 'exits'}, outputs)


def test_training_computes_every_exit(model):
  outputs = model(images(), training=True)
  assert set(outputs) == {'cls_outputs', 'box_outputs', 'exits'}
  assert [set(exit_outputs) for exit_outputs in outputs['exits']] == [{'cls_outputs', 'box_outputs'}] * NUM_EXITS
  with_features = model(images(), training=True, output_intermediate_features=True)
  assert {'backbone_3', 'decoder_5'} <= set(with_features)


@pytest.mark.parametrize('exit_stage', range(1, NUM_EXITS + 1))
def test_an_exit_is_a_detector_of_its_pyramids(model, exit_stage):
  early = model.at_exit(exit_stage)
  expected = model(images(), image_shape=IMAGE_SHAPE, training=False, all_exits=True)['exits'][exit_stage - 1]
  assert_same(early(images(), image_shape=IMAGE_SHAPE, training=False), expected)
  assert float(tf.reduce_max(expected['num_detections'])) > 0
  assert {id(v) for v in early.variables} <= {id(v) for v in model.variables}


@pytest.mark.parametrize('exit_stage', range(1, NUM_EXITS + 1))
def test_nothing_later_is_in_the_graph_of_an_exit(model, exit_stage):
  early, plain = model.at_exit(exit_stage), plain_detector(exit_stage)
  assert convolutions(lambda x: early(x, training=False)) == convolutions(lambda x: plain(x, training=False))
  assert cost.count_multiply_adds(early, SIZE) == cost.count_multiply_adds(plain, SIZE)
  assert cost.count_params(early) == cost.count_params(plain)


def test_exits_differ(model):
  exits = model(images(), training=False, all_exits=True)['exits']
  for one, other in itertools.pairwise(exits):
    assert np.abs(one['cls_outputs']['3'] - other['cls_outputs']['3']).max() > 1e-3


def test_batch_norms_apart_from_their_kernels_say_the_same(model):
  head, features = model.heads[0], model.decoder.stage_outputs(model.backbone(images()))[0]

  def run():
    traced = tf.function(lambda: head(features)[:2]).get_concrete_function()
    return traced(), 'DepthwiseConv2dNative' in operations(traced.graph)

  expected, is_apart = run()
  assert not is_apart
  with head.norms_apart():
    found, is_apart = run()
  assert is_apart
  tf.nest.map_structure(
    lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), found, expected
  )
  assert not run()[1]


def test_shared_heads_have_statistics_of_their_own():
  shared = detector.build_detector(model_config())
  separate = detector.build_detector(model_config(anytime={'share_heads': False}))
  one_head = cost.count_params(plain_detector(NUM_EXITS).head)
  norms = sum(int(tf.size(v)) for v in shared.head.variables if 'norm' in v.name)
  assert 0 < norms < one_head
  plain = cost.count_params(plain_detector(NUM_EXITS))
  assert cost.count_params(shared) == plain + (NUM_EXITS - 1) * norms
  assert cost.count_params(separate) == plain + (NUM_EXITS - 1) * one_head
  before = [v.numpy() for v in shared.heads[0].variables if 'moving_mean' in v.name]
  shared(images(), training=True)
  after = [v.numpy() for v in shared.heads[0].variables if 'moving_mean' in v.name]
  last = [v.numpy() for v in shared.heads[-1].variables if 'moving_mean' in v.name]
  assert len(before) == 2 * 2 * 3  # Two towers, two convolutions, three levels.
  assert all(np.abs(a - b).max() > 0 for a, b in zip(after, before, strict=True))
  assert any(np.abs(a - b).max() > 0 for a, b in zip(after, last, strict=True))


@pytest.mark.parametrize('share_heads', [True, False])
def test_a_gradient_of_every_exit_reaches_the_head(share_heads):
  built = shake(detector.build_detector(model_config(anytime={'share_heads': share_heads})))
  kernels = [next(v for v in head.trainable_variables if v.name.endswith('scores/kernel:0')) for head in built.heads]
  with tf.GradientTape() as tape:
    exits = built(images(), training=True)['exits']
    loss = tf.reduce_sum(exits[0]['cls_outputs']['3'] ** 2)
  gradients = tape.gradient(loss, kernels)
  assert [g is not None for g in gradients] == ([True] * NUM_EXITS if share_heads else [True, False, False])


def test_refining_gives_what_the_exits_give(model):
  state = model.begin(images(), IMAGE_SHAPE)
  for exit_stage in range(1, NUM_EXITS + 1):
    assert state.exit_stage == exit_stage
    expected = model.at_exit(exit_stage)(images(), image_shape=IMAGE_SHAPE, training=False)
    assert_same(model.detect(state), expected)
    assert_same(model.detect(state), expected)  # A state is a value.
    if exit_stage < NUM_EXITS:
      state = model.refine(state)


def test_states_go_through_tf_function(model):
  begin, refine, detect = (tf.function(f) for f in (model.begin, model.refine, model.detect))
  state = refine(begin(images(), IMAGE_SHAPE))
  assert state.exit_stage == 2
  expected = model.detect(model.refine(model.begin(images(), IMAGE_SHAPE)))
  testing.assert_close(detect(state)['box_outputs'], expected['box_outputs'], 1e-4)
  assert detect(begin(images(3)))['detection_boxes'].shape == (3, 100, 4)


def test_refining_computes_one_pyramid(model):
  state = model.begin(images(1))

  def count(function):
    graph = tf.function(function).get_concrete_function(state).graph
    return list(operations(graph)).count('Conv2D')

  assert count(model.refine) == 5  # NAS-FPN on three levels has five cells.
  assert count(model.detect) == 3 * 2 * 3  # Levels, towers, convolutions.


@pytest.mark.parametrize('exit_stage', [0, -1, NUM_EXITS + 1, True, 1.0, None])
def test_there_is_no_such_exit(model, exit_stage):
  with pytest.raises(ValueError, match=rf'exit {exit_stage!r}: the exits are 1 to {NUM_EXITS}'):
    model.at_exit(exit_stage)


def test_wrong_states(model):
  state = model.begin(images(), IMAGE_SHAPE)
  other = detector.build_detector(model_config())
  for use in (other.refine, other.detect):
    with pytest.raises(ValueError, match='belongs to another model'):
      use(state)
  last = model.refine(model.refine(state))
  with pytest.raises(ValueError, match=f'last exit, {NUM_EXITS}.*no further pyramid'):
    model.refine(last)
  with pytest.raises(ValueError, match='mixes several batches'):
    model.begin(images(3), IMAGE_SHAPE)
  mixed = (*model.begin(images(3)).features[:1], *state.features[1:])
  for wrong in ({'image_shape': tf.zeros([3, 2])}, {'features': mixed}):
    for use in (model.refine, model.detect):
      with pytest.raises(ValueError, match='mixes several batches'):
        use(dataclasses.replace(state, **wrong))
  with pytest.raises(ValueError, match='2 features for 3 levels'):
    model.refine(dataclasses.replace(state, features=state.features[:2]))
  with pytest.raises(ValueError, match='exit 4: the exits are 1 to 3'):
    model.detect(dataclasses.replace(state, exit_stage=4))


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'anytime': {'loss_weights': [1.0, 1.0]}}, r'loss_weights is \[1.0, 1.0\]; 3 numbers are needed'),
    ({'anytime': {'loss_weights': [1.0, -1.0, 1.0]}}, 'none of them negative'),
    ({'anytime': {'loss_weights': [0, 0, 0]}}, 'not all 0'),
    ({'anytime': {'share_heads': 'yes'}}, 'share_heads must be true or false'),
    ({'decoder': {'type': 'fpn'}}, "anytime.enabled is not available with model.decoder.type 'fpn'"),
    ({'decoder': {'type': 'mnas_fpn'}}, "is not available with model.decoder.type 'mnas_fpn', only with 'feature_pyr"),
    ({'head': {'attribute_heads': [{'name': 'depth'}]}}, 'attribute_heads'),
  ],
)
def test_wrong_configurations(overrides, message):
  with pytest.raises(ValueError, match=message):
    detector.build_detector(model_config(**overrides))


def test_weights_of_exits():
  assert anytime.exit_weights(model_config()) == [1 / 3] * 3
  assert anytime.exit_weights(model_config(anytime={'loss_weights': [0, 1, 2.5]})) == [0.0, 1.0, 2.5]


def test_a_model_of_one_pyramid_has_one_exit(tmp_path):
  single = detector.build_detector(model_config(decoder={'feature_pyramid': {'num_repeats': 1}}))
  assert single.num_exits == 1 and 'early_heads' not in single.checkpoint_items
  path = tf.train.Checkpoint(**single.checkpoint_items).write(str(tmp_path / 'ckpt-1'))
  restore.restore(shake(detector.build_detector(plain_config(1))), path)


@pytest.mark.parametrize('share_heads', [True, False])
def test_checkpoints_keep_every_exit(share_heads, tmp_path):
  overrides = {'anytime': {'share_heads': share_heads}}
  trained = shake(detector.build_detector(model_config(**overrides)))
  path = tf.train.Checkpoint(model=trained, **trained.checkpoint_items).write(str(tmp_path / 'ckpt-1'))
  loaded = detector.build_detector(model_config(**overrides))
  assert not warm_start.read_other_exits(loaded, path)
  restore.restore(loaded, path)
  for a, b in zip(loaded.variables, trained.variables, strict=True):
    np.testing.assert_array_equal(a, b)
  assert_same(loaded(images(), training=False), trained(images(), training=False))


@pytest.mark.parametrize('share_heads', [True, False])
def test_one_exit_starts_them_all(share_heads, tmp_path):
  plain = shake(detector.build_detector(plain_config()))
  path = tf.train.Checkpoint(**plain.checkpoint_items).write(str(tmp_path / 'ckpt-1'))
  started = detector.build_detector(model_config(anytime={'share_heads': share_heads}))
  assert warm_start.read_other_exits(started, path)
  assert_same(started(images(), training=False), plain(images(), training=False))
  features = plain.decoder.stage_outputs(plain.backbone(images(), training=False), training=False)[0]
  first = started(images(), training=False, all_exits=True)['exits'][0]
  np.testing.assert_array_equal(first['cls_outputs']['4'], plain.head(features)[0]['4'])


@pytest.mark.parametrize(('share_heads', 'num_repeats'), [(True, 1), (False, 2), (True, NUM_EXITS)])
def test_an_exit_starts_a_model_with_one(share_heads, num_repeats, tmp_path):
  trained = shake(detector.build_detector(model_config(anytime={'share_heads': share_heads})))
  path = tf.train.Checkpoint(model=trained, **trained.checkpoint_items).write(str(tmp_path / 'ckpt-1'))
  plain = detector.build_detector(plain_config(num_repeats))
  if not warm_start.read_other_exits(plain, path):
    restore.restore(plain, path)  # At the last exit the checkpoint is one of the plain model.
    assert num_repeats == NUM_EXITS
  assert_same(plain(images(), training=False), trained.at_exit(num_repeats)(images(), training=False))


def test_a_rebuilt_model_is_the_same(model):
  rebuilt = anytime.AnytimeRetinaNet.from_config(model.get_config())
  assert_same(rebuilt.at_exit(1)(images(), training=False), model.at_exit(1)(images(), training=False))
  with pytest.raises(ValueError, match='1 heads for 3 pyramids'):
    anytime.AnytimeRetinaNet.from_config({**model.get_config(), 'early_heads': []})


@pytest.mark.parametrize(
  ('name', 'is_published'), [('r50_nasfpn_7x256_640', True), ('bccd_mobilenetv2_nasfpnlite_3x64_384x512', False)]
)
def test_the_configurations_differ_from_those_without_exits_in_nothing_else(name, is_published):
  plain, with_exits = (params.load_params(config_files=path).task.model for path in (name, f'{name}_anytime'))
  assert with_exits.anytime.enabled and not plain.anytime.enabled
  plain.anytime.enabled = True
  # With exits every detector of ours is residual; what reproduces a published figure is not.
  assert plain.decoder.feature_pyramid.residual != is_published
  plain.decoder.feature_pyramid.residual = True
  assert with_exits.as_dict() == plain.as_dict()
