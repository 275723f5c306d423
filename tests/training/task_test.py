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

"""The task: what it freezes, what its losses are made of, and convolutions that it refuses to train."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.training import onednn, params
from nasfpn_tf.training.task import DetectionTask, freeze_batch_norm
from tests.modeling.backbones import tiny  # noqa: F401  (registers the backbone)


def task_config(**task):
  model = {
    'num_classes': 3,
    'input_size': [128, 128, 3],
    'backbone': {'type': 'tiny', 'tiny': {'num_filters': 8}},
    'decoder': {'feature_pyramid': {'num_repeats': 1, 'num_filters': 16}},
    'head': {'num_convs': 1},
  }
  return params.load_params(params_override={'task': {'model': model, **task}}).task


def norm_weights(model):
  return [v for v in model.trainable_variables if 'gamma' in v.name or 'beta' in v.name]


def test_frozen_batch_norms_keep_weights_and_statistics():
  model = DetectionTask(task_config(freeze_batch_norm=True)).build_model()
  assert not norm_weights(model.backbone) and norm_weights(model.decoder)
  assert any('kernel' in v.name for v in model.backbone.trainable_variables)
  statistics = [v for v in model.backbone.non_trainable_variables if 'moving' in v.name]
  before = [v.numpy() for v in statistics]
  images = tf.random.stateless_normal([2, 128, 128, 3], [1, 2])
  trained = model.backbone(images, training=True)
  for v, b in zip(statistics, before, strict=True):
    np.testing.assert_array_equal(v, b)
  np.testing.assert_allclose(trained['5'], model.backbone(images, training=False)['5'], atol=1e-5)


def test_frozen_backbone():
  model = DetectionTask(task_config(freeze_backbone=True)).build_model()
  assert not model.backbone.trainable_variables
  assert model.decoder.trainable_variables and model.head.trainable_variables


def test_synchronised_batch_norm_is_frozen_too():
  for norm in (
    tf_keras.layers.BatchNormalization(),
    tf_keras.layers.BatchNormalization(synchronized=True),
    tf_keras.layers.experimental.SyncBatchNormalization(),
  ):
    model = tf_keras.Sequential([tf_keras.Input([4]), tf_keras.Sequential([tf_keras.layers.Dense(2), norm])])
    freeze_batch_norm(model)
    assert len(model.trainable_variables) == 2


def test_total_loss_is_the_sum_of_its_parts():
  config = task_config(losses={'l2_weight_decay': 1e-2})
  task = DetectionTask(config)
  model = task.build_model()
  # The recipe's weight decay is 0.5 * sum(w**2), of kernels alone.
  decayed = sum(float(tf.nn.l2_loss(v)) for v in model.trainable_variables if 'kernel' in v.name)
  auxiliary = model.losses
  assert float(tf.add_n(auxiliary)) == pytest.approx(1e-2 * decayed, rel=1e-4)
  anchors = {'3': 16 * 16 * 9, '4': 8 * 8 * 9}
  rng = np.random.default_rng(0)
  sides = {'3': 16, '4': 8}
  outputs = {
    'cls_outputs': {k: tf.constant(rng.normal(size=[1, s, s, 27]), tf.float32) for k, s in sides.items()},
    'box_outputs': {k: tf.constant(rng.normal(size=[1, s, s, 36]), tf.float32) for k, s in sides.items()},
  }
  labels = {
    'cls_targets': {k: tf.constant(rng.integers(-1, 3, [1, s, s, 9])) for k, s in sides.items()},
    'box_targets': {k: tf.constant(rng.normal(size=[1, s, s, 36]), tf.float32) for k, s in sides.items()},
    'cls_weights': tf.ones([1, sum(anchors.values())]),
    'box_weights': tf.ones([1, sum(anchors.values())]),
  }
  total, cls_loss, box_loss, model_loss = task.build_losses(outputs, labels, auxiliary)
  assert float(model_loss) == pytest.approx(float(cls_loss + 50 * box_loss), rel=1e-6)
  assert float(total - model_loss) == pytest.approx(1e-2 * decayed, rel=1e-3)
  assert task.build_losses(outputs, labels)[0] == model_loss


def shortcut(channels, kernel_size=1, strides=2, trainable=True):
  layer = tf_keras.layers.Conv2D(4, kernel_size, strides, trainable=trainable, name='shortcut')
  layer.build([None, 8, 8, channels])
  return types.SimpleNamespace(submodules=[layer])


def test_a_narrow_shortcut_is_refused(monkeypatch):
  monkeypatch.delenv('TF_ENABLE_ONEDNN_OPTS', raising=False)
  with pytest.raises(ValueError, match=r'of 8 channels.*depth_multiplier.*TF_ENABLE_ONEDNN_OPTS=0'):
    onednn.check_shortcuts(shortcut(8))
  for fine in (shortcut(16), shortcut(8, strides=1), shortcut(8, kernel_size=3), shortcut(8, trainable=False)):
    onednn.check_shortcuts(fine)
  monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '0')
  onednn.check_shortcuts(shortcut(8))


def save_checkpoint(model, directory):
  return tf.train.Checkpoint(**model.checkpoint_items).write(str(directory / 'ckpt-1'))


def test_starting_from_the_parts_that_fit(tmp_path):
  pretrained = DetectionTask(task_config()).build_model()
  path = save_checkpoint(pretrained, tmp_path)
  for modules in (['backbone', 'decoder'], ['backbone']):
    config = task_config(init_checkpoint=path, init_checkpoint_modules=modules)
    config.model.num_classes = 5
    model = DetectionTask(config).build_model()
    head_before = [v.numpy() for v in model.head.variables]
    DetectionTask(config).initialize(model)
    for part in modules:
      for a, b in zip(getattr(model, part).variables, getattr(pretrained, part).variables, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.head.variables, head_before, strict=True):
      np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
  path = save_checkpoint(DetectionTask(task_config()).build_model(), tmp_path)
  config = task_config(init_checkpoint=path)
  config.model.num_classes = 5
  with pytest.raises(ValueError, match=r'does not fit the model.*init_checkpoint_modules') as error:
    DetectionTask(config).initialize(DetectionTask(config).build_model())
  assert '\n' not in str(error.value)
  config = task_config(init_checkpoint=path, init_checkpoint_modules=['backbone'])
  config.model.backbone.get().num_filters = 16
  with pytest.raises(ValueError, match='does not fit the model'):
    DetectionTask(config).initialize(DetectionTask(config).build_model())
  config.init_checkpoint = str(tmp_path / 'missing')
  with pytest.raises(ValueError, match='missing'):
    DetectionTask(config).initialize(None)
