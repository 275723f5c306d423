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

"""Makes the forward pass of a pyramid a function whose weights are constants."""

from collections.abc import Callable, Mapping

import tensorflow as tf
import tf_keras
from tensorflow.python.framework import convert_to_constants


def inference(
  layer: tf_keras.layers.Layer, features: Mapping[str, tf.Tensor], frozen: bool = True
) -> Callable[[], list[tf.Tensor]]:
  """Returns a compiled call of the layer on these features with its weights as constants.

  Args:
    layer: takes and gives {level: `[batch, height_l, width_l, channels]`}.
    features: its input.
    frozen: whether weights become constants.

  Returns:
    A function without arguments that returns the outputs, finest level first.
  """
  levels = sorted(features)
  specs = [tf.TensorSpec(features[level].shape, tf.float32) for level in levels]

  @tf.function(input_signature=[specs])
  def forward(inputs):
    outputs = layer(dict(zip(levels, inputs, strict=True)), training=False)
    return [outputs[level] for level in sorted(outputs)]

  if not frozen:
    return lambda: forward([features[level] for level in levels])
  function = convert_to_constants.convert_variables_to_constants_v2(forward.get_concrete_function())
  return lambda: function(*(features[level] for level in levels))
