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

"""Finds the checkpoints of a model_dir: the newest whole one and the best one."""

import json
import math
import os
import re
import tempfile
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from nasfpn_tf.artifacts import checkpoint_index, layout

NAME = 'ckpt'
BEST_DIR = 'best'
_DIVERGED = 'diverged'
_STEP = re.compile(r'-(\d+)$')


def step_of(path: str) -> int:
  """Returns the step in a checkpoint's name, `.../ckpt-1200`; 0 without one."""
  match = _STEP.search(path)
  return int(match.group(1)) if match else 0


def is_best(path: str | None) -> bool:
  """Tells whether `path` is the best checkpoint of a run, whose weights already are the moving averages."""
  return path is not None and os.path.basename(os.path.dirname(os.path.abspath(path))) == BEST_DIR


def available(directory: str) -> list[str]:
  """Lists the checkpoints of `directory`, newest step first, whole or not."""
  names = tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []
  found = [name.removesuffix('.index') for name in names if name.startswith(f'{NAME}-') and name.endswith('.index')]
  return sorted((os.path.join(directory, name) for name in found), key=step_of, reverse=True)


def without_index(directory: str) -> list[str]:
  """Lists the checkpoints of `directory` that have weights but no .index, newest step first."""
  names = tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []
  found = {name.partition('.data-')[0] for name in names if name.startswith(f'{NAME}-') and '.data-' in name}
  paths = {os.path.join(directory, name) for name in found} - set(available(directory))
  return sorted(paths, key=step_of, reverse=True)


def absent(directory: str) -> str:
  """Says why there is no checkpoint in `directory`, and what to do."""
  lost = without_index(directory)
  if lost:
    return f'{lost[0]}.index is missing, without which this checkpoint cannot be read: copy it again, or name another.'
  if not tf.io.gfile.exists(directory):
    return f'{directory}: no such checkpoint or directory. Check the name.'
  return f'There is no checkpoint in {directory}: train first, or give a model_dir with a saved checkpoint.'


def broken(path: str) -> str | None:
  """Returns what is wrong with the checkpoint `path`: reads every tensor, which checks its length and checksum."""
  try:
    problem = checkpoint_index.problem(path)
    if problem:
      return problem
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:  # IndexError: the file is too short.
    return str(error).strip().splitlines()[0]
  return None


def newest_intact(directory: str) -> str | None:
  """Returns the newest whole checkpoint of `directory`, or None without checkpoints.

  A checkpoint that a killed run left half-written is passed over with a warning.

  Raises:
    ValueError: there are checkpoints, but none is whole.
  """
  paths = available(directory)
  if paths:
    layout.check_path(directory)
  for path in without_index(directory):
    if not paths or step_of(path) > step_of(paths[0]):
      logging.warning('%s has no .index: its save was cut short, or the file is lost; it is passed over.', path)
  for path in paths:
    problem = broken(path)
    if problem is None:
      return path
    logging.warning('%s is damaged (%s); trying the previous one.', path, problem)
  if paths:
    raise ValueError(
      f'None of the {len(paths)} checkpoints in {directory} is whole, {paths[-1]} the last ({problem}): copy them'
      ' again, or train again in another model_dir.'
    )
  return None


def set_aside(directory: str, step: int) -> str | None:
  """Renames checkpoint `step` of a model_dir, whose weights turned out to be unusable, to diverged-<step>.

  Returns:
    One sentence for the user; None if there is no such checkpoint.
  """
  bad, new = os.path.join(directory, f'{NAME}-{step}'), os.path.join(directory, f'{_DIVERGED}-{step}')
  if not tf.io.gfile.exists(bad + '.index'):
    return None
  # The index goes first: without it the rest is no checkpoint.
  for path in sorted(tf.io.gfile.glob(bad + '.*'), key=lambda path: not path.endswith('.index')):
    tf.io.gfile.rename(path, new + path.removeprefix(bad), overwrite=True)
  kept = available(directory)
  if kept:
    tf.compat.v1.train.update_checkpoint_state(directory, kept[0], kept[::-1])
    return f'{bad} contains the weights that led to this: it is now {new}; the same command continues from {kept[0]}.'
  state = os.path.join(directory, 'checkpoint')
  if tf.io.gfile.exists(state):
    tf.io.gfile.remove(state)
  return f'{bad} contains the weights that led to this: it is now {new}; the same command starts from the beginning.'


def resolve(path: str) -> str:
  """Resolves `path` to a checkpoint: itself, the newest whole one of a directory, or that of a SavedModel.

  Raises:
    ValueError: there is none, or it is damaged.
  """
  if tf.io.gfile.isdir(path):
    exported = layout.find_saved_model(path)
    found = layout.saved_model_checkpoint(exported) if exported else newest_intact(path)
    found = found or tf.train.latest_checkpoint(path)
    if not found:
      raise ValueError(absent(path))
    path = found
  path = path.removesuffix('.index')
  if not tf.io.gfile.exists(path + '.index'):
    raise ValueError(
      f'{path} is not a checkpoint: {path}.index does not exist. Give a model_dir, a SavedModel, or a checkpoint'
      ' without its .index.'
    )
  problem = checkpoint_index.problem(path)
  if problem:
    raise ValueError(f'checkpoint {path!r} is damaged or not whole ({problem}): copy it again, or name another.')
  return path


class CheckpointManager(tf.train.CheckpointManager):
  """TensorFlow's manager that counts the interval from the step it starts at, and saves a step only once."""

  _saved_step = 0

  def start_at(self, step: int) -> None:
    """Takes `step` as saved."""
    self._saved_step = step

  def save(self, checkpoint_number: int, check_interval: bool = True, options: Any = None) -> str | None:
    """Saves step `checkpoint_number`; None if it is saved already or, with `check_interval`, not due."""
    due = self.checkpoint_interval if check_interval else 1
    if checkpoint_number - self._saved_step < due:
      return None
    self._saved_step = checkpoint_number
    return super().save(checkpoint_number, check_interval=False, options=options)


class BestCheckpoint:
  """Keeps the checkpoint of the best evaluation in `model_dir/best`, with its metrics in `best/eval.json`.

  It has the interface that Model Garden's trainer calls. In a run of several workers each must call it, because saving
  reads variables of all of them; only the chief's files stay.
  """

  def __init__(self, directory: str, metric: str, higher_is_better: bool, is_chief: bool = True):
    """Takes up the best metric that an earlier run has left in `directory`."""
    self._metric = metric
    self._sign = 1.0 if higher_is_better else -1.0
    self._metrics_path = os.path.join(directory, 'eval.json')
    self._directory = directory if is_chief else tempfile.mkdtemp(prefix='nasfpn_best_')
    self._is_chief = is_chief
    self._manager = None
    self.best_ckpt_logs = {metric: -self._sign * float('inf')}
    if tf.io.gfile.exists(self._metrics_path):
      self.best_ckpt_logs = read_json(self._metrics_path)
      if not (isinstance(self.best_ckpt_logs, dict) and isinstance(self.best_ckpt_logs.get(metric), int | float)):
        raise ValueError(f'{self._metrics_path}: has no {metric}; remove it to start without a best checkpoint.')
      if not available(directory):
        logging.warning('%s: its checkpoint is gone; the next evaluation is the best one.', self._metrics_path)
        self.best_ckpt_logs = {metric: -self._sign * float('inf')}

  def maybe_export_checkpoint(
    self, checkpoint: tf.train.Checkpoint, eval_logs: Mapping[str, Any], global_step: int, write_logs: bool = True
  ) -> bool:
    """Saves the checkpoint if `eval_logs` is better than all before it; says whether it did."""
    if self._metric not in eval_logs:
      raise ValueError(
        f'trainer.best_checkpoint_eval_metric is {self._metric!r}, but the evaluation returns {sorted(eval_logs)}.'
      )
    value = float(eval_logs[self._metric])
    if any(math.isnan(float(other)) for other in eval_logs.values()):
      return False  # Weights that are no numbers detect nothing, which is no error to the metrics.
    if not self._sign * value > self._sign * float(self.best_ckpt_logs[self._metric]):
      return False
    self.best_ckpt_logs = {key: float(v) for key, v in eval_logs.items()} | {'step': int(global_step)}
    if self._manager is None:
      self._manager = tf.train.CheckpointManager(checkpoint, self._directory, max_to_keep=1, checkpoint_name=NAME)
    self._manager.save(checkpoint_number=int(global_step))
    if write_logs and self._is_chief:
      write_json(self._metrics_path, self.best_ckpt_logs)
    return True


def write_json(path: str, value: Any) -> None:
  """Writes `value` as JSON in one step, so that a reader never sees half a file."""
  write_text(path, json.dumps(value, indent=2) + '\n')


def read_json(path: str) -> Any:
  """Returns the value in a JSON file; a ValueError where it is none."""
  with tf.io.gfile.GFile(path) as file:
    try:
      return json.loads(file.read())
    except (ValueError, RecursionError) as error:
      raise ValueError(f'{path}: not JSON: {error}') from error


def write_text(path: str, text: str) -> None:
  """Writes a file in one step, so that a reader never sees half of it."""
  partial = f'{path}.partial'
  with tf.io.gfile.GFile(partial, 'w') as file:
    file.write(text)
  tf.io.gfile.rename(partial, path, overwrite=True)
