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

"""Letterboxing without TensorFlow gives what letterboxing with it gives."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.predict import letterbox

# Normalizing and back, which TensorFlow's way does and NumPy's does not, rounds twice.
_ROUNDING = 4 * np.finfo(np.float32).eps * 255


def _image(shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, [*shape, 3], np.uint8)


@pytest.mark.parametrize('keep_aspect_ratio', [True, False])
@pytest.mark.parametrize('shape', [(128, 96), (1, 1), (1, 700), (333, 1), (977, 1201), (50, 64), (127, 128)])
def test_same_as_with_tensorflow(shape, keep_aspect_ratio):
  image = _image(shape)
  pixels, expected_info = preprocess.letterbox(tf.constant(image), (128, 96), keep_aspect_ratio)
  expected = pixels * preprocess.STDDEV + preprocess.MEAN
  found, image_info = letterbox.letterbox(image, (128, 96), keep_aspect_ratio)
  assert found.dtype == image_info.dtype == np.float32
  np.testing.assert_array_equal(image_info, expected_info)
  np.testing.assert_allclose(found, expected, rtol=0, atol=_ROUNDING)


def test_resized_to_the_last_bit():
  rng = np.random.default_rng(1)
  for seed in range(40):
    image = _image(rng.integers(1, 400, 2), seed)
    size = tuple(int(side) for side in rng.integers(1, 400, 2))
    np.testing.assert_array_equal(letterbox.resize(image, size), preprocess.resize(tf.constant(image), size))
