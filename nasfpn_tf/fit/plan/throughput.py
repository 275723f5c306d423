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
"""Measures how fast this machine trains a planned detector, in a few steps on its own records."""

import itertools
import time
from collections.abc import Sequence

import tensorflow as tf
import tf_keras
from official.core import config_definitions as cfg

from nasfpn_tf.modeling import precision
from nasfpn_tf.training import loop, optimizer, recipe
from nasfpn_tf.training.task import DetectionTask

_WARM_UP = 3  # Steps before the clock starts: tracing, caches, threads.
_LEAST_STEPS, _MOST_STEPS = 8, 60


def measure(params: cfg.ExperimentConfig, seconds: float = 12.0) -> float:
  """Measures by training for a few steps, whose result is discarded.

  The second half of the steps counts: in the first one, the input pipeline fills its buffers, on a machine with few
  cores at the expense of the training.

  Args:
    params: the experiment, with its records.
    seconds: how long steps are taken for, though at least `_LEAST_STEPS` and at most `_MOST_STEPS`.

  Returns:
    Pixels of the network's input a second: images/s times height times width.

  Raises:
    ValueError, FileNotFoundError: as `recipe.complete`.
  """
  params = recipe.complete(params, 'train').params
  # Any values take as long as trained ones.
  params.task.model.backbone.applications.weights = 'none'
  params.task.train_data.cache = False
  params.trainer.optimizer_config.override({'ema': None})  # Negligible time, and it needs the trainer.
  try:
    task = DetectionTask(params.task)
    with precision.computing_in(params.runtime.mixed_precision_dtype or precision.FLOAT32):
      model = task.build_model()
    model_optimizer = optimizer.build_optimizer(params, model)
    loop.build_slots(model_optimizer, model.trainable_variables)
    step = tf.function(lambda batch: task.train_step(batch, model, model_optimizer))
    times = []
    for batch in itertools.islice(task.build_inputs(params.task.train_data), _WARM_UP + _MOST_STEPS):
      float(step(batch)[task.loss])
      times.append(time.monotonic())
      if len(times) >= _WARM_UP + _LEAST_STEPS and times[-1] - times[_WARM_UP - 1] >= seconds:
        break
  finally:
    tf_keras.backend.clear_session()
  height, width = params.task.model.input_size[:2]
  return steady_rate(times[_WARM_UP - 1 :]) * params.task.train_data.global_batch_size * height * width


def steady_rate(times: Sequence[float]) -> float:
  """Returns the steps a second in the second half of a run, from the times at which steps ended."""
  counted = times[len(times) // 2 :]
  return (len(counted) - 1) / (counted[-1] - counted[0])
