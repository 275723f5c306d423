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
"""Tests of the one construction path."""

import copy
import re
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.modeling import backbones, retinanet_model
from official.vision.modeling.layers import detection_generator as mg_detection_generator

from nasfpn_tf import config
from nasfpn_tf.modeling import cost, detector, postprocess
from tests import testing
from tests.modeling.backbones import tiny  # noqa: F401  (registers the backbone)

OUTPUTS = {
  'cls_outputs',
  'box_outputs',
  'detection_boxes',
  'detection_scores',
  'detection_classes',
  'num_detections',
}


def _config(**overrides):
  """A small detector: a backbone of four convolutions, levels 3..5, one narrow pyramid."""
  model = config.Detector(
    num_classes=4,
    input_size=[64, 96, 3],
    min_level=3,
    max_level=5,
    backbone={'type': 'tiny', 'tiny': {'num_filters': 8}},
    decoder={'type': 'feature_pyramid', 'feature_pyramid': {'num_repeats': 1, 'num_filters': 16}},
    head={'num_convs': 1},
    anchor={'num_scales': 1, 'aspect_ratios': [1.0, 2.0]},
  )
  model.override(overrides)
  return model


def _images(batch=2, seed=0):
  return tf.random.stateless_normal([batch, 64, 96, 3], [seed, 1])


@pytest.fixture(scope='module')
def model():
  return detector.build_detector(_config())


def test_outputs_are_those_of_model_garden(model):
  outputs = model(_images(), image_shape=tf.constant([[64.0, 96.0], [60.0, 90.0]]), training=False)
  assert set(outputs) == OUTPUTS
  assert outputs['cls_outputs']['3'].shape == (2, 8, 12, 2 * 4)
  assert outputs['box_outputs']['5'].shape == (2, 2, 3, 2 * 4)
  assert outputs['detection_boxes'].shape == (2, 100, 4)
  assert set(model(_images(), training=True)) == {'cls_outputs', 'box_outputs'}


def test_detections_are_labels_of_objects_inside_the_image(model):
  found = detector.build_detector(_config(detection_generator={'pre_nms_score_threshold': 0.0}))
  found.set_weights(model.get_weights())
  outputs = found(_images(), image_shape=tf.constant([[64.0, 96.0], [40.0, 50.0]]), training=False)
  num = outputs['num_detections'].numpy()
  assert (num > 5).all()
  for image, size in enumerate([(64, 96), (40, 50)]):
    boxes = outputs['detection_boxes'][image, : num[image]].numpy()
    assert set(outputs['detection_classes'][image, : num[image]].numpy()) <= {1, 2, 3}
    assert boxes.min() >= 0 and boxes[:, [0, 2]].max() <= size[0] and boxes[:, [1, 3]].max() <= size[1]


def test_variables_exist_and_the_configuration_is_left_alone():
  model_config = _config()
  before = copy.deepcopy(model_config.as_dict())
  built = detector.build_detector(model_config)
  assert model_config.as_dict() == before
  num = cost.count_params(built)
  assert num == built.count_params() > 0
  built(_images(), training=False)
  built(_images(), training=True)
  assert cost.count_params(built) == num, 'a call made more variables'


@pytest.mark.parametrize(('head_filters', 'expected'), [(0, 16), (24, 24)])
def test_the_head_is_as_wide_as_the_pyramid_unless_told(head_filters, expected):
  built = detector.build_detector(_config(head={'num_filters': head_filters}))
  assert built.head.get_config()['num_filters'] == expected


@pytest.mark.parametrize(('activation', 'function'), [('relu6', tf.nn.relu6), ('swish', tf.nn.silu)])
def test_the_activation_reaches_pyramid_and_head(activation, function):
  built = detector.build_detector(_config(norm_activation={'activation': activation}))
  cell = built.decoder.stages[0].cells[0]
  sides = [64 >> level for level in cell.get_config()['input_levels']]
  # Large enough that ReLU6 clips.
  features = [10.0 * tf.random.stateless_normal([1, side, side, 16], [side, 1]) for side in sides]
  testing.assert_close(cell(features), cell.conv_norm(function(cell._merge(features))), 1e-5)
  assert built.head.get_config()['activation'] == activation


def test_the_regularizer_reaches_all_three_parts():
  built = detector.build_detector(_config(), tf_keras.regularizers.l2(1e-4))
  for part in built.checkpoint_items.values():
    assert part.losses and all(float(loss) >= 0 for loss in part.losses)
  assert not detector.build_detector(_config()).losses


def test_a_backbone_checkpoint_of_model_garden_loads(tmp_path):
  model = detector.build_detector(_config(backbone={'type': 'resnet', 'resnet': {'model_id': 10}}))
  backbone = backbones.ResNet(10, norm_momentum=0.99, norm_epsilon=0.001)
  for variable in backbone.variables:
    variable.assign_add(tf.ones_like(variable))
  path = tf.train.Checkpoint(backbone=backbone).save(tmp_path / 'mg')
  status = tf.train.Checkpoint(backbone=model.backbone).read(path)
  status.expect_partial().assert_existing_objects_matched()
  np.testing.assert_array_equal(model.backbone.variables[0], backbone.variables[0])


@pytest.mark.parametrize('num_replicas', [1, 2])
def test_batch_norm_is_synchronised_only_between_replicas(monkeypatch, num_replicas):
  strategy = types.SimpleNamespace(num_replicas_in_sync=num_replicas)
  monkeypatch.setattr(detector.tf.distribute, 'get_strategy', lambda: strategy)
  built = detector.build_detector(_config(norm_activation={'use_sync_bn': True}))
  norms = [layer for layer in built.submodules if hasattr(layer, 'moving_variance')]
  assert len(norms) > 10 and {layer.synchronized for layer in norms} == {num_replicas == 2}


@pytest.mark.parametrize(
  'overrides',
  [
    {'decoder': {'type': 'fpn', 'fpn': {'num_filters': 16}}},
    {
      'backbone': {'type': 'spinenet', 'spinenet': {'model_id': '49S', 'max_level': 5}},
      'decoder': {'type': 'identity'},
      'input_size': [128, 128, 3],
    },
    {'backbone': {'type': 'applications', 'applications': {'name': 'mobilenet_v3_small'}}},
    {'min_level': 2},
  ],
)
def test_other_backbones_decoders_and_levels_build(overrides):
  built = detector.build_detector(_config(**overrides))
  variables = len(built.variables)
  outputs = built(tf.ones([2, *built.backbone.input_shape[1:]]), training=False)
  assert outputs['detection_boxes'].shape == (2, 100, 4)
  assert len(built.variables) == variables and built.head.built, 'all variables exist once the detector is built'
  assert sorted(outputs['cls_outputs']) == [str(level) for level in range(built.get_config()['min_level'], 6)]


@pytest.mark.parametrize(
  'backbone',
  [
    {'type': 'mobilenet', 'mobilenet': {'model_id': 'MobileNetV2', 'filter_size_scale': 0.25}},
    {'type': 'efficientnet', 'efficientnet': {'model_id': 'b0'}},
  ],
  ids=lambda backbone: backbone['type'],
)
@pytest.mark.parametrize(
  'decoder', [{'type': 'feature_pyramid'}, {'type': 'ssd', 'ssd': {'extra_filters': [8]}}], ids=lambda d: d['type']
)
def test_mobile_networks_of_model_garden_end_at_their_last_level(backbone, decoder):
  """They hand out their classifier's input as level 6, at the size of level 5."""
  overrides = {'backbone': backbone, 'decoder': decoder, 'head': {'share_level_convs': decoder['type'] != 'ssd'}}
  built = detector.build_detector(_config(max_level=6, input_size=[64, 128, 3], **overrides))
  features = built.backbone(tf.ones([1, 64, 128, 3]))
  assert features['6'].shape[1:3] == features['5'].shape[1:3] == (2, 4)
  outputs = built(tf.ones([1, 64, 128, 3]), training=True)['cls_outputs']
  sizes = {level: tuple(output.shape[1:3]) for level, output in outputs.items()}
  assert sizes == {'3': (8, 16), '4': (4, 8), '5': (2, 4), '6': (1, 2)}
  copy = type(built.decoder).from_config(built.decoder.get_config())
  assert copy(features)['6'].shape == built.decoder(features)['6'].shape


@pytest.mark.parametrize('nms_version', ['v1', 'v2', 'batched'])
def test_the_nms_of_model_garden_stays_selectable(nms_version):
  built = detector.build_detection_generator(_config(detection_generator={'nms_version': nms_version}))
  assert isinstance(built, mg_detection_generator.MultilevelDetectionGenerator)
  assert built.get_config()['nms_version'] == nms_version


def test_post_processing_follows_the_configuration():
  options = {'pre_nms_top_k': 77, 'max_num_detections': 9, 'nms_iou_threshold': 0.3, 'use_class_agnostic_nms': True}
  built = detector.build_detection_generator(_config(detection_generator=options))
  assert isinstance(built, postprocess.DetectionGenerator)
  assert options.items() <= built.get_config().items()


def test_mixed_bfloat16_detects_in_float32():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    built = detector.build_detector(_config(detection_generator={'pre_nms_score_threshold': 0.0}))
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  assert {v.dtype for v in built.trainable_variables} == {tf.float32}
  outputs = built(_images(), training=False)
  assert outputs['cls_outputs']['3'].dtype == tf.bfloat16
  assert outputs['detection_boxes'].dtype == outputs['detection_scores'].dtype == tf.float32
  assert np.isfinite(outputs['detection_boxes']).all() and (outputs['num_detections'].numpy() > 0).all()


def test_a_separable_detector_learns_where_the_bright_squares_are():
  tf_keras.utils.set_random_seed(0)
  built = detector.build_detector(
    _config(head={'use_separable_conv': True}, decoder={'feature_pyramid': {'use_separable_conv': True}})
  )
  squares = tf.cast(tf.random.stateless_uniform([4, 8, 12, 1], [0, 3]) < 0.2, tf.float32)
  images = tf.tile(tf.image.resize(4.0 * squares - 1.0, [64, 96], method='nearest'), [1, 1, 1, 3])
  targets = tf.tile(squares, [1, 1, 1, 2 * 4])  # Of level 3, whose cells are the squares.
  optimizer = tf_keras.optimizers.Adam(1e-2)

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      logits = built(images, training=True)['cls_outputs']['3']
      loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))
    variables = built.trainable_variables
    # The box tower has no part in this loss.
    gradients = [(g, v) for g, v in zip(tape.gradient(loss, variables), variables, strict=True) if g is not None]
    optimizer.apply_gradients(gradients)
    return loss

  first = float(step())
  for _ in range(30):
    last = float(step())
  assert last < 0.3 * first


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'num_classes': 1}, 'model.num_classes is 1.*num_classes 2'),
    ({'num_classes': 0}, 'model.num_classes is 0'),
    ({'num_classes': '4'}, "model.num_classes must be an integer, not '4'"),
    ({'input_size': [64, 100, 3]}, 'width 100 is not a multiple of 32, the stride of level 5.*nearest is 96'),
    ({'input_size': [16, 96, 3]}, 'height 16 is not a multiple of 32.*nearest is 32'),
    ({'backbone': {'type': 'spinenet'}}, 'height 64 is not a multiple of 128, the stride of spinenet.*nearest is 128'),
    ({'input_size': [64, 96]}, r'must be \[height, width, 3\], not \[64, 96\]'),
    ({'input_size': [64, 96, 1]}, r'must be \[height, width, 3\]'),
    ({'input_size': '64x96'}, "model.input_size must be a list, each element an integer, not '64x96'"),
    ({'min_level': 5}, 'min_level 5 and model.max_level 5 leave no range'),
    ({'max_level': 10**9}, 'max_level 1000000000 is more than 20'),
    ({'min_level': 1}, 'levels 2, 3, 4, 5.*needs level 1'),
    ({'backbone': {'type': 'resnt'}}, "model.backbone.type 'resnt' is unknown; did you mean .*'resnet'"),
    ({'decoder': {'type': 'feature_piramid'}}, "did you mean 'feature_pyramid'"),
    ({'decoder': {'type': None}}, 'model.decoder.type None is unknown'),
    ({'decoder': {'feature_pyramid': {'num_repeats': 0}}}, 'decoder.feature_pyramid.num_repeats is 0.*at least 1'),
    ({'decoder': {'feature_pyramid': {'dropblock_size': 0}}}, 'feature_pyramid.dropblock_size is 0.*at least 1'),
    ({'decoder': {'feature_pyramid': {'dropblock_ramp_steps': -1}}}, 'dropblock_ramp_steps is -1.*at least 0'),
    ({'decoder': {'feature_pyramid': {'dropblock_keep_prob': 0.0}}}, 'dropblock_keep_prob is 0.0.*above 0'),
    ({'decoder': {'feature_pyramid': {'dropblock_keep_prob': 1.5}}}, 'dropblock_keep_prob is 1.5.*at most 1'),
    ({'decoder': {'feature_pyramid': {'num_filters': 'wide'}}}, 'feature_pyramid.num_filters must be an integer'),
    ({'decoder': {'feature_pyramid': {'topology': 'nas_fnp'}}}, "did you mean 'nas_fpn'"),
    ({'decoder': {'feature_pyramid': {'use_separable_conv': 1}}}, 'use_separable_conv must be true or false, not 1'),
    ({'decoder': 'fpn'}, "model.decoder must be a section with keys of Decoder, not 'fpn'"),
    ({'norm_activation': {'activation': 'rleu'}}, "activation 'rleu' is unknown"),
    ({'norm_activation': {'norm_momentum': '0.9'}}, "norm_momentum must be a number, not '0.9'"),
    ({'head': {'num_convs': -1}}, 'model.head.num_convs is -1; it must be at least 0'),
    ({'anchor': {'aspect_ratios': []}}, 'one aspect ratio is needed'),
    ({'anchor': {'aspect_ratios': [1.0, 'x']}}, 'aspect_ratios must be a list, each element a number'),
    ({'detection_generator': {'nms_version': 'class_ofset'}}, "did you mean 'class_offset'"),
    ({'detection_generator': {'nms_version': 'v2', 'box_coder_plus_one': True}}, "needs nms_version 'class_offset'"),
    ({'detection_generator': {'nms_version': 'v2', 'pre_nms_per_level': True}}, "needs nms_version 'class_offset'"),
    ({'detection_generator': {'pre_nms_per_class': True, 'pre_nms_per_level': True}}, 'exclude each other'),
    (
      {
        'input_size': [128, 128, 3],
        'backbone': {'type': 'spinenet_mobile', 'spinenet_mobile': {'se_inner_activation': 'swoosh'}},
      },
      r"spinenet_mobile\.se_inner_activation 'swoosh' is unknown",
    ),
    ({'detection_generator': {'nms_iou_threshold': 50.0}}, 'nms_iou_threshold is 50.0; it must be between 0 and 1'),
    ({'backbone': {'type': 'applications', 'applications': {'name': 'resnet51'}}}, "did you mean 'resnet50'"),
    ({'backbone': {'type': 'applications', 'applications': {'alpha': -1.0}}}, 'applications.alpha is -1.0.*above 0'),
    (
      {'backbone': {'type': 'resnet', 'resnet': {'model_id': 51}}},
      "model.backbone.resnet.model_id 51 is unknown.*'50'.*known are 10, 18",
    ),
    (
      {'backbone': {'type': 'efficientnet', 'efficientnet': {'model_id': 'b9'}}},
      "model.backbone.efficientnet.model_id 'b9' is unknown; did you mean .*known are b0, b1",
    ),
    (
      {'backbone': {'type': 'mobilenet', 'mobilenet': {'model_id': 'MobilNetV2'}}},
      "'MobilNetV2' is unknown; did you mean 'MobileNetV2'",
    ),
  ],
)
def test_a_wrong_value_is_one_readable_error(overrides, message):
  model_config = _config()
  # As a YAML file or an override sets it: without a check of types.
  model_config.override(overrides)
  with pytest.raises(ValueError, match=message) as error:
    detector.build_detector(model_config)
  assert '\n' not in str(error.value) and not re.search(r'0x[0-9a-f]+', str(error.value))


def test_the_model_is_model_gardens_and_its_parts_are_checkpointed(model, tmp_path):
  assert isinstance(model, retinanet_model.RetinaNetModel)
  assert set(model.checkpoint_items) == {'backbone', 'decoder', 'head'}
  path = tf.train.Checkpoint(**model.checkpoint_items).save(tmp_path / 'items')
  other = detector.build_detector(_config())
  tf.train.Checkpoint(**other.checkpoint_items).restore(path).assert_existing_objects_matched()
  testing.assert_close(other(_images(), training=False), model(_images(), training=False), 1e-6)
