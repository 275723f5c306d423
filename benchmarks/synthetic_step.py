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

"""Builds a training step on synthetic labels, to measure time and memory of the network without the input."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import side_by_side


def make_batch(size: int, batch: int) -> tuple[Any, dict[str, Any]]:
  """Makes a batch of noise with labels that assign every anchor to the first class."""
  import tensorflow as tf

  sides = {str(level): size >> level for level in range(3, 8)}
  num_anchors = 9 * sum(side**2 for side in sides.values())
  labels = {
    'cls_targets': {level: tf.ones([batch, side, side, 9], tf.int32) for level, side in sides.items()},
    'box_targets': {level: tf.zeros([batch, side, side, 36]) for level, side in sides.items()},
    'cls_weights': tf.ones([batch, num_anchors]),
    'box_weights': tf.ones([batch, num_anchors]),
  }
  return tf.random.stateless_normal([batch, size, size, 3], [1, 2]), labels


def build(model_config: Mapping[str, Any], batch: int) -> tuple[Any, Callable[[], float]]:
  """Builds a detector and its training step: forward, losses, gradients and update; the step returns the loss.

  Args:
    model_config: changes to the default detector's configuration, `num_classes` and a square `input_size` among them.
    batch: images in a step.

  Returns:
    (model, step).
  """
  import tensorflow as tf
  import tf_keras

  from nasfpn_tf.training import params as params_lib
  from nasfpn_tf.training.task import DetectionTask

  tf_keras.utils.set_random_seed(1)
  task = DetectionTask(params_lib.load_params(params_override={'task': {'model': model_config}}).task)
  model = task.build_model()
  optimizer = tf_keras.optimizers.SGD(1e-3, momentum=0.9)
  optimizer.build(model.trainable_variables)
  images, labels = make_batch(model_config['input_size'][0], batch)

  @tf.function
  def step():
    return task.train_step((images, labels), model, optimizer)['loss']

  return model, lambda: float(step())


def measure(model_config: Mapping[str, Any], batch: int, steps: int) -> dict[str, Any]:
  """Builds and runs it in this process: losses, times in ms, and peak memory in bytes when built and at the end."""
  _, step = build(model_config, batch)
  built, losses = side_by_side.peak_bytes(), []
  samples = side_by_side.interleave({'': lambda: losses.append(step())}, steps)['']
  times = {'wall_ms': samples.wall_ms, 'cpu_ms': samples.cpu_ms}
  return {'built': built, 'peak': side_by_side.peak_bytes(), 'losses': losses, **times}
