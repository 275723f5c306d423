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

"""Reads and writes the files of a model_dir beside checkpoints and TensorBoard's events."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import yaml

from nasfpn_tf import topology
from nasfpn_tf.artifacts import layout
from nasfpn_tf.data.records import label_names
from nasfpn_tf.training import checkpoints
from nasfpn_tf.training.recipe import Recipe

_CATEGORY_PREFIX = 'AP/'


def write_description(model_dir: str, recipe: Recipe, overwrite: bool) -> None:
  """Writes params.yaml, topology.json and labels.json, which together say what the checkpoints are of.

  Args:
    model_dir: where to; made if it does not exist.
    recipe: the run.
    overwrite: whether files that are there are replaced.

  Raises:
    ValueError: one of the files is there, but not of a training.
  """
  tf.io.gfile.makedirs(model_dir)
  is_new = not tf.io.gfile.exists(os.path.join(model_dir, layout.PARAMS))
  if not (overwrite or is_new):
    return
  # Model Garden's own writer tags tuples as Python's, which safe readers refuse.
  texts = {layout.PARAMS: yaml.safe_dump(_plain(recipe.saved.as_dict()), sort_keys=False)}
  model = recipe.saved.task.model
  if hasattr(model.decoder.get(), 'topology'):
    spec = topology.resolve(model.decoder.get().topology)
    texts[layout.TOPOLOGY] = json.dumps(spec.to_dict(), indent=2) + '\n'
  if recipe.labels is not None:
    texts[label_names.FILE] = json.dumps(list(recipe.labels), indent=2) + '\n'
  for name, text in texts.items():
    path = os.path.join(model_dir, name)
    if is_new and tf.io.gfile.exists(path) and _content(path) != text.encode():
      raise ValueError(
        f'{path} exists, but without {layout.PARAMS} this is not the model_dir of a training, which would replace it:'
        f' give another model_dir, or restore {layout.PARAMS} where it is lost.'
      )
  for name, text in texts.items():
    checkpoints.write_text(os.path.join(model_dir, name), text)


def _content(path: str) -> bytes:
  with tf.io.gfile.GFile(path, 'rb') as file:
    return file.read()


def _plain(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {key: _plain(inner) for key, inner in value.items()}
  return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


class History:
  """train_history.jsonl, eval_history.jsonl and eval.json of a model_dir: one line a loop, one line an evaluation."""

  def __init__(self, model_dir: str, start_step: int | None = None):
    """Opens the history; lines after `start_step`, which a lost run left, are taken out."""
    self._train_path = os.path.join(model_dir, 'train_history.jsonl')
    self._eval_path = os.path.join(model_dir, 'eval_history.jsonl')
    self._result_path = os.path.join(model_dir, 'eval.json')
    self._started = time.monotonic()
    for path in (self._train_path, self._eval_path):
      _forget_after(path, start_step)

  def is_evaluated(self, step: int) -> bool:
    """Tells whether there is a line of the evaluation of `step`."""
    return any(line.get('step') == step for line in read_history(self._eval_path))

  def add_train(self, logs: Mapping[str, Any]) -> None:
    """Adds a line with `step`, the losses, `learning_rate`, `images_per_second` and `seconds` since the start."""
    line = {'step': int(logs['step'])} | {key: float(value) for key, value in logs.items() if key != 'step'}
    _append(self._train_path, line | {'seconds': self._seconds()})

  def add_evaluation(self, metrics: Mapping[str, float], step: int, checkpoint: str) -> None:
    """Writes eval.json and adds its content as a line to the history.

    eval.json has `step`, `checkpoint`, COCO's twelve metrics and the validation losses by name, from 0 to 1 and -1 for
    a size that the ground truth lacks, and `per_category`, AP by category name.
    """
    result = {'step': step, 'checkpoint': checkpoint}
    result |= {key: float(value) for key, value in metrics.items() if not key.startswith(_CATEGORY_PREFIX)}
    result['per_category'] = {
      key.removeprefix(_CATEGORY_PREFIX): float(value)
      for key, value in metrics.items()
      if key.startswith(_CATEGORY_PREFIX)
    }
    checkpoints.write_json(self._result_path, result)
    _append(self._eval_path, result | {'seconds': self._seconds()})

  def _seconds(self) -> float:
    return round(time.monotonic() - self._started, 3)


def read_history(path: str) -> list[dict[str, Any]]:
  """Reads the lines of a history; ignores damaged ones, such as an incomplete last line of a killed run."""
  if not tf.io.gfile.exists(path):
    return []
  lines = []
  with tf.io.gfile.GFile(path, 'rb') as file:
    for text in file.read().splitlines():
      try:
        line = json.loads(text)
      except (ValueError, RecursionError):  # Text that is not UTF-8 is a ValueError, too.
        continue
      if isinstance(line, dict) and isinstance(line.get('step'), int):
        lines.append(line)
  return lines


def _append(path: str, line: Mapping[str, Any]) -> None:
  with tf.io.gfile.GFile(path, 'a') as file:
    file.write(json.dumps(line) + '\n')


def _forget_after(path: str, step: int | None) -> None:
  """Takes out lines after `step`, and one that a killed run left unfinished: the next would be written behind it."""
  if not tf.io.gfile.exists(path):
    return
  kept = [line for line in read_history(path) if step is None or line['step'] <= step]
  text = ''.join(json.dumps(line) + '\n' for line in kept)
  with tf.io.gfile.GFile(path, 'rb') as file:
    is_same = file.read() == text.encode()
  if not is_same:
    checkpoints.write_text(path, text)
