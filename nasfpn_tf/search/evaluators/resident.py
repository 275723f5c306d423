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

"""Keeps one detector whose pyramid is exchanged, with what trains and evaluates it.

Building a detector and tracing its training takes longer than a short training itself. Backbone and head are the same
for all pyramids of a space, so they are traced once here; the pyramid runs eagerly.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf import topology
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.modeling import precision
from nasfpn_tf.search.evaluators.bank import Bank
from nasfpn_tf.search.evaluators.child import ChildConfig
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.training import loop, optimizer, recipe
from nasfpn_tf.training.task import DetectionTask

_resident: dict[tuple[str, ...], 'ResidentDetector'] = {}


def get(key: tuple[str, ...], make: Callable[[], 'ResidentDetector']) -> Any:
  """Returns this process's detector of a configuration, which the first trial creates; two do not fit."""
  if key not in _resident:
    _resident.clear()
    _resident[key] = make()
  return _resident[key]


class ResidentDetector:
  """A detector that stays while its pyramid is exchanged, on one device.

  Attributes:
    child: the training that children have in common.
    params: the completed experiment of the first child.
  """

  def __init__(self, child: ChildConfig, spec: topology.PyramidSpec, near_identity: bool, kind: str):
    """Builds the detector with the first child's pyramid; its levels and its number of cells are those of all.

    Args:
      child: the training.
      spec: a pyramid of the space.
      near_identity: whether the cells begin near the identity; as in a detector built alone otherwise.
      kind: what the evaluator does with it, for messages.

    Raises:
      SearchError: the configuration cannot be used.
    """
    self.child = child
    params = child.experiment_of(spec.to_dict())
    if params.task.model.anytime.enabled:
      raise SearchError(f'evaluator: an anytime detector cannot {kind}; unset task.model.anytime.enabled.')
    # A moving average of weights that belong to another child in every step, or of a short training, is of little use.
    params.trainer.optimizer_config.override({'ema': None})
    completed = recipe.complete(params, 'train_and_eval')
    self.params, self._labels, self._ground_truth = completed.params, completed.labels, completed.ground_truth
    tf_keras.utils.set_random_seed(self.params.task.train_data.seed)
    self._task = self._new_task(0)
    try:
      with precision.computing_in(self.params.runtime.mixed_precision_dtype or precision.FLOAT32):
        detector = self._task.build_model()
        self._task.initialize(detector)
        self._bank = Bank(detector, near_identity)
    except ValueError as e:
      raise SearchError(f'evaluator: {e}') from e
    detector.backbone.call = tf.function(detector.backbone.call)
    detector.head.call = tf.function(detector.head.call)
    self._task.build_losses = tf.function(self._task.build_losses)
    self._task.build_metrics(training=False)
    self._optimizer = optimizer.build_optimizer(self.params, detector)
    loop.build_slots(self._optimizer, self._bank.trainable_variables)
    self._calibration_images: list[tf.Tensor] = []

  @property
  def step(self) -> int:
    """Steps of the optimizer so far."""
    return int(self._optimizer.iterations)

  def measure_ap(self, spec: topology.PyramidSpec, calibration_batches: int = 0) -> float:
    """Evaluates the AP of a child on the validation records with the current weights.

    Args:
      spec: the child's pyramid.
      calibration_batches: training batches that its batch norm statistics are taken from first; 0: the moving averages.

    Raises:
      ValueError: the child's detections are not finite.
    """
    self._choose(spec)
    if calibration_batches:
      if not self._calibration_images:
        batches = iter(self._new_task(0).build_inputs(self.params.task.train_data))
        first = itertools.islice(batches, calibration_batches)
        self._calibration_images = [preprocess.to_network(images) for images, _ in first]
      self._bank.calibrate(self._calibration_images)
    validation_step = self.traced(self._task.validation_step)
    state = None
    for batch in self._validation_batches:
      logs = validation_step(batch, self._bank.detector)
      del logs[self._task.loss]
      of_one_replica = tf.nest.map_structure(lambda value: (value,), logs)
      state = self._task.aggregate_logs(state, of_one_replica)
    return self._task.reduce_aggregated_logs(state)['AP']

  def traced(self, step: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a step of the task as a graph of the chosen pyramid."""
    # No code outside of backbone, head and losses, which have graphs of their own, depends on values of tensors.
    return tf.function(step, autograph=False)

  @functools.cached_property
  def _validation_batches(self) -> tf.data.Dataset:
    # Kept between trials: making the pipeline takes as long as a training step or two.
    return self._task.build_inputs(self.params.task.validation_data)

  def _choose(self, spec: topology.PyramidSpec) -> None:
    try:
      self._bank.choose(spec)
    except ValueError as e:
      raise SearchError(f'evaluator: {e}') from e

  def _new_task(self, start_step: int) -> DetectionTask:
    is_partial = self.params.task.validation_data.take_examples > 0
    return DetectionTask(
      self.params.task,
      labels=self._labels,
      start_step=start_step,
      is_partial=is_partial,
      ground_truth=self._ground_truth,
    )
