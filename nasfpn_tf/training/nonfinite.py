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

"""Stops a run whose loss is no longer a number, and names the batch that did it."""

import tensorflow as tf


class NonFiniteLossError(RuntimeError):
  """The training loss is infinite or not a number; the message names step and images."""


class NonFiniteGuard:
  """Remembers, on the device and at no cost, the first step with a non-finite loss and the images of its batch.

  The step function calls `observe` in every replica; the host calls `check` after a loop of steps.
  """

  def __init__(self, strategy: tf.distribute.Strategy, batch_size: int):
    """Creates the variables; call it in the scope of the strategy.

    Args:
      strategy: the strategy of the training loop.
      batch_size: images per replica.
    """
    self._strategy = strategy

    def variable(shape, name):
      return tf.Variable(
        tf.fill(shape, tf.constant(-1, tf.int64)),
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      )

    self._step = variable([], 'nonfinite_step')
    self._ids = variable([batch_size], 'nonfinite_source_ids')
    self._ids_before = variable([batch_size], 'last_finite_source_ids')

  def observe(self, loss: tf.Tensor, source_ids: tf.Tensor, step: tf.Tensor) -> None:
    """Notes the loss of one replica's batch.

    Args:
      loss: scalar.
      source_ids: int64 `[batch]`.
      step: number of this step, from 1.
    """
    finite = tf.math.is_finite(loss)
    intact = self._step < 0
    first = tf.logical_and(intact, tf.logical_not(finite))
    self._ids.assign(tf.where(first, source_ids, self._ids))
    self._ids_before.assign(tf.where(tf.logical_and(intact, finite), source_ids, self._ids_before))
    self._step.assign(tf.where(first, tf.cast(step, tf.int64), self._step))

  def check(self, loss: float) -> None:
    """Raises a `NonFiniteLossError` if any step since the start had a non-finite loss.

    Args:
      loss: mean loss of the loop over all replicas; tells of other workers.
    """
    local = self._strategy.experimental_local_results
    found = [
      (int(step), ids.numpy().tolist(), before.numpy().tolist())
      for step, ids, before in zip(local(self._step), local(self._ids), local(self._ids_before), strict=True)
      if int(step) >= 0
    ]
    if found:
      step, ids, before = min(found)
      raise NonFiniteLossError(
        f'The loss became NaN or infinite at step {step}, on the batch of images {_listed(ids)} (the step before: '
        f'{_listed(before)}). Nothing of this loop was saved. Lower the learning rate or lengthen the warm-up, clip '
        'the gradients (global_clipnorm of the optimizer), and look at the boxes of these images.'
      )
    if not tf.math.is_finite(loss):
      raise NonFiniteLossError('The loss became NaN or infinite in another worker; its message names the batch.')


def _listed(ids: list[int]) -> str:
  shown = ', '.join(map(str, ids[:64]))
  return f'{shown}, and {len(ids) - 64} more' if len(ids) > 64 else shown
