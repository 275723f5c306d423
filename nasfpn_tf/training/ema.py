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

"""Averages the weights during training: Model Garden's moving average, swapped in and out without rounding."""

import tensorflow as tf
from official.modeling import optimization


class MovingAverage(optimization.ExponentialMovingAverage):
  """Model Garden's optimizer wrapper; evaluating changes no bit of the weights.

  The original swaps by `a + b`, `a - b`, which rounds, so a run that evaluates would train differently from one that
  does not. The swap of `tf.distribute.TPUStrategy` is left as it is.

  Attributes:
    swaps: False where the averages are in the place of the weights already, as in the best checkpoint.
  """

  swaps: bool = True

  def swap_weights(self) -> None:
    """Exchanges the weights of the model and their averages."""
    if not self.swaps:
      return
    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.TPUStrategy):
      super().swap_weights()
      return
    for average, weight in zip(self._average_weights, self._model_weights, strict=True):
      strategy.extended.update(average, _swap, args=(weight,))


def _swap(a: tf.Variable, b: tf.Variable) -> None:
  kept = tf.identity(a)
  a.assign(b)
  b.assign(kept)
