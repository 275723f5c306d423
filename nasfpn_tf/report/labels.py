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

"""Places the labels of points without overlaps, inside the frame, and on few marks and lines."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

# To the right and to the left first, then ever steeper.
_DIRECTIONS = tuple(math.radians(a + side) for a in range(0, 91, 10) for side in (0, 180, -2 * a, 180 - 2 * a))
_FIRST, _STEP = 7.0, 7.0  # How far a label is from its point.
_COVERED = 3.0  # What an obstacle costs, in steps.
_NO_ROOM = 1e6
_MARGIN = 1.0  # Around a label.


@dataclasses.dataclass(frozen=True)
class Box:
  """A rectangle: its left, lower, right and upper edge."""

  x0: float
  y0: float
  x1: float
  y1: float

  def overlaps(self, other: 'Box') -> bool:
    """Tells whether the two share more than an edge."""
    return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

  def contains(self, other: 'Box') -> bool:
    """Tells whether all of the other is inside."""
    return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1


def place(
  points: Sequence[tuple[float, float]],
  sizes: Sequence[tuple[float, float]],
  frame: Box,
  obstacles: Sequence[Box] = (),
) -> list[Box | None]:
  """Places a label for each point, near it and where it covers few obstacles.

  One label after the other takes its best place, once from the first to the last and once the other way; the better
  outcome counts.

  Args:
    points: x and y, in the unit of `sizes`.
    sizes: width and height of each label.
    frame: what no label leaves.
    obstacles: what a label should not cover, such as marks and pieces of lines; it may, where there is no other place.

  Returns:
    The place of each label, no two of which overlap; None where there is no room.
  """
  forward, cost = _in_order(points, sizes, frame, obstacles)
  backward, other_cost = _in_order(points[::-1], sizes[::-1], frame, obstacles)
  return forward if cost <= other_cost else backward[::-1]


def _in_order(
  points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], frame: Box, obstacles: Sequence[Box]
) -> tuple[list[Box | None], float]:
  """Returns the places that labels take one after the other, and what they cost."""
  placed: list[Box | None] = []
  total = 0.0
  for point, size in zip(points, sizes, strict=True):
    taken = [box for box in placed if box is not None]
    best, least = None, math.inf
    for distance, box in _candidates(point, size, frame):
      if distance / _STEP >= least:
        break  # Those that follow are farther.
      if frame.contains(box) and not any(map(box.overlaps, taken)):
        cost = distance / _STEP + _COVERED * sum(map(box.overlaps, obstacles))
        if cost < least:
          best, least = box, cost
    placed.append(best)
    total += _NO_ROOM if best is None else least
  return placed, total


def _candidates(point: tuple[float, float], size: tuple[float, float], frame: Box) -> Iterator[tuple[float, Box]]:
  """Yields places around a point, the nearest first."""
  width, height = size[0] + 2 * _MARGIN, size[1] + 2 * _MARGIN
  farthest = max(frame.x1 - frame.x0, frame.y1 - frame.y0)
  for ring in itertools.count():
    distance = _FIRST + ring * _STEP
    if distance > farthest:
      return
    for angle in _DIRECTIONS:
      cosine, sine = math.cos(angle), math.sin(angle)
      # The label's side that is nearest to the point is at this distance from it.
      x = point[0] + distance * cosine + width * (cosine - 1) / 2
      y = point[1] + distance * sine + height * (sine - 1) / 2
      yield distance, Box(x, y, x + width, y + height)
