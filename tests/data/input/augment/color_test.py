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

"""Brightness, contrast and saturation."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.input.augment.color import Color, adjust_color
from tests.data import synthetic


def test_color():
  image = tf.constant(synthetic.image(), tf.float32)
  np.testing.assert_allclose(adjust_color(image, 1.0, 1.0, 1.0), image, atol=1e-3)
  np.testing.assert_allclose(adjust_color(image, 0.5, 1.0, 1.0), image * 0.5, atol=1e-3)
  grey = adjust_color(image, 1.0, 1.0, 0.0).numpy()
  assert np.ptp(grey, axis=-1).max() < 1e-3
  luma = (image.numpy() @ np.float32([0.299, 0.587, 0.114])).mean()
  np.testing.assert_allclose(adjust_color(image, 1.0, 0.0, 1.0), np.full(image.shape, luma), atol=1e-2)
  wild = adjust_color(image, 3.0, 3.0, 3.0).numpy()
  assert wild.min() >= 0.0 and wild.max() <= 255.0


def test_unusable_strength():
  with pytest.raises(ValueError, match='aug_color'):
    Color(1.5)
