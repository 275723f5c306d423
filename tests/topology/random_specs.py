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

"""Random valid topologies, for tests that must hold for every spec."""

import random

from nasfpn_tf import topology


def random_spec(seed: int) -> topology.PyramidSpec:
  """A valid pyramid of 2 to 6 levels: intermediate cells, then an output cell for each level in random order."""
  rng = random.Random(seed)
  min_level = rng.randint(2, 4)
  max_level = min_level + rng.randint(1, 5)
  num_levels = max_level - min_level + 1
  while True:
    levels = [(rng.randint(min_level, max_level), False) for _ in range(rng.randint(0, 5))]
    levels += [(level, True) for level in rng.sample(range(min_level, max_level + 1), num_levels)]
    cells = []
    for level, is_output in levels:
      op = rng.choice(topology.OPS)
      arity = topology.ops.get(op).arity or rng.randint(1, min(3, num_levels + len(cells)))
      cells.append(topology.CellSpec(level, op, tuple(rng.sample(range(num_levels + len(cells)), arity)), is_output))
    try:
      return topology.PyramidSpec(f'random_{seed}', min_level, max_level, tuple(cells))
    except ValueError as e:
      if 'is dead' not in str(e):  # The one way in which what is drawn above can be wrong.
        raise
