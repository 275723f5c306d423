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

"""What importing nasfpn_tf sets: quiet commands on machines without a GPU, and errors where there is one."""

import os
import subprocess
import sys

import pytest

import nasfpn_tf
from tests import testing

LISTS_DEVICES = 'import nasfpn_tf, tensorflow as tf; tf.config.list_physical_devices()'


def run(arguments, **variables):
  """Runs Python without the settings of this process; returns what it wrote to standard error."""
  unset = ('TF_CPP_MIN_LOG_LEVEL', 'TF_USE_LEGACY_KERAS')
  environment = {key: value for key, value in os.environ.items() if key not in unset}
  environment |= {'PYTHONPATH': str(testing.repo_root()), **variables}
  done = subprocess.run(
    [sys.executable, *arguments], env=environment, cwd=testing.repo_root(), capture_output=True, text=True, timeout=300
  )
  assert done.returncode == 0, done.stderr
  return done.stderr


@pytest.mark.skipif(nasfpn_tf._has_gpu(), reason='this machine has a GPU')
def test_tensorflow_says_nothing_without_a_gpu():
  assert run(['-c', LISTS_DEVICES]) == ''


@pytest.mark.skipif(nasfpn_tf._has_gpu(), reason='this machine has a GPU')
def test_a_command_says_nothing_without_a_gpu(tmp_path):
  """Drawing the digits and writing them as records lists the devices."""
  assert 'E0000' not in run(['scripts/make_digits.py', f'--output_dir={tmp_path}', '--num_train=2', '--num_val=1'])
  written = run(
    [
      'scripts/create_tfrecord.py',
      f'--annotations={tmp_path}/val.json',
      f'--image_dir={tmp_path}/val',
      f'--output_prefix={tmp_path}/val',
    ]
  )
  assert 'cuInit' not in written and 'cuda' not in written.lower()


def test_a_level_that_is_set_stays():
  assert 'cuInit' in run(['-c', LISTS_DEVICES], TF_CPP_MIN_LOG_LEVEL='0') or nasfpn_tf._has_gpu()


@pytest.mark.parametrize('path, text', [('dev/nvidia0', ''), ('sys/bus/pci/devices/0000:01:00.0/vendor', '0x10de\n')])
def test_a_gpu_is_found_with_and_without_its_driver(tmp_path, path, text):
  other = tmp_path / 'sys/bus/pci/devices/0000:00:00.0/vendor'
  other.parent.mkdir(parents=True)
  other.write_text('0x8086\n')
  assert not nasfpn_tf._has_gpu(str(tmp_path))
  (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
  (tmp_path / path).write_text(text)
  assert nasfpn_tf._has_gpu(str(tmp_path))


@pytest.mark.parametrize('gpu, level', [(True, '2'), (False, '3')])
def test_errors_are_logged_where_there_is_a_gpu(gpu, level):
  """The package chooses the level by what it finds."""
  code = f"""
import glob, os, pathlib
glob.glob = lambda pattern: ['/dev/nvidia0'] if {gpu} else []
pathlib.Path.glob = lambda self, pattern: iter(())
exists = os.path.exists
os.path.exists = lambda path: False if 'dxg' in str(path) else exists(path)
import nasfpn_tf
assert os.environ['TF_CPP_MIN_LOG_LEVEL'] == {level!r}
"""
  run(['-c', code])
