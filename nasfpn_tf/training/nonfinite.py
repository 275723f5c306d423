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

"""Stops a run whose loss is NaN, infinite or huge, and names the batch that caused it."""

import tensorflow as tf

from nasfpn_tf import failure

# A detector's loss begins below some thousands, and what has got beyond this does not come back: 1e21 was seen for the
# rest of a run.
LIMIT = 1e6


class NonFiniteLossError(failure.ExpectedError):
  """The training loss is infinite, not a number, or has exploded; the message names step and images.

  Attributes:
    step: the first bad step, from 1; None where another worker knows it.
  """

  def __init__(self, message: str, step: int | None = None):
    super().__init__(message)
    self.step = step


class NonFiniteGuard:
  """Remembers, on the device and at no cost, the first step with a bad loss and the images of its batch.

  The step function calls `observe` in every replica; the host calls `check` after a loop of steps.
  """

  def __init__(self, strategy: tf.distribute.Strategy, batch_size: int, limit: float = LIMIT):
    """Creates the variables; call it in the scope of the strategy.

    Args:
      strategy: the strategy of the training loop.
      batch_size: images per replica.
      limit: a loss above it has exploded.
    """
    self._strategy = strategy
    self._limit = limit

    def variable(shape, name, dtype=tf.int64):
      return tf.Variable(
        tf.fill(shape, tf.constant(-1, dtype)),
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      )

    self._step = variable([], 'nonfinite_step')
    self._loss = variable([], 'nonfinite_loss', tf.float32)
    self._ids = variable([batch_size], 'nonfinite_source_ids')
    self._ids_before = variable([batch_size], 'last_finite_source_ids')

  def observe(self, loss: tf.Tensor, source_ids: tf.Tensor, step: tf.Tensor) -> None:
    """Notes the loss of one replica's batch.

    Args:
      loss: scalar.
      source_ids: int64 `[batch]`.
      step: number of this step, from 1.
    """
    loss = tf.cast(loss, tf.float32)
    good = tf.math.is_finite(loss) & (loss <= self._limit)
    intact = self._step < 0
    first = tf.logical_and(intact, tf.logical_not(good))
    self._ids.assign(tf.where(first, source_ids, self._ids))
    self._loss.assign(tf.where(first, loss, self._loss))
    self._ids_before.assign(tf.where(tf.logical_and(intact, good), source_ids, self._ids_before))
    self._step.assign(tf.where(first, tf.cast(step, tf.int64), self._step))

  def check(self, loss: float) -> None:
    """Raises a `NonFiniteLossError` if any step since the start had a loss that is infinite, no number or too large.

    Args:
      loss: mean loss of the loop over all replicas; tells of other workers.
    """
    local = self._strategy.experimental_local_results
    columns = (self._step, self._ids, self._ids_before, self._loss)
    found = [
      (int(step), ids.numpy().tolist(), before.numpy().tolist(), float(value))
      for step, ids, before, value in zip(*map(local, columns), strict=True)
      if int(step) >= 0
    ]
    if found:
      step, ids, before, value = min(found)
      became = f'exploded to {value:.3g}' if tf.math.is_finite(value) else 'became NaN or infinite'
      raise NonFiniteLossError(
        f'The loss {became} at step {step}, on the batch of images {_listed(ids)} (the step before: '
        f'{_listed(before)}). Nothing of this loop was saved. Lower the learning rate or lengthen the warm-up, clip '
        'the gradients (global_clipnorm of the optimizer), and check the boxes of these images.',
        step,
      )
    if not loss <= self._limit:  # False for NaN too.
      raise NonFiniteLossError(
        'The loss became NaN, infinite or huge in another worker; see its message for the batch.'
      )


def _listed(ids: list[int]) -> str:
  shown = ', '.join(map(str, ids[:64]))
  return f'{shown}, and {len(ids) - 64} more' if len(ids) > 64 else shown
