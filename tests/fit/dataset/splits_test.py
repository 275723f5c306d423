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
"""Which images are chosen for validation."""

import numpy as np
import pytest

from nasfpn_tf.fit.dataset import splits


def _data(count=200, seed=0):
  """Names, groups of one to three images, and classes of which the last is in two groups only."""
  rng = np.random.default_rng(seed)
  names = [f'{number:04d}.jpg' for number in range(count)]
  groups = np.sort(rng.integers(0, count // 2, count)).tolist()
  classes = [frozenset(rng.choice(4, rng.integers(0, 3), p=[0.6, 0.3, 0.07, 0.03]).tolist()) for _ in names]
  for index in (groups.index(groups[0]), groups.index(groups[-1])):
    classes[index] |= {9}
  return names, groups, classes


@pytest.mark.parametrize('seed', range(10))
def test_classes_are_on_both_sides_and_groups_on_one(seed):
  names, groups, classes = _data(seed=seed)
  chosen = splits.choose(names, groups, classes, seed)
  assert 0.15 < chosen.mean() < 0.27
  for side in (True, False):
    assert frozenset().union(*(c for c, s in zip(classes, chosen, strict=True) if s == side)) == {0, 1, 2, 3, 9}
  assert len({(group, bool(side)) for group, side in zip(groups, chosen, strict=True)}) == len(set(groups))


def test_the_choice_depends_on_the_seed_and_the_names_alone():
  names, groups, classes = _data()
  chosen = splits.choose(names, groups, classes)
  assert (splits.choose(names, groups, classes) == chosen).all()
  assert (splits.choose(names, groups, classes, seed=1) != chosen).any()


def test_images_stay_where_they_were():
  names, groups, classes = _data()
  groups = list(range(len(names)))
  first = splits.choose(names[:150], groups[:150], classes[:150])
  taken = dict(zip(names[:150], first.tolist(), strict=True))
  second = splits.choose(names, groups, classes, taken=taken)
  assert (second[:150] == first).all() and second[150:].any()


@pytest.mark.parametrize('count', [2, 3, 5])
def test_few_images_leave_some_on_either_side(count):
  names = [str(number) for number in range(count)]
  chosen = splits.choose(names, names, [frozenset({1})] * count)
  assert chosen.sum() == 1
