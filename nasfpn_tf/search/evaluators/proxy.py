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

"""Evaluates by the proxy task: trains a child briefly; its AP on the held-out split is the reward.

The paper's (arXiv 1904.07392, sec. 4.1): ResNet-10, 3 repeats, 512 pixels, 10 epochs, learning rate 0.08 divided by 10
at epoch 8, AP on 7,392 training images set apart: configs/search/nasfpn_coco_paper.yaml.
"""

import dataclasses
import functools
import gc
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import config_definitions as cfg

from nasfpn_tf import failure
from nasfpn_tf.search.evaluators import child as child_lib
from nasfpn_tf.search.evaluators import halving, restarted
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import Measurement, Trial
from nasfpn_tf.training import loop, strategy, trainer

MODEL_DIR = 'child'


@dataclasses.dataclass(frozen=True)
class ProxyConfig:
  """The keys that this evaluator has besides those of `ChildConfig`.

  Attributes:
    rebuild: whether a detector is built for each child. Otherwise pyramids are exchanged in one detector that begins
      each training with the same weights (`restarted`): no time goes into building and tracing, and no files, moving
      average of the weights or early stop are available.
    keep_checkpoints: whether a child's checkpoints stay.
    halving: keys of `halving.HalvingConfig`: the reward of a trial that is stopped early is that of the AP it had by
      then.

  Raises:
    SearchError: at construction, naming the key.
  """

  rebuild: bool = True
  keep_checkpoints: bool = False
  halving: Any = None

  def __post_init__(self):
    child_lib.check_types(self)
    if not self.rebuild and (self.keep_checkpoints or self.halving is not None):
      key = 'keep_checkpoints' if self.keep_checkpoints else 'halving'
      raise SearchError(f'evaluator: {key} needs a detector of each child: remove it, or rebuild: false.')


def evaluate(trial: Trial, work_dir: str, config: Mapping[str, Any], space: SearchSpace | None = None) -> Measurement:
  """Trains and evaluates the child of a trial; see `evaluator.Evaluator`.

  A child whose loss or detections become NaN, or that does not fit into the device's memory, has failed. In a directory
  where an attempt at the trial was stopped the training goes on from its newest checkpoint.

  Args:
    trial: with the JSON form of an architecture.
    work_dir: the child's parameters, curves and metrics stay in `work_dir/child`, its checkpoints do not.
    config: keys of `child.ChildConfig` and of `ProxyConfig`.
    space: what the trial is drawn from; unset: a space of pyramids.

  Raises:
    SearchError: no child can be trained: a key that does not exist, records that are missing.
    SystemExit: code 42, after a termination signal; a checkpoint has been saved.
  """
  started = time.monotonic()
  names = {field.name for field in dataclasses.fields(ProxyConfig)}
  ours = ProxyConfig(**{key: value for key, value in config.items() if key in names})
  config = {key: value for key, value in config.items() if key not in names}
  early = halving.HalvingConfig.read(ours.halving) if ours.halving is not None else None
  child = child_lib.ChildConfig.read(config, space)
  reward, params = child.reward_function(), child.experiment_of(trial.architecture)
  if space is not None:
    _check_target(json.dumps([dataclasses.asdict(child), space.to_json()], sort_keys=True), child, space)
  rungs = _rungs(early, params, trial.id, work_dir) if early else loop.Rungs()
  model_dir = os.path.join(work_dir, MODEL_DIR)
  try:
    cost = child.cost_of(params)
    if ours.rebuild:
      ap = _build_and_train(params, model_dir, rungs)
    else:
      ap = restarted.average_precision(child, space, trial.architecture)
    measurement = Measurement(reward(ap, cost), ap, cost, time.monotonic() - started)
  except SearchError:
    raise
  except Exception as e:
    if not failure.is_expected(e):
      raise
    measurement = child_lib.failure_of(e, time.monotonic() - started, work_dir)
  if not ours.keep_checkpoints:
    _remove_checkpoints(model_dir)
  return measurement


def _build_and_train(params: cfg.ExperimentConfig, model_dir: str, rungs: loop.Rungs) -> float:
  """Returns the AP of a detector that is built for this training and forgotten after it."""
  try:
    runtime = json.dumps(params.runtime.as_dict())
    return trainer.run(params, 'train_and_eval', model_dir, strategy=_strategy(runtime), rungs=rungs)['AP']
  finally:  # The worker goes on to the next child.
    tf_keras.backend.clear_session()
    gc.collect()


def _rungs(early: halving.HalvingConfig, params: cfg.ExperimentConfig, trial_id: int, work_dir: str) -> loop.Rungs:
  """Returns where the training of a trial may end, decided by the APs of the search's other trials."""
  others = halving.Rungs(os.path.dirname(os.path.dirname(os.path.abspath(work_dir))), early.eta)
  return loop.Rungs(
    early.rungs(params.trainer.train_steps),
    lambda step, metrics: others.goes_on(trial_id, step, float(metrics['AP'])),
  )


_met: set[str] = set()  # Configurations whose target some architecture meets, so that it is measured once a process.


def _check_target(key: str, child: child_lib.ChildConfig, space: SearchSpace) -> None:
  if key not in _met:
    child.check_target(space)
    _met.add(key)


@functools.cache
def _strategy(runtime_json: str) -> tf.distribute.Strategy:
  """Returns one strategy for all children of a process, since a TPU is set up once."""
  runtime = cfg.RuntimeConfig()
  runtime.override(json.loads(runtime_json))
  return strategy.build_strategy(runtime)


def _remove_checkpoints(model_dir: str) -> None:
  for path in tf.io.gfile.glob([os.path.join(model_dir, 'ckpt-*'), os.path.join(model_dir, 'checkpoint')]):
    tf.io.gfile.remove(path)
