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

"""Tests of the module that SavedModels are made of."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.artifacts import signatures
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import module, source, verification
from nasfpn_tf.predict import read_image


@pytest.fixture(scope='module')
def detector(forms):
  """The trained detector."""
  return source.load(forms.model_dir)


@pytest.fixture(scope='module')
def exported(detector):
  """It, wrapped."""
  return module.DetectionModule(detector.model, detector.input_size)


def test_boxes_go_back_to_the_image():
  _, image_info = preprocess.letterbox(np.zeros([300, 600, 3], np.uint8), (128, 128))
  inside = tf.constant([[[0.0, 0.0, 64.0, 128.0], [32.0, 32.0, 48.0, 64.0], [-5.0, 10.0, 90.0, 300.0]]])
  boxes = module.to_original(inside, image_info[tf.newaxis])[0].numpy()
  np.testing.assert_allclose(boxes[0], [0, 0, 300, 600], atol=1e-3)
  np.testing.assert_allclose(boxes[1], [150, 150, 225, 300], atol=1e-3)
  np.testing.assert_allclose(boxes[2], [0, 46.875, 300, 600], atol=1e-3)  # Clipped to the image, not to the input.


def test_unknown_input_type(exported):
  with pytest.raises(ValueError, match='image_bytes, image_tensor, tf_example'):
    exported.signatures('tflite')


def test_encoded_images_of_several_sizes_in_one_request(exported, forms):
  first = read_image(str(forms.images / '0.jpg'))
  second = np.ascontiguousarray(read_image(str(forms.images / '1.jpg'))[:90])
  encoded = tf.constant([tf.io.encode_png(image).numpy() for image in (first, second)])
  both = exported.detect_bytes(encoded)
  for row, image in enumerate((first, second)):
    alone = signatures.detections_of(exported.detect(image[np.newaxis]))
    together = signatures.detections_of(both, row)
    assert len(alone['scores'])
    np.testing.assert_allclose(together['boxes'], alone['boxes'], atol=1e-3)
    np.testing.assert_allclose(together['scores'], alone['scores'], atol=1e-5)
    np.testing.assert_array_equal(together['classes'], alone['classes'])
  np.testing.assert_array_equal(both['image_info'][:, 0], [[128, 128], [90, 128]])


def test_a_request_with_broken_images_names_them(exported):
  """Of several images only the broken ones are named, whether they come alone or in examples."""
  pixels = np.random.default_rng(0).integers(0, 255, [32, 32, 3], np.uint8)
  good, png = tf.io.encode_jpeg(pixels).numpy(), tf.io.encode_png(pixels).numpy()
  for run, wrap in ((exported.detect_bytes, lambda encoded: encoded), (exported.detect_examples, _example)):
    run = tf.function(run)
    for bad in (b'', b'<html>', good[:-2], good[:50], png[:-12], png[:30]):
      with pytest.raises(tf.errors.InvalidArgumentError, match=r'images \[1 3\] of the request .* are no whole JPEG'):
        run(tf.constant([wrap(encoded) for encoded in (good, bad, png, bad)]))
    assert len(run(tf.constant([wrap(good), wrap(png + b'more')]))['num_detections']) == 2
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'images \[1\] of the request'):
    run(tf.constant([_example(good), tf.train.Example().SerializeToString()]))  # An example without an image.


def _example(encoded):
  feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
  return tf.train.Example(features=tf.train.Features(feature={'image/encoded': feature})).SerializeToString()


def test_raw_outputs_lead_to_the_detections(exported, forms):
  image = read_image(str(forms.images / '0.jpg'))
  pixels, _ = preprocess.letterbox(image, (128, 128))
  raw = exported.raw(verification.to_pixels(pixels)[tf.newaxis])
  found = signatures.detections_of(exported.detect(image[np.newaxis]))
  best = np.unravel_index(np.argmax(raw['decoded_box_scores'][0]), raw['decoded_box_scores'].shape[1:])
  assert raw['decoded_box_scores'].shape == (1, 3069, 2)
  assert found['scores'][0] == pytest.approx(float(raw['decoded_box_scores'][0][best]), abs=1e-5)
  np.testing.assert_allclose(found['boxes'][0], np.clip(raw['decoded_boxes'][0, best[0]], 0, 128), atol=1e-3)
  np.testing.assert_allclose(tf.sigmoid(raw['class_logits']), raw['decoded_box_scores'], atol=1e-6)


def test_fixed_batch_is_in_the_signatures(detector):
  signatures = module.DetectionModule(detector.model, detector.input_size, batch_size=2).signatures('image_bytes')
  assert signatures['serving_default'] is signatures['image_bytes']
  assert signatures['image_bytes'].inputs[0].shape == (2,)
  assert signatures['raw'].inputs[0].shape == (2, 128, 128, 3)
  assert signatures['image_tensor'].structured_outputs['detection_boxes'].shape == (2, 100, 4)


def test_variable_tree_has_every_variable_and_no_layer(detector, exported):
  tracked = {id(v) for v in exported.variables}
  assert tracked == {id(v) for v in detector.model.variables}
  assert not any(isinstance(item, tf_keras.layers.Layer) for item in exported.submodules)
