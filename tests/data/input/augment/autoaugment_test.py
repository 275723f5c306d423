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

"""AutoAugment: boxes stay on their contents, Model Garden's operations are the oracle, the seed decides."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.ops import augment as mg

from nasfpn_tf.data.input.augment import autoaugment, distortion
from nasfpn_tf.data.input.augment.augmentation import Augmentation

HEIGHT, WIDTH = 120, 160
RED_BOX = (40, 60, 70, 110)


def picture() -> tuple[tf.Tensor, tf.Tensor]:
  """Gray with one red rectangle, and its box in 0..1."""
  pixels = np.full([HEIGHT, WIDTH, 3], 90, np.uint8)
  top, left, bottom, right = RED_BOX
  pixels[top:bottom, left:right] = (250, 20, 20)
  scale = np.float32([HEIGHT, WIDTH, HEIGHT, WIDTH])
  return tf.constant(pixels), tf.constant(np.float32([RED_BOX]) / scale)


def bounds_of_red(image: tf.Tensor) -> np.ndarray:
  pixels = image.numpy().astype(int)
  rows, columns = np.nonzero(pixels[:, :, 0] - pixels[:, :, 2] > 115)
  return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])


def pixels_of(boxes: tf.Tensor) -> np.ndarray:
  return boxes.numpy()[0] * [HEIGHT, WIDTH, HEIGHT, WIDTH]


MOVES = {
  'left': (
    lambda i, b: distortion.translate(i, b, 20.0, 1),
    lambda i, b: mg.translate_bbox(i, b, 20.0, [128] * 3, True),
  ),
  'down': (
    lambda i, b: distortion.translate(i, b, -15.0, 0),
    lambda i, b: mg.translate_bbox(i, b, -15.0, [128] * 3, False),
  ),
  'shear rows': (
    lambda i, b: distortion.shear(i, b, 0.3, 1),
    lambda i, b: mg.shear_with_bboxes(i, b, 0.3, [128] * 3, True),
  ),
  'shear columns': (
    lambda i, b: distortion.shear(i, b, -0.2, 0),
    lambda i, b: mg.shear_with_bboxes(i, b, -0.2, [128] * 3, False),
  ),
  'turn': (lambda i, b: distortion.rotate(i, b, 30.0), lambda i, b: mg.rotate_with_bboxes(i, b, 30.0, [128] * 3)),
  'turn back': (
    lambda i, b: distortion.rotate(i, b, -25.0),
    lambda i, b: mg.rotate_with_bboxes(i, b, -25.0, [128] * 3),
  ),
}


@pytest.mark.parametrize('name', MOVES)
def test_boxes_move_with_their_contents(name):
  ours, theirs = MOVES[name]
  image, boxes = picture()
  moved, moved_boxes = ours(image, boxes)
  np.testing.assert_allclose(pixels_of(moved_boxes), bounds_of_red(moved), atol=2.0)
  assert np.abs(pixels_of(moved_boxes) - RED_BOX).max() > 5, 'nothing moved'
  oracle, oracle_boxes = theirs(image, boxes)
  np.testing.assert_array_equal(moved, oracle)
  np.testing.assert_allclose(pixels_of(moved_boxes), pixels_of(oracle_boxes), atol=2.0)


def test_a_box_that_leaves_the_image_is_empty():
  image, boxes = picture()
  _, left = distortion.translate(image, boxes, 120.0, 1)
  assert left[0, 3] == left[0, 1] == 0.0
  _, theirs = mg.translate_bbox(image, boxes, 120.0, [128] * 3, True)
  assert theirs[0, 3] > theirs[0, 1], 'Model Garden leaves it empty as well now: use its function'


def test_cutout_greys_a_rectangle_out():
  image, boxes = picture()
  changed = np.any(distortion.cutout(image, tf.constant([0.5, 0.25]), [10, 10]) != image, axis=-1)
  rows, columns = np.nonzero(changed)
  assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (50, 70, 30, 50) and changed.sum() == 400
  inside = np.all(distortion.cutout_in_box(image, boxes[0], tf.constant([0.5, 0.5]), 0.5) == 128, axis=-1)
  rows, columns = np.nonzero(inside)
  assert rows.min() >= 40 and rows.max() < 70 and columns.min() >= 60 and columns.max() < 110
  assert inside.sum() == pytest.approx(0.25 * 30 * 50, rel=0.2)


def test_operations_within_boxes_leave_the_rest_alone():
  image = tf.cast(tf.random.stateless_uniform([HEIGHT, WIDTH, 3], [0, 1], 0, 255, tf.int32), tf.uint8)
  boxes = tf.constant([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]])
  changed = distortion.within_boxes(
    image, boxes, tf.constant([False, True]), lambda c, i: distortion.shift_rows(c, 8.0)
  )
  different = np.any(changed != image, axis=-1)
  rows, columns = np.nonzero(different)
  assert different.mean() > 0.05 and rows.min() >= 60 and columns.min() >= 80
  np.testing.assert_array_equal(changed[60:90, 80:140], image[68:98, 80:140])


def test_policies_are_the_published_ones():
  assert [list(operations) for operations in autoaugment.POLICIES['v0']] == mg.AutoAugment.detection_policy_v0()
  assert {name: len(policy) for name, policy in autoaugment.POLICIES.items()} == {'v0': 5, 'v1': 20, 'v2': 15, 'v3': 15}
  with pytest.raises(ValueError, match="'v4' is unknown; known are v0, v1, v2, v3"):
    autoaugment.AutoAugment('v4')


@pytest.mark.parametrize('name', ['v0', *(pytest.param(name, marks=pytest.mark.slow) for name in ('v1', 'v2', 'v3'))])
def test_a_policy_keeps_shapes_and_follows_the_seed(name):
  augment = tf.function(autoaugment.AutoAugment(name))
  image, _ = picture()
  boxes = tf.constant([[0.3, 0.3, 0.6, 0.7], [0.0, 0.0, 0.1, 0.1]])
  results = []
  for seed in range(24):
    result, moved = augment(image, boxes, tf.constant([seed, 3], tf.int64))
    assert result.dtype == tf.uint8 and result.shape == image.shape and moved.shape == (2, 4)
    assert moved.numpy().min() >= 0.0 and moved.numpy().max() <= 1.0
    assert np.all(moved[:, 2:] >= moved[:, :2])
    results.append((result.numpy(), moved.numpy()))
  assert len({moved.tobytes() for _, moved in results}) > 3
  assert len({result.tobytes() for result, _ in results}) > 10
  again = augment(image, boxes, tf.constant([5, 3], tf.int64))
  np.testing.assert_array_equal(again[0], results[5][0])
  np.testing.assert_array_equal(again[1], results[5][1])


def test_images_without_boxes():
  augment = tf.function(autoaugment.AutoAugment('v0'))
  for seed in range(12):
    image, boxes = augment(picture()[0], tf.zeros([0, 4]), tf.constant([seed, 0], tf.int64))
    assert boxes.shape == (0, 4) and image.shape == (HEIGHT, WIDTH, 3)


def test_it_comes_before_scaling_and_flips():
  image, boxes = picture()
  plain, distorted = Augmentation(), Augmentation((autoaugment.AutoAugment('v0'),))
  changed = 0
  for seed in range(6):
    seed = tf.constant([seed, 1], tf.int64)
    expected_image, expected_boxes, info = plain(image, boxes, seed, (120, 160))
    result, moved, own_info = distorted(image, boxes, seed, (120, 160))
    np.testing.assert_array_equal(info, own_info)
    changed += bool(np.any(result != expected_image)) or bool(np.any(moved != expected_boxes))
  assert changed > 2
