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

"""Every comparison runs, in small, and finds that the sides agree."""

import subprocess
import sys

import pytest

from tests import testing

_SMALL = ['--num_filters=16', '--num_repeats=1', '--image_size=128']
_PROGRAMS = {
  'coco_evaluation': ['--num_images=100', '--runs=1'],
  'input_pipeline': ['--num_images=16', '--runs=1', '--image_size=256'],
  'neck_mmdetection': ['--num_filters=16', '--num_repeats=1', '--image_size=128', '--channels=8,16,24', '--runs=2'],
  'neck_forward': [*_SMALL, '--separable', '--channels=8,16,24', '--runs=2'],
  'postprocessing': ['--image_size=256', '--num_classes=21', '--num_images=2', '--runs=2', '--peers=batched'],
  'recompute': [*_SMALL, '--batch=1', '--model_id=10', '--steps=1'],
  'scaling': ['--along=boxes', '--values=5,20', '--image_size=128', '--runs=1', '--output={tmp_path}/boxes.svg'],
  'search_comparison': ['--max_trials=25', '--seeds=0', '--rewards=likeness:0'],
  'serving': [*_SMALL, '--separable', '--backbone=mobilenet', '--runs=1'],
  'startup': ['--runs=1', '--scripts=describe.py,create_tfrecord.py'],
  'step_parts': [*_SMALL, '--separable', '--model_id=10', '--batch=1', '--runs=1'],
  'tfrecord_writing': ['--num_images=6', '--num_shards=2'],
  'training_step': [*_SMALL, '--separable', '--model_id=10', '--batch=2', '--steps=1', '--pairs=1'],
}
_NEEDS = {'neck_mmdetection': ('torch', 'mmdet', 'mmcv')}


@pytest.mark.slow
@pytest.mark.parametrize('name', list(_PROGRAMS))
def test_it_runs(name, tmp_path):
  for package in _NEEDS.get(name, ()):
    pytest.importorskip(package, reason=f'{name} compares with {package}')
  flags = [flag.format(tmp_path=tmp_path) for flag in _PROGRAMS[name]]
  command = [sys.executable, '-m', f'benchmarks.{name}', *flags]
  done = subprocess.run(command, cwd=testing.repo_root(), capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-2000:]
  assert '|---|' in done.stdout
