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

"""Model Garden's preprocessing is the oracle of ours."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.ops import preprocess_ops

from nasfpn_tf.data.input import preprocess
from tests.data import synthetic


def test_normalize_is_model_gardens_for_integers_and_floats():
  image = synthetic.image(40, 50)
  expected = preprocess_ops.normalize_image(tf.constant(image))
  np.testing.assert_allclose(preprocess.normalize(image), expected, atol=1e-5)
  np.testing.assert_allclose(preprocess.normalize(image.astype(np.float32)), expected, atol=1e-5)
  np.testing.assert_allclose(preprocess.MEAN, preprocess_ops.MEAN_RGB)
  np.testing.assert_allclose(preprocess.STDDEV, preprocess_ops.STDDEV_RGB)


@pytest.mark.parametrize('size', [(128, 256), (300, 200), (77, 501), (40, 30), (33, 256)])
@pytest.mark.parametrize('keep_aspect_ratio', [True, False])
def test_letterbox_is_model_gardens(size, keep_aspect_ratio):
  image = tf.constant(synthetic.image(*size))
  expected, expected_info = preprocess_ops.resize_and_crop_image(
    preprocess_ops.normalize_image(image),
    [128, 256],
    padded_size=[128, 256],
    keep_aspect_ratio=keep_aspect_ratio,
  )
  actual, image_info = preprocess.letterbox(image, (128, 256), keep_aspect_ratio)
  np.testing.assert_array_equal(image_info, expected_info)
  np.testing.assert_allclose(actual, expected, atol=1e-4)
  scaled = np.round(np.array(size) * image_info[2]).astype(int)
  assert not np.any(actual[scaled[0] :]) and not np.any(actual[:, scaled[1] :])


def test_letterbox_takes_floats_of_the_same_range():
  image = synthetic.image(50, 60)
  expected, _ = preprocess.letterbox(tf.constant(image), (64, 64))
  actual, _ = preprocess.letterbox(tf.constant(image, tf.float32), (64, 64))
  np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_letterbox_keeps_a_row_of_a_very_long_image():
  image, image_info = preprocess.letterbox(tf.fill([1, 2000, 3], 255), (128, 128))
  assert image.shape == (128, 128, 3)
  assert np.all(image[0].numpy() > 1.0) and not np.any(image[1:])
  assert np.isfinite(image_info).all()


def test_boxes_go_where_the_pixels_go():
  pixels = np.zeros([120, 90, 3], np.uint8)
  pixels[30:60, 45:90] = 255
  image, image_info = preprocess.letterbox(tf.constant(pixels), (256, 256))
  box = preprocess.place_boxes(tf.constant([[30 / 120, 45 / 90, 60 / 120, 1.0]]), image_info)[0].numpy()
  rows, columns = np.nonzero(image[:, :, 0] > 0)
  np.testing.assert_allclose(box, [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1], atol=1.0)
  # Back to pixels of the original.
  np.testing.assert_allclose(box / np.tile(image_info[2], 2), [30, 45, 60, 90], atol=1e-4)


@pytest.mark.parametrize(('size', 'max_level'), [((640, 640, 3), 7), ((320, 384), 6), ([64, 128], 6)])
def test_output_sizes_that_a_pyramid_halves(size, max_level):
  assert preprocess.check_output_size(size, max_level) == tuple(size[:2])


@pytest.mark.parametrize(
  ('size', 'nearest'), [((320, 384, 3), '256x384'), ((10, 128), '128x128'), ((0, 128), '128x128')]
)
def test_other_output_sizes_are_refused_with_the_multiple_and_the_nearest(size, nearest):
  with pytest.raises(ValueError, match=rf'multiple of 128 \(2\*\*7\).*{nearest}'):
    preprocess.check_output_size(size, 7)


def test_bytes_become_on_the_device_what_the_host_would_have_normalized():
  image = tf.random.stateless_uniform([50, 70, 3], [1, 2], 0.0, 255.0)
  expected = preprocess.normalize_and_pad(image, (64, 96))
  rounded = preprocess.round_and_pad(image, (64, 96))
  assert rounded.dtype == tf.uint8 and rounded.shape == expected.shape
  np.testing.assert_allclose(preprocess.to_network(rounded), expected, atol=0.0091)  # Half a step of 255.
  np.testing.assert_array_equal(preprocess.round_and_pad(tf.round(image), (50, 70)), tf.round(image))
  np.testing.assert_array_equal(preprocess.to_network(expected), expected)


@pytest.mark.parametrize(('size', 'scaled_size'), [((90, 121), (64, 200)), ((700, 800), (64, 70))])
def test_bytes_are_resized_as_floats_whatever_the_size_of_the_original(size, scaled_size):
  image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
  resized = preprocess.resize(tf.constant(image), tf.constant(scaled_size))
  np.testing.assert_array_equal(resized, preprocess.resize(tf.constant(image, tf.float32), tf.constant(scaled_size)))
