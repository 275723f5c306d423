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

import pytest

from nasfpn_tf.artifacts import layout
from tests.reliability import load


@pytest.mark.slow
def test_a_served_model_under_load(forms):
  """Eight clients at once: each gets what it gets alone, and the server's memory stays."""
  sizes = load.SIZES[:5]
  result = load.run(layout.latest_version(forms.saved_model), clients=8, seconds=60, sizes=sizes)
  assert result.errors == [] and len(result.milliseconds) > 8 * len(sizes)
  assert result.growth <= load.MOST_GROWTH, result.memory[:: max(1, len(result.memory) // 20)]


def test_growth_is_found():
  assert load.Result(memory=[100.0] * 10 + [200.0] * 30).growth == 0
  assert load.Result(memory=[*range(100, 140)]).growth > load.MOST_GROWTH
