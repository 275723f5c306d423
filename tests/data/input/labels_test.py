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

"""Model Garden's anchor labeller is the oracle of ours."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.ops import anchor

from nasfpn_tf.data.input.labels import BACKGROUND, AnchorLabeler
from nasfpn_tf.modeling import candidates
from tests.data import synthetic

SIZE = (128, 256)


def ground_truth(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
  boxes = synthetic.random_boxes(count, seed) * np.float32([SIZE[0], SIZE[1]] * 2)
  return boxes, np.random.default_rng(seed).integers(1, 91, count)


@pytest.mark.parametrize('count', [0, 1, 6, 130])
@pytest.mark.parametrize(
  'settings',
  [
    {},
    {'match_threshold': 0.6, 'unmatched_threshold': 0.4, 'box_coder_weights': [10.0, 10.0, 5.0, 5.0]},
    {'min_level': 2, 'max_level': 5, 'num_scales': 1, 'aspect_ratios': [0.7], 'anchor_size': 1.5},
    {'num_scales': 1, 'aspect_ratios': [1.0], 'anchor_size': 0.25},  # Small boxes overlap no anchor.
  ],
)
def test_targets_are_model_gardens(count, settings):
  names = ('min_level', 'max_level', 'num_scales', 'aspect_ratios', 'anchor_size')
  grid = {'min_level': 3, 'max_level': 7, 'num_scales': 3, 'aspect_ratios': [0.5, 1.0, 2.0], 'anchor_size': 4.0}
  grid |= {name: value for name, value in settings.items() if name in names}
  matching = {name: value for name, value in settings.items() if name not in names}
  anchor_boxes = anchor.build_anchor_generator(**grid)(SIZE)
  oracle = anchor.AnchorLabeler(**matching)
  labeler = AnchorLabeler(SIZE, **settings)
  for level, boxes in anchor_boxes.items():
    np.testing.assert_array_equal(labeler.anchor_boxes[level], boxes)

  for seed in range(3):
    boxes, classes = ground_truth(count, seed)
    cls_targets, box_targets, _, cls_weights, box_weights = oracle.label_anchors(
      anchor_boxes, tf.constant(boxes), tf.constant(classes)[:, tf.newaxis]
    )
    labels = labeler(tf.constant(boxes), tf.constant(classes))
    np.testing.assert_array_equal(labels['cls_weights'], cls_weights)
    # Without boxes Model Garden gives every anchor box weight 0 as well.
    np.testing.assert_array_equal(labels['box_weights'], box_weights)
    for level in cls_targets:
      np.testing.assert_array_equal(labels['cls_targets'][level], cls_targets[level])
      is_positive = np.repeat(cls_targets[level].numpy() != BACKGROUND, 4, axis=-1)
      expected = np.where(is_positive, box_targets[level], 0.0)
      np.testing.assert_allclose(labels['box_targets'][level], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('counts', [[3, 0, 7], [0, 0], [0, 2]])
@pytest.mark.parametrize('settings', [{}, {'match_threshold': 0.6, 'unmatched_threshold': 0.4}])
def test_a_batch_has_the_labels_of_each_image(counts, settings):
  labeler = AnchorLabeler(SIZE, **settings)
  truths = [ground_truth(count, seed) for seed, count in enumerate(counts)]
  boxes, classes = (np.concatenate(parts) for parts in zip(*truths, strict=True))
  images = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
  labels = labeler.label_batch(tf.constant(boxes), tf.constant(classes), tf.constant(images), len(counts))
  alone = [labeler(*map(tf.constant, truth)) for truth in truths]

  def require_same(batch, *each):
    # Logarithms are vectorized, but for the last few: the last bit may differ.
    np.testing.assert_allclose(batch, np.stack(each), rtol=0, atol=1e-6)

  tf.nest.map_structure(require_same, labels, *alone)


def test_every_box_claims_an_anchor_and_the_first_of_two_equal_boxes_keeps_it():
  labeler = AnchorLabeler(SIZE)
  tiny = [[10.0, 20.0, 11.0, 21.0], [10.0, 20.0, 11.0, 21.0], [90.0, 200.0, 93.0, 204.0]]
  labels = labeler(tf.constant(tiny), tf.constant([3, 4, 5]))
  targets = np.concatenate([np.ravel(level) for level in labels['cls_targets'].values()])
  assert sorted(targets[targets != BACKGROUND]) == [3, 5]


def test_box_targets_decode_to_the_boxes():
  labeler = AnchorLabeler(SIZE)
  boxes, classes = ground_truth(4, seed=5)
  labels = labeler(tf.constant(boxes), tf.constant(classes))
  for level, anchors in labeler.anchor_boxes.items():
    anchors, codes = anchors.reshape(-1, 4), labels['box_targets'][level].numpy().reshape(-1, 4)
    is_positive = np.ravel(labels['cls_targets'][level]) != BACKGROUND
    sizes = anchors[:, 2:] - anchors[:, :2]
    centers = anchors[:, :2] + sizes / 2 + codes[:, :2] * sizes
    halves = np.exp(codes[:, 2:]) * sizes / 2
    decoded = np.concatenate([centers - halves, centers + halves], axis=1)[is_positive]
    distances = np.abs(decoded[:, np.newaxis] - boxes).max(axis=2)
    assert distances.min(axis=1, initial=0.0).max(initial=0.0) < 1e-3


def test_shapes_are_static_for_any_number_of_boxes():
  labeler = AnchorLabeler(SIZE)
  signature = [tf.TensorSpec([None, 4], tf.float32), tf.TensorSpec([None], tf.int64)]
  labels = tf.function(labeler.__call__, input_signature=signature).get_concrete_function().structured_outputs
  assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(labels))
  assert labels['cls_targets']['3'].shape == (16, 32, 9)
  assert labels['box_targets']['7'].shape == (1, 2, 36)


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'match_threshold': 0.4, 'unmatched_threshold': 0.5}, 'unmatched_threshold'),
    ({'match_threshold': 1.5}, 'match_threshold'),
    ({'box_coder_weights': [1.0, 1.0]}, 'four positive numbers'),
    ({'box_coder_weights': [1.0, 1.0, 0.0, 1.0]}, 'four positive numbers'),
  ],
)
def test_unusable_settings(settings, message):
  with pytest.raises(ValueError, match=message):
    AnchorLabeler(SIZE, **settings)


def test_codes_that_count_the_last_pixel_decode_to_the_boxes():
  boxes, classes = ground_truth(6, seed=1)
  labeler = AnchorLabeler(SIZE, box_coder_plus_one=True)
  labels = labeler(boxes, classes)
  codes, anchors = (
    np.concatenate([np.reshape(levels[level], [-1, 4]) for level in levels])
    for levels in (labels['box_targets'], labeler.anchor_boxes)
  )
  positive = np.flatnonzero(labels['box_weights'])
  decoded = candidates.decode(codes[np.newaxis, positive], anchors[np.newaxis, positive], None, None, plus_one=True)[0]
  distances = np.abs(decoded.numpy()[:, np.newaxis] - boxes).max(axis=-1)
  assert len(positive) >= 6
  assert distances.min(axis=1).max() < 1e-3
  assert set(distances.argmin(axis=1)) == set(range(6))
