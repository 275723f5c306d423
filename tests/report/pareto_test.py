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

"""Pareto frontiers, against the definition by comparing all pairs."""

import random

from nasfpn_tf.report import pareto


def test_front_and_dominators():
  points = {
    'cheap': (1.0, 0.3),
    'worse': (1.5, 0.2),
    'middle': (2.0, 0.5),
    'same': (2.0, 0.5),
    'late': (3.0, 0.5),
    'best': (4.0, 0.6),
    'costly': (5.0, 0.55),
  }
  assert pareto.front(points) == ['cheap', 'middle', 'same', 'best']
  assert pareto.dominators(points) == {'worse': 'cheap', 'late': 'middle', 'costly': 'best'}
  assert pareto.front({}) == [] and pareto.dominators({}) == {}


def test_against_all_pairs():
  rng = random.Random(0)
  for _ in range(50):
    points = {str(i): (float(rng.randrange(6)), rng.randrange(6) / 10) for i in range(8)}

    def dominates(one, other, points=points):
      (cost, ap), (other_cost, other_ap) = points[one], points[other]
      return cost <= other_cost and ap >= other_ap and (cost, ap) != (other_cost, other_ap)

    wanted = {name for name in points if not any(dominates(other, name) for other in points)}
    found = pareto.front(points)
    assert set(found) == wanted
    named = pareto.dominators(points)
    assert set(named) == set(points) - wanted
    assert all(dominates(better, worse) and better in wanted for worse, better in named.items())
