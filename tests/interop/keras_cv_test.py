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

from nasfpn_tf import topology
from nasfpn_tf.interop.keras_cv import KerasCVFeaturePyramid
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from tests import testing

SIZE = 128


def _backbone():
  """A few strided convolutions with what keras-cv asks of a backbone: the layer name of each level."""
  inputs = tf_keras.Input([SIZE, SIZE, 3])
  x = tf_keras.layers.Rescaling(1 / 255)(inputs)
  levels = {}
  for level in range(1, 6):
    x = tf_keras.layers.Conv2D(8, 3, strides=2, padding='same', activation='relu', name=f'level_{level}')(x)
    levels[f'P{level}'] = f'level_{level}'
  backbone = tf_keras.Model(inputs, x)
  backbone.pyramid_level_inputs = levels
  return backbone


def test_keeps_the_layer_contract():
  rng = np.random.default_rng(0)
  testing.run_layer_test(
    KerasCVFeaturePyramid,
    {'pyramid': FeaturePyramid('fpn', num_repeats=1, num_filters=4).get_config()},
    {f'P{level}': rng.normal(size=[2, SIZE >> level, SIZE >> level, 8]).astype('float32') for level in (3, 4, 5)},
    tuple((2, SIZE >> level, SIZE >> level, 4) for level in range(3, 8)),
    check_bfloat16=False,  # The dtype is the pyramid's.
  )


@pytest.mark.slow
def test_trains_and_predicts_as_the_neck_of_keras_cvs_retinanet():
  keras_cv = pytest.importorskip('keras_cv')
  tf_keras.utils.set_random_seed(0)
  pyramid = FeaturePyramid(topology.NAS_FPN, num_repeats=1, num_filters=8)
  model = keras_cv.models.RetinaNet(
    backbone=_backbone(),
    num_classes=2,
    bounding_box_format='xyxy',
    feature_pyramid=KerasCVFeaturePyramid(pyramid),
  )
  model.compile(
    classification_loss='focal',
    box_loss='smoothl1',
    optimizer=tf_keras.optimizers.SGD(1.0, global_clipnorm=10.0),
    jit_compile=False,
  )
  images = np.random.default_rng(0).uniform(0, 255, [2, SIZE, SIZE, 3]).astype('float32')
  labels = {
    'boxes': tf.constant([[[10.0, 10.0, 60.0, 70.0]], [[30.0, 20.0, 120.0, 100.0]]]),
    'classes': tf.constant([[0.0], [1.0]]),
  }
  before = [w.numpy() for w in pyramid.trainable_weights]
  history = model.fit(images, labels, epochs=1, verbose=0)
  assert np.isfinite(history.history['loss']).all()
  assert len(pyramid.stages[0].trainable_weights) == 7 * 4
  moved = [np.abs(w.numpy() - b).max() for w, b in zip(pyramid.trainable_weights, before, strict=True)]
  kernels = [m for m, w in zip(moved, pyramid.trainable_weights, strict=True) if 'kernel' in w.name]
  assert min(kernels) > 0, 'the step reaches every convolution of the pyramid'
  outputs = model(images, training=False)
  num_anchors = 9 * sum((SIZE >> level) ** 2 for level in range(3, 8))
  assert outputs['classification'].shape == (2, num_anchors, 2)
  assert outputs['box'].shape == (2, num_anchors, 4)
  assert np.isfinite(outputs['box']).all()
