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

"""The quickstart as a user runs it."""

import json
import subprocess
import sys

import pytest

from tests import commands, testing

_SCRIPTS = testing.repo_root() / 'scripts'


@pytest.mark.slow
def test_runs_from_end_to_end_and_only_once(tmp_path):
  """Two minutes: every command of the chain on a few images, in a path with a space, from another directory."""
  output_dir = tmp_path / 'out put'
  command = [sys.executable, str(_SCRIPTS / 'quickstart.py'), '--smoke', f'--output_dir={output_dir}']
  first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
  assert first.returncode == 0, first.stderr[-3000:]
  report = (output_dir / 'report.html').read_text()
  for form in ('keras', 'saved_model', 'tflite_float', 'tflite_int8'):
    result = json.loads((output_dir / 'evaluation' / form / 'evaluation.json').read_text())
    assert result['num_images'] == 10 and 0 <= result['AP'] <= 1
  assert report.count('class="b-truth"') >= 10
  assert 'there already' not in first.stdout and 'Next, on your own images' in first.stdout

  second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
  assert second.returncode == 0, second.stderr[-3000:]
  assert second.stdout.count('there already') == 10


def test_a_wrong_flag_is_named(tmp_path):
  done = commands.run('quickstart.py', '--smokey', cwd=tmp_path)
  assert done.returncode != 0 and 'smokey' in done.stderr
