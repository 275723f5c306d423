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
"""What is read off records."""

import dataclasses

import numpy as np
import pytest

from nasfpn_tf.data.records import check
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.plan import fingerprint
from tests.training import rectangles


@pytest.fixture(scope='module')
def split(tmp_path_factory):
  prefix = rectangles.write(tmp_path_factory.mktemp('records'), num_images=40)
  return check.check_records(f'{prefix}-*', progress=False)


def test_figures(split):
  taken = fingerprint.take(split)
  assert (taken.num_images, taken.image_size, taken.names) == (40, (128, 128), ('red', 'blue'))
  assert taken.num_boxes == len(taken.boxes) == len(taken.sizes) == sum(len(record.boxes) for record in split.records)
  assert taken.most_boxes == 3 and taken.fewest[0] in taken.names
  assert taken.scaled_sides().min() >= 28 and taken.scaled_sides(0.5).max() < 32
  assert taken.summary()['box_side'][0] < taken.summary()['box_side'][-1]
  assert not taken.up_and_down, 'the rectangles are anywhere'


def _moved(record, top):
  """The record with its boxes moved to `top`, in shares of the free height."""
  boxes = record.boxes.copy()
  height = boxes[:, 2] - boxes[:, 0]
  boxes[:, 0] = top * (record.size[0] - height)
  boxes[:, 2] = boxes[:, 0] + height
  return dataclasses.replace(record, boxes=boxes)


def test_what_lies_on_the_ground_tells_up_from_down(split):
  lower = [_moved(record, 0.7 + 0.01 * (i % 30)) for i, record in enumerate(split.records)]
  assert fingerprint.take(dataclasses.replace(split, records=tuple(lower))).up_and_down


def test_with_few_boxes_nothing_is_flipped_upside_down(split):
  assert fingerprint.take(dataclasses.replace(split, records=split.records[:3])).up_and_down


def test_crowding(split):
  record = split.records[0]
  boxes = np.array([[0.0, 0, 10, 10], [0, 5, 10, 15], [50, 50, 60, 60]])
  same = dataclasses.replace(record, boxes=boxes, classes=np.array([1, 1, 1]), is_crowd=np.zeros(3, bool))
  crowded = fingerprint.take(dataclasses.replace(split, records=(same,) * 10))
  assert crowded.crowding == pytest.approx(1 / 3)
  other = dataclasses.replace(same, classes=np.array([1, 2, 1]))
  assert fingerprint.take(dataclasses.replace(split, records=(other,))).crowding == 0


def test_without_a_box_there_is_nothing_to_plan(split):
  record = split.records[0]
  crowds = dataclasses.replace(record, is_crowd=np.ones(len(record.boxes), bool))
  with pytest.raises(DataError, match='none of the 1 images has a box'):
    fingerprint.take(dataclasses.replace(split, records=(crowds,)))
