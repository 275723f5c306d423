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

"""Finds Pareto frontiers of cost and AP, and the points that dominate the others."""

from collections.abc import Mapping


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
  """Finds the points that no other dominates; returns their names, the cheapest first.

  A point dominates another if it costs no more, reaches no less, and differs in one of them.

  Args:
    points: {name: (cost, AP)}.
  """
  best, found = None, []
  for name, (cost, ap) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1], item[0])):
    if best is None or ap > best[1] or (cost, ap) == best:
      best = (cost, ap)
      found.append(name)
  return found


def dominators(points: Mapping[str, tuple[float, float]]) -> dict[str, str]:
  """Finds what dominates the others: {name: the point of the front with the most AP that dominates it}."""
  on_front = front(points)
  found = {}
  for name, (cost, ap) in points.items():
    if name not in on_front:
      better = [other for other in on_front if points[other][0] <= cost and points[other][1] >= ap]
      found[name] = max(better, key=lambda other: (points[other][1], -points[other][0]))
  return found
