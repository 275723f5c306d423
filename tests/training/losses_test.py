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

"""The losses against Model Garden's, and what they are made for: no overflow, no anchor counted that has no weight."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.configs import retinanet as retinanet_config
from official.vision.tasks import retinanet

from nasfpn_tf.training import losses

NUM_CLASSES = 5
SHAPES = {'3': (4, 4), '4': (2, 2)}
ANCHORS = 3


def batch(seed=0, ignored=True):
  rng = np.random.default_rng(seed)
  outputs = {'cls_outputs': {}, 'box_outputs': {}}
  labels = {'cls_targets': {}, 'box_targets': {}}
  total = 0
  for level, (height, width) in SHAPES.items():
    total += height * width * ANCHORS
    outputs['cls_outputs'][level] = tf.constant(rng.normal(0, 3, (2, height, width, ANCHORS * NUM_CLASSES)), tf.float32)
    outputs['box_outputs'][level] = tf.constant(rng.normal(0, 0.2, (2, height, width, ANCHORS * 4)), tf.float32)
    labels['cls_targets'][level] = tf.constant(rng.integers(-1, NUM_CLASSES, (2, height, width, ANCHORS)), tf.int32)
    labels['box_targets'][level] = tf.constant(rng.normal(0, 0.2, (2, height, width, ANCHORS * 4)), tf.float32)
  labels['cls_weights'] = tf.constant(rng.integers(0 if ignored else 1, 2, (2, total)), tf.float32)
  labels['box_weights'] = tf.constant(rng.integers(0, 2, (2, total)), tf.float32)
  return outputs, labels


def ours(outputs, labels, by_image=False):
  return losses.detection_losses(
    outputs['cls_outputs'],
    outputs['box_outputs'],
    labels,
    NUM_CLASSES,
    focal_alpha=0.25,
    focal_gamma=1.5,
    huber_delta=0.1,
    by_image=by_image,
  )


def model_garden(outputs, labels):
  config = retinanet_config.RetinaNetTask(model=retinanet_config.RetinaNet(num_classes=NUM_CLASSES))
  _, cls_loss, box_loss, _ = retinanet.RetinaNetTask(config).build_losses(outputs, labels)
  return cls_loss, box_loss


@pytest.mark.parametrize('seed', range(3))
def test_equals_model_garden(seed):
  outputs, labels = batch(seed)
  np.testing.assert_allclose(ours(outputs, labels), model_garden(outputs, labels), rtol=1e-5)


def test_gradients_equal_model_garden():
  outputs, labels = batch()
  logits = list(outputs['cls_outputs'].values()) + list(outputs['box_outputs'].values())
  gradients = []
  for loss_fn in (ours, model_garden):
    with tf.GradientTape() as tape:
      tape.watch(logits)
      total = tf.add_n(list(loss_fn(outputs, labels)))
    gradients.append(tape.gradient(total, logits))
  for a, b in zip(*gradients, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


def test_image_by_image_is_the_same():
  outputs, labels = batch()
  logits = list(outputs['cls_outputs'].values())
  found = []
  for by_image in (False, True):
    with tf.GradientTape() as tape:
      tape.watch(logits)
      loss, _ = tf.function(ours)(outputs, labels, by_image)
    found.append([loss, *tape.gradient(loss, logits)])
  for alone, together in zip(*found, strict=True):
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize('logit', [-200.0, 200.0])
@pytest.mark.parametrize('own', [0, 1])
def test_extreme_logits_stay_finite(logit, own):
  x = tf.fill([1, 1, 2], logit)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss = losses.focal_loss(x, tf.constant([[own]]), tf.ones([1, 1]), 0.25, 1.5)
  assert np.isfinite(loss) and loss >= 0
  assert np.all(np.isfinite(tape.gradient(loss, x)))


def test_an_image_without_objects_is_finite_and_has_no_box_loss():
  outputs, labels = batch(ignored=False)
  labels['cls_targets'] = tf.nest.map_structure(lambda t: -tf.ones_like(t), labels['cls_targets'])
  labels['box_weights'] = tf.zeros_like(labels['box_weights'])
  cls_loss, box_loss = ours(outputs, labels)
  assert np.isfinite(cls_loss) and cls_loss > 0
  assert box_loss == 0


def test_anchors_without_weight_do_not_count():
  outputs, labels = batch()
  before = ours(outputs, labels)
  first = next(iter(SHAPES))
  hidden = np.asarray(labels['cls_weights'])[:, 0] == 0
  assert hidden.any(), 'the batch needs an anchor without weight'
  changed = np.array(labels['cls_targets'][first])
  changed[hidden, 0, 0, 0] = (changed[hidden, 0, 0, 0] + 2) % NUM_CLASSES
  labels['cls_targets'][first] = tf.constant(changed)
  np.testing.assert_array_equal(before[0], ours(outputs, labels)[0])
