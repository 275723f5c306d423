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

"""Drops contiguous blocks of a feature map: DropBlock (arXiv 1810.12890; in NAS-FPN, 1904.07392, fig. 10)."""

from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks, recompute
from nasfpn_tf.layers.scheduled_drop import ScheduledDrop


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class DropBlock2D(ScheduledDrop):
  """Drops square blocks, independently per example and channel, in training; the identity at inference.

  Every cell of the map is dropped with probability exactly 1 - keep_prob, whatever the map's shape: the blocks' corners
  are drawn over the map extended by block_size - 1, so a border cell is covered by as many possible blocks as an inner
  one (blocks are cut off at the border), and each corner is kept with probability keep_prob ** (1 / block area). A
  block larger than the map is clipped to it, per axis. Kept values are divided by keep_prob, so E[output] = input.

  Two deliberate differences from the paper and the authors' code: those draw only blocks that lie inside the map, which
  spares the borders and has no answer for a map smaller than a block, and they rescale by the kept fraction of the
  whole batch, which ties the examples of a replica together.
  """

  def __init__(self, keep_prob: float, block_size: int = 3, ramp_steps: int = 0, seed: int | None = None, **kwargs):
    """Checks and keeps the settings.

    Args:
      keep_prob: probability that a cell is kept, in (0, 1].
      block_size: side of a block, in cells of the feature map.
      ramp_steps: training steps in which the keep probability falls linearly from 1 to `keep_prob` (the paper's
        scheduled DropBlock); needs `follow_step`. 0: `keep_prob` from the start.
      seed: of the random blocks.
      **kwargs: of the Keras layer (name, dtype).

    Raises:
      ValueError: if a setting is out of range.
    """
    super().__init__(keep_prob, ramp_steps, seed, **kwargs)
    if block_size < 1:
      raise ValueError(f'DropBlock2D: block_size must be at least 1, not {block_size!r}.')
    self.block_size = block_size

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Drops blocks of [batch, height, width, channels]; keeps the shape; height and width must be static."""
    if not training or self.keep_prob == 1.0:
      return inputs
    keep_prob = self.current_keep_prob()
    height, width = inputs.shape[1:3]
    block = (min(self.block_size, height), min(self.block_size, width))
    batch, channels = tf.shape(inputs)[0], inputs.shape[3]
    # In float32 whatever the policy: bfloat16 has too few values in [0, 1) for so small a probability.
    noise = recompute.uniform([batch, height + block[0] - 1, width + block[1] - 1, channels], self.seed)
    is_corner = tf.cast(noise >= keep_prob ** (1.0 / (block[0] * block[1])), inputs.dtype)
    dropped = tf.nn.max_pool2d(is_corner, block, 1, 'VALID')
    return inputs * ((1.0 - dropped) * tf.cast(1.0 / keep_prob, inputs.dtype))

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'block_size': self.block_size}
