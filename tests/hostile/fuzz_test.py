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

"""Damaged files of every kind end in acceptance or in a refusal that names the file; `fuzz` runs many more."""

import random

import pytest

from tests.hostile import fuzz, kinds, mutations

# What takes 20 seconds to import.
_TENSORFLOW = (
  *('JPEG', 'PNG', 'GIF', 'WebP', 'SavedModel', 'checkpoint', 'TFRecord', 'evaluation JSON', 'best evaluation'),
)


def test_the_same_seed_damages_alike():
  content = b'{"a": [1, 2, {"b": "c"}]}' * 3
  found = [[mutations.mutate(content, random.Random(seed)) for seed in range(50)] for _ in range(2)]
  assert found[0] == found[1]
  assert sum(content != damaged for damaged in found[0]) > 40


def test_damaged_files():
  light = [kind for kind in kinds.KINDS if kind not in _TENSORFLOW]
  found = fuzz.run(light, 40, seed=1)
  assert found['faults'] == []
  assert sum(found['counts'].values()) == 40 * len(light) and min(found['counts'].values()) > len(light)


@pytest.mark.slow
def test_damaged_files_that_tensorflow_reads():
  assert fuzz.run(_TENSORFLOW, 60, seed=1)['faults'] == []
