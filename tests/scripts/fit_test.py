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
"""A fit as a user runs it."""

import json
import subprocess
import sys

import pytest

from tests import commands, testing
from tests.fit.dataset import layouts

_SCRIPT = testing.repo_root() / 'scripts' / 'fit.py'


def _run(*arguments):
  return subprocess.run([sys.executable, str(_SCRIPT), *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.slow
def test_goes_from_images_to_a_report_and_does_it_only_once(tmp_path):
  """Three minutes: every step on a few images."""
  data, out = tmp_path / 'my images', tmp_path / 'out put'
  layouts.images(data / 'JPEGImages', range(10))
  layouts.voc(data / 'Annotations', range(10))
  arguments = (data, '--minutes=3', '--images_per_second=40', f'--output_dir={out}')
  first = _run(*arguments)
  assert first.returncode == 0, first.stderr[-3000:]
  for form in ('keras', 'saved_model', 'tflite_float', 'tflite_int8'):
    assert json.loads((out / 'evaluation' / form / 'evaluation.json').read_text())['num_images'] == 2
  assert 'plan.yaml' in (out / 'report.html').read_text() and 'Next:' in first.stdout
  second = _run(*arguments)
  assert second.returncode == 0, second.stderr[-3000:]
  assert second.stdout.count('there already') == 12


@pytest.mark.slow
def test_without_int8_everything_else_is_made(tmp_path):
  """Two minutes: after 50 steps the detector finds nothing yet, and cannot be calibrated."""
  data, out = tmp_path / 'images', tmp_path / 'out'
  layouts.images(data / 'JPEGImages', range(10))
  layouts.voc(data / 'Annotations', range(10))
  done = _run(data, '--minutes=3', '--images_per_second=0.1', f'--output_dir={out}')
  assert done.returncode == 1 and 'fit: Not made: Export TFLite, int8' in done.stderr
  assert 'the model finds nothing in the calibration images' in done.stdout
  assert 'Not made:\n  Export TFLite, int8: failed, see logs/tflite_int8.log' in done.stdout
  for form in ('keras', 'saved_model', 'tflite_float'):
    assert json.loads((out / 'evaluation' / form / 'evaluation.json').read_text())['num_images'] == 2
  assert 'failed, see logs/tflite_int8.log' in (out / 'report.html').read_text()
  assert 'detector_float' in done.stdout.split('Next:')[1] and 'detector_int8' not in done.stdout.split('Next:')[1]


@pytest.mark.parametrize(
  'arguments, words', [(('--minutes=1',), 'too short'), (('--minutes=30',), 'no such directory')]
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, words, tmp_path):
  done = commands.run('fit.py', tmp_path / 'missing', *arguments, f'--output_dir={tmp_path / "out"}')
  assert done.returncode == 1 and words in done.stderr and 'Traceback' not in done.stderr
