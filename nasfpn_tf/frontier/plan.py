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

"""Plans the detectors of a frontier, and what each changes in the configuration that they share."""

import dataclasses
import fnmatch
import math
from collections.abc import Iterable, Sequence
from typing import Any

TOPOLOGIES = {'fpnlite': 'fpn', 'nasfpnlite': 'nas_fpn'}
FAMILIES = {'fpnlite': 'FPNLite', 'nasfpnlite': 'NAS-FPNLite'}
REPEATS = (1, 3, 5, 7)
FILTERS = (64, 48)
WIDTHS = (320, 256, 384)
MIN_LEVEL, MAX_LEVEL = 3, 6
SMALL = ('*lite_[137]x64_256', '*lite_[137]x64_320', 'nasfpnlite_7x64_320_anytime')
FORMS = {'float': 'none', 'int8': 'int8'}


@dataclasses.dataclass(frozen=True)
class Point:
  """A training; each of its exits in each format is a model of the frontier.

  Attributes:
    pyramid: a key of `TOPOLOGIES`.
    num_repeats: how many are stacked.
    num_filters: their width, and that of the head.
    width: of the network's input.
    anytime: with an exit after every pyramid.
  """

  pyramid: str
  num_repeats: int
  num_filters: int
  width: int
  anytime: bool = False

  @property
  def name(self) -> str:
    """As `--points` chooses it."""
    stem = f'{self.pyramid}_{self.num_repeats}x{self.num_filters}_{self.width}'
    return stem + '_anytime' if self.anytime else stem

  @property
  def family(self) -> str:
    """Its color in the report."""
    return FAMILIES[self.pyramid] + (' exits' if self.anytime else '')

  @property
  def exits(self) -> tuple[int | None, ...]:
    """Which are measured; None: it has one."""
    return tuple(k for k in REPEATS if k <= self.num_repeats) if self.anytime else (None,)

  def models(self, forms: Iterable[str]) -> dict[str, tuple[str, int | None]]:
    """Returns {name of a model: (its format, its exit)} for each exit and format (keys of `FORMS`)."""
    found = {}
    for exit_stage in self.exits:
      for form in forms:
        words = [self.name, exit_stage and f'exit{exit_stage}', form != 'float' and form]
        found['_'.join(filter(None, words))] = form, exit_stage
    return found

  def input_size(self, base_size: Sequence[int]) -> tuple[int, int]:
    """Returns (height, width) with the proportions of `base_size`, rounded up to the stride of the coarsest level."""
    stride = 2**MAX_LEVEL
    height = self.width * base_size[0] / base_size[1]
    return math.ceil(height / stride) * stride, math.ceil(self.width / stride) * stride

  def override(self, model: Any) -> dict[str, Any]:
    """Returns the changes to the given section `task.model`; anchors keep their size in the image."""
    height, width = self.input_size(model.input_size)
    scale = min(height / model.input_size[0], width / model.input_size[1])
    pyramid = {
      'topology': TOPOLOGIES[self.pyramid],
      'num_repeats': self.num_repeats,
      'num_filters': self.num_filters,
      'use_separable_conv': True,
    }
    return {
      'input_size': [height, width, 3],
      'min_level': MIN_LEVEL,
      'max_level': MAX_LEVEL,
      'anchor': {'anchor_size': model.anchor.anchor_size * scale},
      'decoder': {'type': 'feature_pyramid', 'feature_pyramid': pyramid},
      'head': {'num_filters': 0, 'use_separable_conv': True},
      'anytime': {'enabled': self.anytime, 'loss_weights': []},
    }


def all_points() -> list[Point]:
  """Lists the whole plan, the most informative points first, so that a frontier stopped early is useful, too."""
  points = [
    Point(pyramid, repeats, filters, width)
    for filters in FILTERS
    for width in WIDTHS
    for repeats in REPEATS
    for pyramid in TOPOLOGIES
  ]
  points += [Point('nasfpnlite', REPEATS[-1], filters, width, anytime=True) for filters in FILTERS for width in WIDTHS]
  return points


def choose(patterns: Iterable[str]) -> list[Point]:
  """Selects the points whose names match a pattern; 'all' is the whole plan, 'small' a part for an afternoon.

  Raises:
    ValueError: a pattern that matches nothing.
  """
  points, chosen = all_points(), set()
  for pattern in patterns:
    parts = {'all': ('*',), 'small': SMALL}.get(pattern, (pattern,))
    found = {point for part in parts for point in points if fnmatch.fnmatchcase(point.name, part)}
    if not found:
      raise ValueError(
        f'--points={pattern}: there is no such point; the points are {", ".join(p.name for p in points)}.'
      )
    chosen |= found
  return [point for point in points if point in chosen]
