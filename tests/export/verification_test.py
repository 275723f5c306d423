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

"""Tests of the comparison between an export and its model."""

import dataclasses

import numpy as np
import pytest
import tf_keras

from nasfpn_tf.export import verification


def _found(boxes, scores, classes):
  return {
    'boxes': np.array(boxes, np.float32).reshape(-1, 4),
    'scores': np.array(scores, np.float32),
    'classes': np.array(classes),
  }


@pytest.mark.parametrize(
  ('boxes', 'scores', 'classes', 'unmatched'),
  [
    ([[0, 0, 100, 100], [50, 50, 90, 90]], [0.9, 0.5], [1, 2], 0),
    ([[50, 50, 90, 90], [0, 0, 100, 100.2]], [0.5, 0.9], [2, 1], 0),  # Another order, a box moved by rounding.
    ([[0, 0, 100, 100]], [0.9], [1], 1),
    ([[0, 0, 100, 100], [50, 50, 90, 90]], [0.9, 0.5], [1, 1], 2),  # Another class: one lacks, one is extra.
    ([[0, 0, 100, 100], [50, 50, 90, 80]], [0.9, 0.5], [1, 2], 2),
    ([[0, 0, 100, 100], [50, 50, 90, 90]], [0.9, 0.51], [1, 2], 2),
    ([[0, 0, 100, 100], [50, 50, 90, 90], [0, 0, 9, 9]], [0.9, 0.5, 0.1005], [1, 2, 1], 0),  # At the cut-off.
    ([[0, 0, 100, 100], [50, 50, 90, 90], [0, 0, 9, 9]], [0.9, 0.5, 0.2], [1, 2, 1], 1),
  ],
)
def test_unmatched_detections(boxes, scores, classes, unmatched):
  expected = _found([[0, 0, 100, 100], [50, 50, 90, 90]], [0.9, 0.5], [1, 2])
  assert verification.count_unmatched(expected, _found(boxes, scores, classes), floor=0.1) == unmatched


def test_no_detections_on_either_side():
  nothing = _found([], [], [])
  assert verification.count_unmatched(nothing, nothing, floor=0.1) == 0


def test_equal_boxes_without_area_match():
  flat = _found([[5, 5, 5, 90]], [0.9], [1])
  assert verification.count_unmatched(flat, flat, floor=0.1) == 0


def test_a_full_list_is_cut_off_at_its_last_score():
  """What the model had to drop because its list was full, the export may have; what it had no reason to, it may not."""
  wanted = _found([[0, 0, 9, 9], [50, 50, 90, 90]], [0.9, 0.7], [1, 1])
  actual = _found([[0, 0, 9, 9], [50, 50, 90, 90], [20, 20, 40, 40]], [0.9, 0.7, 0.6], [1, 1, 1])
  empty = np.zeros([0])
  expected = verification.Reference([], empty, empty, empty, empty, [wanted], score_threshold=0.05, max_detections=2)
  verification.check_detections(expected, 0, actual, 'The file')
  with pytest.raises(verification.VerificationError, match='The file and the Keras model disagree in 1 of 2'):
    verification.check_detections(dataclasses.replace(expected, max_detections=3), 0, actual, 'The file')


def test_errors_beyond_the_tolerance_are_named():
  verification.check_errors({'class_logits': 1e-3}, 1e-3, 'The file')
  with pytest.raises(verification.VerificationError, match=r'The file differs .*: class_logits by 0\.002; .* 0\.001'):
    verification.check_errors({'box_encodings': 1e-4, 'class_logits': 2e-3}, 1e-3, 'The file')


def test_nan_is_an_error():
  error = verification.max_error(np.zeros([2]), np.array([0.0, np.nan]))
  assert np.isnan(error)
  with pytest.raises(verification.VerificationError, match='nan'):
    verification.check_errors({'class_logits': error}, 1e-3, 'The file')


def test_another_shape_is_an_error():
  with pytest.raises(verification.VerificationError, match=r'\[3\].*\[2\]'):
    verification.max_error(np.zeros([2]), np.zeros([3]))


def test_weights_that_are_not_finite_are_named():
  model = tf_keras.Sequential([tf_keras.layers.Dense(1, name='bad_layer')])
  model.build([None, 2])
  verification.check_finite(model)
  model.layers[0].bias.assign([np.inf])
  with pytest.raises(
    verification.VerificationError, match=r'^run/ckpt-1: 1 weights .*bad_layer/bias.*earlier checkpoint'
  ):
    verification.check_finite(model, 'run/ckpt-1')


@pytest.mark.parametrize(('largest', 'tolerance'), [(20.0, 1e-3), (-100.0, 1e-3), (-1e8, 1e3)])
def test_the_tolerance_follows_the_outputs_where_float32_has_no_more_digits(largest, tolerance):
  raw = {'box_encodings': np.array([[[1.0, 2.0, 3.0, largest]]]), 'class_logits': np.array([[[-4.0]]])}
  others = dict.fromkeys(field.name for field in dataclasses.fields(verification.Reference))
  assert verification.Reference(**others | raw).raw_tolerance == pytest.approx(tolerance)
