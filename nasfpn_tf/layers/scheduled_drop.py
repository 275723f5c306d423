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

"""Implements what DropBlock and drop path share: a keep probability that decreases during training."""

from typing import Any

import tensorflow as tf
import tf_keras


class ScheduledDrop(tf_keras.layers.Layer):
  """A layer that drops a part of its input in training.

  Attributes:
    keep_prob: probability that a part is kept, at the end of the ramp.
    ramp_steps: training steps in which the probability falls linearly from 1 to `keep_prob`; needs `follow_step`.
    seed: of the random draws.
  """

  def __init__(self, keep_prob: float, ramp_steps: int = 0, seed: int | None = None, **kwargs):
    """Checks and keeps the settings.

    Args:
      keep_prob: in (0, 1].
      ramp_steps: 0 makes `keep_prob` hold from the start.
      seed: of the random draws.
      **kwargs: of the Keras layer (name, dtype).

    Raises:
      ValueError: if a setting is out of range.
    """
    super().__init__(**kwargs)
    if not 0.0 < keep_prob <= 1.0:
      raise ValueError(f'{type(self).__name__}: keep_prob must be in (0, 1], not {keep_prob!r}.')
    if ramp_steps < 0:
      raise ValueError(f'{type(self).__name__}: ramp_steps must not be negative, not {ramp_steps!r}.')
    self.keep_prob = keep_prob
    self.ramp_steps = ramp_steps
    self.seed = seed
    self.follow_step(None)

  @tf.__internal__.tracking.no_automatic_dependency_tracking
  def follow_step(self, step: tf.Variable | None) -> None:
    """Makes `step`, the trainer's step counter, drive the ramp; it does not become part of this layer's checkpoint."""
    self._step = step

  def current_keep_prob(self) -> tf.Tensor | float:
    """Returns the keep probability at the current training step, or `keep_prob` if no step is tracked."""
    if self._step is None or self.ramp_steps == 0:
      return self.keep_prob
    done = tf.minimum(tf.cast(self._step, tf.float32) / self.ramp_steps, 1.0)
    return 1.0 - (1.0 - self.keep_prob) * done

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'keep_prob': self.keep_prob, 'ramp_steps': self.ramp_steps, 'seed': self.seed}
