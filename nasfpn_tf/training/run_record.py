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

"""Records how a run was made, in its model_dir: run.json and a sheet of training images."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from typing import Any

import tensorflow as tf
from absl import logging
from official.core import config_definitions as cfg

from nasfpn_tf import failure, processor
from nasfpn_tf.training import checkpoints, contact_sheet

FILE = 'run.json'
TRAINING_IMAGES = 'training_images.jpg'
_PACKAGES = ('tensorflow', 'tf-keras', 'tf-models-official', 'numpy', 'faster-coco-eval', 'pillow', 'ai-edge-litert')


def add(model_dir: str, mode: str, start_step: int) -> None:
  """Adds this start of the run to run.json: when, by which command, with which code, on which machine.

  Args:
    model_dir: of the run.
    mode: what is done.
    start_step: where it goes on.
  """
  path = os.path.join(model_dir, FILE)
  starts = []
  if tf.io.gfile.exists(path):
    try:
      found = checkpoints.read_json(path)['starts']
      if not isinstance(found, list) or not all(isinstance(start, dict) for start in found):
        raise ValueError('no list of starts')
      starts = found
    except (ValueError, KeyError, TypeError):
      logging.warning('%s is damaged: starting a new one.', path)
  start = {
    'time': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'mode': mode,
    'step': start_step,
    'command': [sys.executable, *sys.argv],
    'directory': os.getcwd(),
    'revision': revision(),
    'python': platform.python_version(),
    'packages': versions(),
    'machine': {
      'system': platform.platform(),
      'processor': processor.name(),
      'devices': [device.device_type for device in tf.config.get_visible_devices()],
    },
  }
  tf.io.gfile.makedirs(model_dir)
  checkpoints.write_json(path, {'starts': [*starts, start]})


def revision() -> dict[str, Any] | None:
  """Returns the commit of this code and whether files of it were changed since; None where it is no git checkout."""
  root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

  def git(*arguments: str) -> str:
    done = subprocess.run(['git', '-C', root, *arguments], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()

  try:
    if os.path.realpath(git('rev-parse', '--show-toplevel')) != os.path.realpath(root):
      return None  # Installed into an environment that lies in someone else's repository.
    changed = git('status', '--porcelain', '--untracked-files=no')
    return {'commit': git('rev-parse', 'HEAD'), 'changed': bool(changed)}
  except (OSError, subprocess.SubprocessError):
    return None


def versions() -> dict[str, str]:
  """Returns the versions of the packages that decide what a run computes."""
  found = {}
  for name in ('nasfpn-tf', *_PACKAGES):
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def draw_training_images(model_dir: str, params: cfg.ExperimentConfig) -> None:
  """Draws twelve images as the detector gets them, with their boxes, unless that has been done."""
  path = os.path.join(model_dir, TRAINING_IMAGES)
  if '://' in model_dir or os.path.exists(path):
    return
  partial = os.path.join(model_dir, f'partial.{TRAINING_IMAGES}')
  try:
    contact_sheet.write_contact_sheet(partial, params.task.train_data, params.task.model)
    os.replace(partial, path)
  except (ValueError, OSError, tf.errors.OpError) as error:  # What is wrong with the data, training will say.
    logging.warning('%s could not be drawn: %s', path, failure.message(error))
