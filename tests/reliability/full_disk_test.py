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

"""Disks that fill and directories that cannot be written: one line says which, and what was there stays."""

import json
import os
import resource
import subprocess
import sys

import pytest

from nasfpn_tf.data.records import framing, manifest
from tests import testing
from tests.data import samples
from tests.training import rectangles


def run(limit, *arguments):
  """Runs a script that cannot write a file of more than `limit` bytes, as on a disk without room for it."""

  def no_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

  return subprocess.run(
    [sys.executable, *arguments],
    cwd=testing.repo_root(),
    env={**os.environ, 'PYTHONPATH': str(testing.repo_root())},
    capture_output=True,
    text=True,
    timeout=600,
    preexec_fn=no_room,
  )


def create(directory, limit):
  return run(
    limit,
    'scripts/create_tfrecord.py',
    f'--annotations={directory}/a.json',
    f'--image_dir={directory}/images',
    f'--output_prefix={directory}/x',
    '--num_shards=1',
  )


@pytest.mark.slow
def test_a_disk_that_fills_while_records_are_written(tmp_path):
  value = samples.coco_value()
  samples.write_images(tmp_path / 'images', value)
  (tmp_path / 'a.json').write_text(json.dumps(value))
  full = create(tmp_path, 700)
  assert full.returncode == 1 and 'Traceback' not in full.stderr, full.stderr
  last = full.stderr.strip().splitlines()[-1]
  assert last.startswith(f'create_tfrecord: {tmp_path}/x: the records cannot be written') and 'Make room' in last
  assert sorted(path.name for path in tmp_path.iterdir()) == ['a.json', 'images']
  good = create(tmp_path, 10**9)
  assert good.returncode == 0, good.stderr
  before = {path.name: path.read_bytes() for path in tmp_path.glob('x*')}
  again = create(tmp_path, 700)
  assert again.returncode == 1 and 'the existing set is unchanged' in again.stderr
  assert {path.name: path.read_bytes() for path in tmp_path.glob('x*')} == before
  found = manifest.find_manifest(str(tmp_path / 'x'))
  assert framing.check_files(found.shard_paths, data=True) == found.num_records


@pytest.mark.slow
def test_a_disk_that_fills_while_a_checkpoint_is_saved(tmp_path):
  """The checkpoint before it stays the newest, and the run goes on from there once there is room."""
  prefix = rectangles.write(tmp_path, num_images=3, num_shards=1)
  model = {'decoder': {'feature_pyramid': {'topology': 'fpn'}}, 'backbone': rectangles.NARROW_RESNET}
  params = rectangles.experiment(prefix, task={'model': model})
  (tmp_path / 'tiny.yaml').write_text(json.dumps(params.as_dict()))

  def train(limit, steps):
    return run(
      limit,
      'scripts/train.py',
      f'--config_file={tmp_path}/tiny.yaml',
      f'--model_dir={tmp_path}/run',
      '--mode=train',
      f'--params_override=trainer.train_steps={steps}',
    )

  assert train(10**9, 2).returncode == 0
  before = {path.name: path.read_bytes() for path in (tmp_path / 'run').glob('ckpt-2.*')}
  full = train(200_000, 4)
  assert full.returncode == 1 and 'Traceback' not in full.stderr, full.stderr[-2000:]
  assert full.stderr.strip().splitlines()[-1].startswith('train: '), full.stderr[-2000:]
  assert {path.name: path.read_bytes() for path in (tmp_path / 'run').glob('ckpt-2.*')} == before
  done = train(10**9, 4)
  assert done.returncode == 0 and f'from {tmp_path}/run/ckpt-2' in done.stderr, done.stderr[-2000:]


@pytest.mark.slow
def test_every_command_that_writes():
  """In a process of its own, which forks before it begins to use TensorFlow."""
  command = [sys.executable, '-m', 'tests.reliability.full_disk']
  done = subprocess.run(command, cwd=testing.repo_root(), capture_output=True, text=True, timeout=1800, check=False)
  assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / 'file').write_text('no directory')
  value = samples.coco_value()
  samples.write_images(tmp_path / 'images', value)
  (tmp_path / 'a.json').write_text(json.dumps(value))
  from nasfpn_tf.data.records import tfrecord
  from nasfpn_tf.data.sources.problems import DataError

  with pytest.raises(DataError, match='cannot be written') as error:
    tfrecord.write_tfrecords(value, tmp_path / 'images', tmp_path / 'file' / 'x', progress=False)
  assert str(tmp_path / 'file') in str(error.value)
