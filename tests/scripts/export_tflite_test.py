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

"""Tests of export_tflite.py as a user runs it."""

import json
import os

import pytest

from tests import commands


def _run(*flags):
  return commands.run('export_tflite.py', *flags)


def test_exported_from_a_saved_model(forms, tmp_path):
  result = _run(
    f'--saved_model_dir={forms.saved_model}', f'--tflite_path={tmp_path}/my files/toy.tflite', '--quant_type=fp16'
  )
  assert result.returncode == 0, result.stderr
  facts = json.loads((tmp_path / 'my files' / 'toy.json').read_text())
  assert facts['quant_type'] == 'fp16'
  assert facts['size_bytes'] == os.path.getsize(tmp_path / 'my files' / 'toy.tflite')
  assert result.stdout.startswith(f'{tmp_path}/my files/toy.tflite: {facts["size_bytes"] / 1e6:.2f} MB, largest errors')


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--saved_model_dir=x', '--quant_type=int8'], '--quant_type=int8 needs --calibration_tfrecord'),
    (['--saved_model_dir=x', '--model=y'], 'give either --saved_model_dir or --model'),
  ],
)
def test_what_cannot_be_exported(flags, message, tmp_path):
  result = _run(*flags, f'--tflite_path={tmp_path}/x.tflite')
  assert result.returncode == 1
  assert message in result.stderr + result.stdout
  assert 'Traceback' not in result.stderr
  assert not os.listdir(tmp_path)


def test_calibration_records_without_an_image(tmp_path):
  records = tmp_path / 'val.tfrecord'
  records.touch()
  result = _run(
    '--model=absent', '--quant_type=int8', f'--calibration_tfrecord={records}', f'--tflite_path={tmp_path}/x.tflite'
  )
  assert result.returncode == 1
  assert f'export_tflite: {records}: 0 distinct images are too few to calibrate with' in result.stderr
  assert 'Traceback' not in result.stderr
  assert os.listdir(tmp_path) == ['val.tfrecord']
