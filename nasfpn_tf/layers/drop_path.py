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

"""Implements drop path: drops a whole branch per example (arXiv 1605.07648; in NASNet, 1707.07012, app. A.4)."""

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks, recompute
from nasfpn_tf.layers.scheduled_drop import ScheduledDrop


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class DropPath(ScheduledDrop):
  """Sets the whole input of an example to zero with probability 1 - keep_prob, in training; what is kept is divided by
  keep_prob, so E[output] = input. The identity at inference.
  """

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Drops paths of [batch, height, width, channels]; keeps the shape."""
    if not training or self.keep_prob == 1.0:
      return inputs
    keep_prob = self.current_keep_prob()
    # In float32 whatever the policy: bfloat16 has too few values in [0, 1).
    noise = recompute.uniform([tf.shape(inputs)[0]] + [1] * (inputs.shape.rank - 1), self.seed)
    return inputs * tf.cast(tf.cast(noise < keep_prob, tf.float32) / keep_prob, inputs.dtype)
