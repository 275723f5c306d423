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

"""Tests of detections drawn on images."""

import numpy as np

from nasfpn_tf.predict import drawing

GREY = np.full([100, 160, 3], 128, np.uint8)


def test_box_is_drawn_in_its_colour_and_the_rest_is_left():
  drawn = np.asarray(drawing.annotate(GREY, np.array([[40, 50, 90, 120]]), [3], ['cell 0.90']))
  assert tuple(drawn[65, 50]) == tuple(drawn[90, 80]) == drawing.color_of(3)
  assert tuple(drawn[65, 80]) == (128, 128, 128)
  assert tuple(drawn[20, 150]) == (128, 128, 128)
  assert (GREY == 128).all()


def test_the_best_is_on_top():
  boxes = np.array([[40, 50, 90, 120], [40, 50, 90, 120]])
  for scores in ([0.9, 0.4], [0.4, 0.9]):
    drawn = np.asarray(drawing.annotate(GREY, boxes, [1, 2], ['', ''], np.array(scores)))
    assert tuple(drawn[65, 50]) == drawing.color_of(1 + int(np.argmax(scores)))


def test_boxes_beyond_the_image_are_cut_or_left_out():
  boxes = np.array([[-20, -20, 50, 500], [200, 200, 300, 300]])
  drawn = np.asarray(drawing.annotate(GREY, boxes, [1, 2], ['a long caption for a small image', 'y']))
  assert drawn.shape == GREY.shape
  assert tuple(drawn[40, 159]) == drawing.color_of(1)
  assert not (drawn == drawing.color_of(2)).all(axis=-1).any()


def test_captions_are_above_the_box_or_inside_it():
  high, low = (np.asarray(drawing.annotate(GREY, np.array([[y, 50, 90, 120]]), [3], ['x'])) for y in (2, 60))
  assert tuple(high[5, 52]) == drawing.color_of(3)
  assert tuple(low[58, 51]) == drawing.color_of(3)


def test_neighbouring_labels_look_different():
  colors = np.array([drawing.color_of(label) for label in range(1, 13)], np.int32)
  assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 100
  assert len({tuple(color) for color in colors}) == 12
