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

"""train.py as a user runs it: a run, its evaluation from the model_dir alone, and errors of one line."""

import json
import os
import signal
import subprocess
import sys

import pytest

from nasfpn_tf import failure, startup
from tests import commands, testing
from tests.training import rectangles


def train(*arguments):
  environment = {key: value for key, value in os.environ.items() if key != 'TF_CPP_MIN_LOG_LEVEL'}
  return subprocess.run(
    [sys.executable, 'scripts/train.py', *arguments],
    cwd=testing.repo_root(),
    env={**environment, 'PYTHONPATH': str(testing.repo_root())},
    capture_output=True,
    text=True,
    timeout=300,
  )


@pytest.fixture
def config_file(tmp_path):
  """A YAML file with all of a tiny experiment on records beside it."""
  backbone = {
    'type': 'resnet',
    'resnet': {'model_id': 10, 'depth_multiplier': 0.25},
  }  # A new process does not know tests' own.
  prefix = rectangles.write(tmp_path, num_images=3, num_shards=1)
  params = rectangles.experiment(prefix, task={'model': {'backbone': backbone}})
  path = tmp_path / 'tiny.yaml'
  content = params.as_dict()
  content['task']['model']['backbone'].pop('tiny', None)
  path.write_text(json.dumps(content))  # JSON is YAML.
  return path


def test_train_then_evaluate(config_file, tmp_path):
  model_dir = tmp_path / 'run'
  done = train(
    f'--config_file={config_file}',
    f'--model_dir={model_dir}',
    '--mode=train',
    '--params_override=trainer.train_steps=2',
  )
  assert done.returncode == 0, done.stderr[-3000:]
  assert 'train 2/2' in done.stderr and str(model_dir) in done.stdout
  for noise in ('WARNING', 'CUDA', 'deprecated', 'I0000', 'Traceback'):
    assert noise not in done.stderr, done.stderr
  evaluated = commands.run('train.py', f'--model_dir={model_dir}', '--mode=eval')
  assert evaluated.returncode == 0, evaluated.stderr[-3000:]
  table = dict(line.split() for line in evaluated.stdout.splitlines() if len(line.split()) == 2)
  assert {'AP', 'AP50', 'ARmax100', 'AP/red', 'AP/blue'} <= set(table)
  assert json.loads((model_dir / 'eval.json').read_text())['step'] == 2


def test_a_typo_is_one_line(config_file, tmp_path):
  failed = commands.run(
    'train.py',
    f'--config_file={config_file}',
    f'--model_dir={tmp_path / "run"}',
    '--params_override=trainer.train_step=2',
  )
  assert failed.returncode == 1
  assert 'Traceback' not in failed.stderr
  lines = failed.stderr.strip().splitlines()
  assert len(lines) == 1 and lines[0].startswith('train: ') and 'train_step' in lines[0], failed.stderr
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  'script, number, code, remedy',
  [
    ('train', 'SIGTERM', 42, 'run the same command to start again'),
    ('train', 'SIGINT', 1, 'run the same command to start again'),
    ('search', 'SIGTERM', 42, 'run the same command to start again'),
    ('fit', 'SIGTERM', 1, 'run it again to resume.'),
    ('fit', 'SIGINT', 1, 'run it again to resume.'),
    ('quickstart', 'SIGTERM', 1, 'run it again to resume.'),
    ('frontier', 'SIGTERM', 1, 'the same command resumes.'),
    ('search_and_train', 'SIGTERM', 1, 'run it again to resume.'),
    ('predict', 'SIGTERM', 143, 'there are no results yet.'),
    ('predict', 'SIGINT', 130, 'there are no results yet.'),
    ('evaluate', 'SIGTERM', 143, 'there are no results yet.'),
  ],
)
def test_a_signal_while_it_starts_ends_it_with_a_line(script, number, code, remedy):
  """Before any handler of the run's own is there."""
  program = (
    f'import os, signal; from scripts import {script} as script; script.flags.mark_flags_as_required = print; '
    'signal.signal(signal.SIGINT, signal.default_int_handler); '
    f'script.app.run = lambda main: os.kill(os.getpid(), signal.{number}); script.run(); print("goes on")'
  )
  done = subprocess.run(
    [sys.executable, '-c', program], cwd=testing.repo_root(), capture_output=True, text=True, timeout=60
  )
  assert done.returncode == code and 'goes on' not in done.stdout
  assert done.stderr == f'{"search" if script == "search_and_train" else script}: stopped; {remedy}\n'


def test_ctrl_c_is_ignored_where_it_was_and_handed_over():
  before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
  try:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    startup.end_at_signals('try')
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
    startup.end_at_signals('try')
    assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) != signal.default_int_handler
    with failure.told('try'):
      assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
  finally:
    for number, handler in before:
      signal.signal(number, handler)
