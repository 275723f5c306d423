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

"""Tests of export_saved_model.py as a user runs it."""

import json
import os

import pytest

from tests import commands


def _run(*flags):
  return commands.run('export_saved_model.py', *flags)


def test_exported_from_a_model_dir(forms, tmp_path):
  result = _run(
    f'--model={forms.model_dir}',
    f'--export_dir={tmp_path}/my models/toy',
    '--input_type=image_bytes',
    '--batch_size=1',
    f'--images={forms.images}',
  )
  assert result.returncode == 0, result.stderr
  version = tmp_path / 'my models' / 'toy' / '1'
  first, second = result.stdout.splitlines()
  assert first == f'{version}: detects what the model detects'
  report = json.loads((version / 'export.json').read_text())
  assert second == f'{report["dtype"]} ({report["dtype_reason"]})' and report['dtype'] in ('float32', 'bfloat16')
  assert (report['serving_default'], report['batch_size'], report['checked_images']) == ('image_bytes', 1, 4)


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--model=absent'], "export_saved_model: 'absent' is not a file, a model_dir or a name in configs/"),
    ([], 'give --model, or --config_file'),
  ],
)
def test_what_cannot_be_exported(flags, message, tmp_path):
  result = _run(*flags, f'--export_dir={tmp_path}/out')
  assert result.returncode == 1
  assert message in result.stderr + result.stdout
  assert 'Traceback' not in result.stderr
  assert not os.listdir(tmp_path)
