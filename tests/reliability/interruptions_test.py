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

"""A few of the interruptions of docs/reliability.md; `python -m tests.reliability.interruptions` does more."""

import os
import subprocess
import sys

import pytest

from tests import testing


@pytest.mark.slow
@pytest.mark.parametrize('signal_name', ['KILL', 'TERM'])
def test_what_is_interrupted_ends_as_what_is_not(signal_name):
  done = subprocess.run(
    [sys.executable, '-m', 'tests.reliability.interruptions', f'--signal={signal_name}', '--count=12', '--seed=7'],
    cwd=testing.repo_root(),
    env={**os.environ, 'PYTHONPATH': str(testing.repo_root())},
    capture_output=True,
    text=True,
    timeout=3600,
  )
  assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
