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

import tensorflow as tf
import tf_keras
from official.core import config_definitions as cfg

from nasfpn_tf.modeling import precision
from nasfpn_tf.training import loop, optimizer, recipe
from nasfpn_tf.training.task import DetectionTask

_WARM_UP = 3  # Steps before the clock starts: tracing, caches, threads.


def measure(params: cfg.ExperimentConfig, num_steps: int = 8) -> float:
  """Measures by training for a few steps, whose result is discarded.

  Args:
    params: the experiment, with its records.
    num_steps: steps that are timed.

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
    batches = itertools.islice(task.build_inputs(params.task.train_data), _WARM_UP + num_steps)
    started = 0.0
    for number, batch in enumerate(batches):
      if number == _WARM_UP:
        started = time.monotonic()
      float(step(batch)[task.loss])
    seconds = time.monotonic() - started
  finally:
    tf_keras.backend.clear_session()
  height, width = params.task.model.input_size[:2]
  return num_steps * params.task.train_data.global_batch_size * height * width / seconds
