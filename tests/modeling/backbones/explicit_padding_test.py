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
from ai_edge_litert.interpreter import Interpreter
from official.vision.modeling.backbones import resnet

from nasfpn_tf import config
from nasfpn_tf.modeling import validation
from nasfpn_tf.modeling.backbones import explicit_padding


@pytest.mark.parametrize('model_id', [10, 50])
def test_pads_every_convolution_with_a_stride(model_id):
  backbone = resnet.ResNet(model_id, tf_keras.layers.InputSpec(shape=[None, 64, 64, 3]), depth_multiplier=0.0625)
  names = [v.name for v in backbone.variables]
  explicit_padding.pad_explicitly(backbone)
  assert [v.name for v in backbone.variables] == names
  strided = [c for layer in backbone.layers for c in explicit_padding.convolutions(layer) if c.strides != (1, 1)]
  # The stem, and in three groups a 3x3 convolution and the 1x1 of the shortcut, for which nothing is padded.
  assert sorted(c.kernel_size[0] for c in strided) == [1, 1, 1, 3, 3, 3, 7]
  for conv in strided:
    size = conv.kernel_size[0]
    x = np.random.default_rng(0).normal(size=[1, 8, 8, conv.kernel.shape[2]]).astype(np.float32)
    padded = np.pad(x, [(0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)])
    expected = tf.nn.conv2d(padded, conv.kernel, 2, 'VALID')
    np.testing.assert_allclose(conv(x), expected, atol=1e-5)
    if size > 1:
      assert np.abs(tf.nn.conv2d(x, conv.kernel, 2, 'SAME') - expected).max() > 1e-3


def _pools(number):
  images = tf_keras.Input([32, 32, 2])
  features = images
  for _ in range(number):
    features = tf_keras.layers.MaxPool2D(3, 2, padding='same')(features)
  return tf_keras.Model(images, features)


def test_pools_in_a_row_become_one():
  model = _pools(3)
  image = np.random.default_rng(0).normal(size=[1, 32, 32, 2]).astype(np.float32)
  before = model(image)
  explicit_padding.apply(model, explicit_padding.EXPLICIT)
  np.testing.assert_array_equal(model(image), tf.nn.max_pool2d(image, 5, 8, 'SAME'))
  assert np.abs(model(image) - before).max() > 0
  single = _pools(1)
  explicit_padding.apply(single, explicit_padding.EXPLICIT)
  np.testing.assert_array_equal(single(image), tf.nn.max_pool2d(image, 3, 2, 'SAME'))


def test_pool_pads_both_sides_as_in_pytorch_and_in_tflite():
  model = _pools(1)
  explicit_padding.apply(model, explicit_padding.PYTORCH)
  image = np.random.default_rng(0).uniform(size=[1, 32, 32, 2]).astype(np.float32)
  expected = tf.nn.max_pool2d(np.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)]), 3, 2, 'VALID')
  np.testing.assert_array_equal(model(image), expected)
  function = tf.function(model).get_concrete_function(tf.TensorSpec(image.shape))
  interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert())
  interpreter.allocate_tensors()
  interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
  interpreter.invoke()
  np.testing.assert_array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]['index']), expected)


def test_unknown_padding():
  model = config.Detector(num_classes=2, input_size=[256, 256, 3])
  model.backbone.resnet.padding = 'explicitly'
  with pytest.raises(ValueError, match=r"model\.backbone\.resnet\.padding 'explicitly' is unknown; .*explicit"):
    validation.check(model)


def test_pytorchs_padding_is_of_resnet_alone():
  model = config.Detector(num_classes=2, input_size=[256, 256, 3])
  model.backbone.type = 'spinenet'
  model.decoder.type = 'identity'
  model.backbone.spinenet.padding = 'pytorch'
  with pytest.raises(ValueError, match=r"model\.backbone\.spinenet\.padding 'pytorch' is unknown"):
    validation.check(model)
