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

"""Whatever is done to an image, its boxes stay on their contents."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.input.augment.augmentation import Augmentation
from nasfpn_tf.data.input.augment.color import Color
from nasfpn_tf.data.input.augment.flip import HorizontalFlip, VerticalFlip

SIZE = (128, 192)
RED_BOX = (30, 60, 70, 140)  # Of an image of 120 x 160.


def picture() -> tuple[np.ndarray, np.ndarray]:
  """Gray with one red rectangle, and its box in 0..1."""
  pixels = np.full([120, 160, 3], 90, np.uint8)
  top, left, bottom, right = RED_BOX
  pixels[top:bottom, left:right] = (250, 20, 20)
  return pixels, np.float32([[top / 120, left / 160, bottom / 120, right / 160]])


def bounds_of_red(image: np.ndarray) -> np.ndarray:
  rows, columns = np.nonzero(image[:, :, 0] - image[:, :, 2] > 115)
  return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])


AUGMENTATIONS = {
  'nothing': Augmentation(),
  'horizontal flip': Augmentation((HorizontalFlip(),)),
  'vertical flip': Augmentation((VerticalFlip(),)),
  'smaller': Augmentation(scale_min=0.4, scale_max=0.9),
  'larger': Augmentation(scale_min=1.2, scale_max=2.5),
  'everything': Augmentation((HorizontalFlip(), VerticalFlip(), Color(0.3)), 0.3, 2.0),
}


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_boxes_stay_on_their_contents(name):
  augment = tf.function(lambda *args: AUGMENTATIONS[name](*args, SIZE), reduce_retracing=True)
  pixels, boxes = picture()
  seen = set()
  for seed in range(12):
    image, placed, image_info = (x.numpy() for x in augment(pixels, boxes, tf.constant([seed, 7], tf.int64)))
    assert image.shape[0] <= SIZE[0] and image.shape[1] <= SIZE[1]
    assert image_info.shape == (4, 2) and tuple(image_info[1]) == SIZE
    top, left, bottom, right = placed[0]
    if (bottom - top) * (right - left) < 16:
      continue  # Cropped away.
    np.testing.assert_allclose(placed[0], bounds_of_red(image), atol=1.6)
    seen.add(tuple(placed[0].round(1)))
  if name == 'nothing':
    assert len(seen) == 1
  elif name.endswith('flip'):
    assert len(seen) == 2
  else:
    assert len(seen) > 3


def test_a_box_outside_the_crop_is_left_empty():
  augment = Augmentation(scale_min=6.0, scale_max=6.0)
  pixels, _ = picture()
  corner = np.float32([[0.0, 0.0, 0.02, 0.02], [0.98, 0.98, 1.0, 1.0]])
  for seed in range(5):
    _, boxes, _ = augment(pixels, corner, tf.constant([seed, 0]), SIZE)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert np.any(np.min(sides, axis=1) == 0)
    assert np.min(boxes) >= 0 and np.max(boxes[:, 2]) <= SIZE[0] and np.max(boxes[:, 3]) <= SIZE[1]


def test_the_seed_decides():
  augment = AUGMENTATIONS['everything']
  pixels, boxes = picture()
  first, again, other = (augment(pixels, boxes, tf.constant(seed), SIZE)[1] for seed in ([1, 2], [1, 2], [3, 2]))
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 0


def test_an_image_without_boxes():
  image, boxes, _ = AUGMENTATIONS['everything'](picture()[0], np.zeros([0, 4], np.float32), tf.constant([0, 0]), SIZE)
  assert boxes.shape == (0, 4) and np.isfinite(image).all()


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'scale_min': 0.0}, 'aug_scale_min'),
    ({'scale_min': 1.2, 'scale_max': 1.1}, 'aug_scale_max'),
    ({'operations': (HorizontalFlip(), HorizontalFlip())}, "'horizontal_flip' is given twice"),
  ],
)
def test_unusable_settings(settings, message):
  with pytest.raises(ValueError, match=message):
    Augmentation(**settings)
