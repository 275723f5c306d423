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


"""Places of labels: disjoint, inside the frame, beside what is drawn."""

import itertools
import random

from nasfpn_tf.report import labels


def test_places_are_disjoint_and_inside_even_where_there_is_no_room_for_all():
  random.seed(0)
  points = [(random.uniform(40, 60), random.uniform(40, 60)) for _ in range(200)]
  frame = labels.Box(0, 0, 100, 100)
  placed = labels.place(points, [(20, 6)] * len(points), frame)
  found = [box for box in placed if box is not None]
  assert 10 < len(found) < len(points)
  assert not any(a.overlaps(b) for a, b in itertools.combinations(found, 2))
  assert all(frame.contains(box) for box in found)


def test_a_label_goes_where_it_covers_nothing():
  right = labels.Box(52, 45, 90, 55)
  (box,) = labels.place([(50, 50)], [(30, 6)], labels.Box(0, 0, 100, 100), [right])
  assert box is not None and not box.overlaps(right)
