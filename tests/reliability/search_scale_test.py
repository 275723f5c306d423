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

"""A search with killed workers and coordinators has every trial once."""

import pytest

from tests.reliability import search_scale


@pytest.mark.slow
def test_a_search_whose_processes_are_killed_is_complete(capsys):
  """A minute; the figures of docs/reliability.md are of more trials and workers."""
  assert search_scale.main(['--trials=300', '--workers=20', '--kills=6']) == 0
  assert '"killed": {"worker": 3, "coordinator": 3}' in capsys.readouterr().out
