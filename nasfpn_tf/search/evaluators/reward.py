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

"""Computes the reward of a trial: AP, or AP weighed against a cost."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Reward:
  """`AP * (cost / target) ** exponent`; AP alone where there is no target.

  NAS-FPN's is AP alone (arXiv 1904.07392, sec. 4.1); the weighed one is MnasNet's, with a negative exponent (MnasFPN
  uses -0.3).

  Attributes:
    target: cost that leaves AP as it is, in the unit of the cost: multiply-adds or milliseconds.
    exponent: how strongly the cost counts; 0 is not at all.

  Raises:
    ValueError: at construction, if the target or the exponent cannot be meant.
  """

  target: float | None = None
  exponent: float = 0.0

  def __post_init__(self):
    if self.target is not None and not (math.isfinite(self.target) and self.target > 0):
      raise ValueError(f'reward: target {self.target} must be a positive number.')
    if not math.isfinite(self.exponent) or self.exponent > 0:
      raise ValueError(f'reward: exponent {self.exponent} must be 0 or negative; a positive one rewards cost.')
    if self.exponent and self.target is None:
      raise ValueError(f'reward: exponent {self.exponent} needs a target to weigh the cost against.')

  def __call__(self, ap: float, cost: float | None = None) -> float:
    """Computes the reward of an AP at a cost; a ValueError if a cost is needed and is not positive."""
    if self.target is None or not self.exponent:
      return ap
    if cost is None or not (math.isfinite(cost) and cost > 0):
      raise ValueError(f'reward: the cost must be positive to weigh AP against it, not {cost}.')
    return ap * (cost / self.target) ** self.exponent
