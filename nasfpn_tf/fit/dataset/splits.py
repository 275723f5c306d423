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
"""Chooses validation images: seeded, with every class on both sides where that is possible, duplicates together."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

FRACTION = 0.2
MOST = 500  # Validation images: AP is then known within about a point, and evaluating more takes time from training.


def choose(
  names: Sequence[str],
  groups: Sequence[Hashable],
  classes: Sequence[frozenset[int]],
  seed: int = 0,
  taken: Mapping[str, bool] | None = None,
) -> np.ndarray:
  """Chooses the validation images.

  Iterative stratification (Sechidis et al., ECML PKDD 2011) by groups: classes from the one in the fewest groups on,
  each gets its share of the validation images from those of its groups that have no side yet. A class in two groups
  or more is on both sides unless its groups were given away to others before.

  Args:
    names: of the images, which with the seed give their order.
    groups: of each image; a group is never divided.
    classes: of the boxes of each image.
    seed: another one gives another choice.
    taken: whether an image is for validation, for those that are known from an earlier choice.

  Returns:
    bool `[n]`.
  """
  members: dict[Hashable, list[int]] = {}
  for index, group in enumerate(groups):
    members.setdefault(group, []).append(index)
  order = sorted(members, key=lambda group: _draw(seed, min(names[index] for index in members[group])))
  of_group = {group: frozenset().union(*(classes[index] for index in indices)) for group, indices in members.items()}
  side: dict[Hashable, bool] = {}
  for group, indices in members.items():
    known = [taken[names[index]] for index in indices if taken and names[index] in taken]
    if known:
      side[group] = any(known)
  wanted = min(MOST, max(1, round(FRACTION * len(names))))
  share = wanted / len(names)
  having = {label: [group for group in order if label in of_group[group]] for label in frozenset().union(*classes)}
  for label in sorted(having, key=lambda label: (len(having[label]), label)):
    mine = having[label]
    count = min(max(1, round(share * len(mine))), len(mine) - 1)
    free = [group for group in mine if group not in side]
    missing = count - sum(side.get(group, False) for group in mine)
    # One group at least stays for training.
    if not any(side.get(group) is False for group in mine) and free:
      missing = min(missing, len(free) - 1)
    for position, group in enumerate(free):
      side[group] = position < missing
  chosen = sum(len(members[group]) for group, is_validation in side.items() if is_validation)
  for group in order:
    if group not in side:
      side[group] = chosen + len(members[group]) <= wanted or not chosen
      chosen += len(members[group]) * side[group]
  return np.array([side[group] for group in groups], bool)


def _draw(seed: int, name: str) -> bytes:
  return hashlib.sha256(f'{seed}:{name}'.encode()).digest()
