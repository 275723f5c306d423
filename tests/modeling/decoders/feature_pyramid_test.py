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

import importlib

import numpy as np
import official.vision  # noqa: F401  (registers Model Garden's backbones)
import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory
from official.vision.configs import retinanet as retinanet_config
from official.vision.modeling import factory
from official.vision.modeling.decoders import factory as decoder_factory
from official.vision.ops import anchor
from official.vision.tasks import maskrcnn, retinanet

from nasfpn_tf import config, topology
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from nasfpn_tf.modeling.decoders import feature_pyramid

SIZE = 128
SPECS = {str(level): tf.TensorShape([None, SIZE >> level, SIZE >> level, 8 * level]) for level in range(2, 6)}


def _tiny(model_config, **pyramid):
  """Model Garden's config with our decoder and the smallest of its backbones."""
  model_config.input_size = [SIZE, SIZE, 3]
  model_config.num_classes = 3
  model_config.backbone.resnet.model_id = 18
  model_config.norm_activation.use_sync_bn = False
  model_config.decoder = config.Decoder(
    feature_pyramid=config.FeaturePyramid(**{'num_repeats': 1, 'num_filters': 8, **pyramid})
  )
  return model_config


def _train(task, model, labels):
  """One step of the task; returns its logs and which kernels of the pyramid moved."""
  # Fast, for the heads' last kernels start near zero and let little through.
  optimizer = tf_keras.optimizers.SGD(10.0)
  metrics = task.build_metrics(training=True)
  kernels = [w for w in model.decoder.trainable_weights if 'kernel' in w.name]
  before = [w.numpy() for w in kernels]
  images = tf.random.stateless_normal([2, SIZE, SIZE, 3], [1, 2])
  logs = task.train_step((images, labels), model, optimizer, metrics)
  moved = [np.abs(w.numpy() - b).max() > 0 for w, b in zip(kernels, before, strict=True)]
  return logs, moved


def test_config_becomes_a_pyramid():
  model_config = _tiny(
    retinanet_config.RetinaNet(min_level=2, max_level=6),
    topology='bifpn', num_repeats=3, num_filters=24, use_separable_conv=True, dropblock_keep_prob=0.9, dropblock_size=5,
    dropblock_ramp_steps=9,
  )  # fmt: skip
  model_config.norm_activation.activation = 'swish'
  model_config.norm_activation.norm_momentum = 0.95
  model_config.norm_activation.use_sync_bn = True
  regularizer = tf_keras.regularizers.L2(1e-4)
  pyramid = decoder_factory.build_decoder(SPECS, model_config, l2_regularizer=regularizer)
  assert isinstance(pyramid, FeaturePyramid)
  expected = FeaturePyramid(
    topology.bifpn(2, 6), num_repeats=3, num_filters=24, use_separable_conv=True, activation='swish', use_sync_bn=True,
    norm_momentum=0.95, norm_epsilon=model_config.norm_activation.norm_epsilon, kernel_regularizer=regularizer,
    dropblock_keep_prob=0.9, dropblock_size=5, dropblock_ramp_steps=9, backbone_max_level=5, name='feature_pyramid',
  )  # fmt: skip
  assert pyramid.get_config() == expected.get_config()


def test_topology_may_be_inline_json():
  spec = topology.PyramidSpec('mine', 3, 7, topology.panet().cells)
  pyramid = decoder_factory.build_decoder(SPECS, _tiny(retinanet_config.RetinaNet(), topology=spec.to_json()))
  assert pyramid.spec == spec


@pytest.mark.parametrize(
  ('topology_ref', 'levels', 'message'),
  [
    ('nas_fpm', (3, 7), r"did you mean 'nas_fpn'"),
    (topology.NAS_FPN.to_json(), (3, 6), r"topology 'nas_fpn' has levels 3..7, but 3..6 are needed"),
    ('nas_fpn', (1, 5), r"level '1' is missing.*has '2', '3', '4', '5'"),
  ],
)
def test_what_does_not_fit_is_explained(topology_ref, levels, message):
  model_config = _tiny(retinanet_config.RetinaNet(min_level=levels[0], max_level=levels[1]), topology=topology_ref)
  with pytest.raises(ValueError, match=message):
    decoder_factory.build_decoder(SPECS, model_config)


def test_decoder_config_of_model_garden_is_explained():
  model_config = retinanet_config.RetinaNet()
  model_config.decoder.type = 'feature_pyramid'
  with pytest.raises(ValueError, match=r'make the model.s decoder a nasfpn_tf.config.Decoder'):
    decoder_factory.build_decoder(SPECS, model_config)


def test_importing_twice_is_harmless_but_a_foreign_decoder_of_that_name_is_not(monkeypatch):
  importlib.reload(feature_pyramid)
  monkeypatch.setitem(decoder_factory._REGISTERED_DECODER_CLS, 'feature_pyramid', lambda **kwargs: None)
  with pytest.raises(KeyError, match='feature_pyramid'):
    importlib.reload(feature_pyramid)


def test_model_gardens_retinanet_trains_with_it():
  tf_keras.utils.set_random_seed(0)
  model_config = _tiny(retinanet_config.RetinaNet())
  model_config.head.num_convs = 1
  model_config.head.num_filters = 8
  task = retinanet.RetinaNetTask(retinanet_config.RetinaNetTask(model=model_config))
  model = factory.build_retinanet(tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3]), model_config)
  sides = {str(level): SIZE >> level for level in range(3, 8)}
  num_anchors = 9 * sum(side**2 for side in sides.values())
  labels = {
    'cls_targets': {level: tf.ones([2, side, side, 9], tf.int32) for level, side in sides.items()},
    'box_targets': {level: tf.zeros([2, side, side, 36]) for level, side in sides.items()},
    'cls_weights': tf.ones([2, num_anchors]),
    'box_weights': tf.ones([2, num_anchors]),
    'image_info': tf.tile(tf.constant([[[SIZE, SIZE], [SIZE, SIZE], [1, 1], [0, 0]]], tf.float32), [2, 1, 1]),
  }
  logs, moved = _train(task, model, labels)
  assert np.isfinite(logs['loss'])
  assert len(moved) == 3 + 7 and all(moved)
  assert 'decoder' in model.checkpoint_items


@pytest.mark.parametrize('residual', [False, True])
@pytest.mark.slow
def test_model_gardens_mask_rcnn_experiment_trains_with_it(residual):
  tf_keras.utils.set_random_seed(0)
  experiment = exp_factory.get_exp_config('maskrcnn_resnetfpn_coco')
  model_config = _tiny(experiment.task.model)
  model_config.decoder.feature_pyramid.residual = residual
  for head in (model_config.rpn_head, model_config.detection_head, model_config.mask_head):
    head.num_convs, head.num_filters = 1, 8
  model_config.detection_head.fc_dims = 16
  model_config.roi_sampler.num_sampled_rois = 8
  model_config.mask_sampler.num_sampled_masks = 4
  model_config.roi_generator.num_proposals = 16
  task = maskrcnn.MaskRCNNTask(experiment.task)
  model = task.build_model()
  assert isinstance(model.decoder, FeaturePyramid) and 'decoder' in model.checkpoint_items
  sides = {str(level): SIZE >> level for level in range(2, 7)}
  labels = {
    'anchor_boxes': {
      level: tf.tile(boxes[tf.newaxis], [2, 1, 1, 1])
      for level, boxes in anchor.build_anchor_generator(
        2, 6, model_config.anchor.num_scales, model_config.anchor.aspect_ratios, model_config.anchor.anchor_size
      )((SIZE, SIZE)).items()
    },
    'image_info': tf.tile(tf.constant([[[SIZE, SIZE], [SIZE, SIZE], [1, 1], [0, 0]]], tf.float32), [2, 1, 1]),
    'rpn_score_targets': {level: tf.ones([2, side, side, 3], tf.int32) for level, side in sides.items()},
    'rpn_box_targets': {level: tf.ones([2, side, side, 12]) for level, side in sides.items()},
    'gt_boxes': tf.constant([[[10.0, 10.0, 60.0, 70.0]], [[30.0, 20.0, 120.0, 100.0]]]),
    'gt_classes': tf.constant([[1], [2]]),
    'gt_masks': tf.ones([2, 1, 112, 112]),
  }
  logs, moved = _train(task, model, labels)
  assert np.isfinite(logs['loss'])
  # Behind the scales of 0 of its output cells a residual stack's convolutions do not move in the first step.
  assert len(moved) == 4 + 7 and (any(moved) if residual else all(moved))
  assert all(stage.residual == residual for stage in model.decoder.stages)
