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

"""examples/tutorial.ipynb runs from its first cell to its last and leaves a detector."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

from tests import testing

NOTEBOOK = testing.repo_root() / 'examples' / 'tutorial.ipynb'


def code() -> list[str]:
  """Returns the code cells of the notebook."""
  cells = nbformat.read(NOTEBOOK, as_version=4).cells
  return [cell.source for cell in cells if cell.cell_type == 'code']


def test_it_is_a_notebook_without_outputs():
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  nbformat.validate(notebook)
  assert not any(cell.get('outputs') for cell in notebook.cells)


@pytest.mark.slow
def test_it_runs(tmp_path):
  """As one program in a process of its own, like a kernel that runs all cells."""
  environment = {**os.environ, 'PYTHONPATH': str(testing.repo_root()), 'TUTORIAL_DIR': str(tmp_path)}
  done = subprocess.run(
    [sys.executable, '-c', '\n'.join(code())],
    cwd=testing.repo_root(),
    env=environment,
    capture_output=True,
    text=True,
    timeout=1800,
  )
  assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
  facts = json.loads((tmp_path / 'detector_int8.json').read_text(encoding='utf-8'))
  assert facts['input_size'] == [256, 256] and len(facts['labels']) == 10
