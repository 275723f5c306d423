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

"""Gives the gates of a built Mobile SpineNet other activations than Model Garden's, those of tensorflow/tpu.

Model Garden's builder has no setting for them; variables and checkpoints stay as they are.
"""

import tf_keras
from official.modeling import tf_utils
from official.vision.modeling.layers import nn_layers

BUILT = ('relu', 'hard_sigmoid')  # As Model Garden builds them.


def apply(backbone: tf_keras.Model, inner: str, gating: str) -> None:
  """Sets the activation inside every squeeze-and-excitation and that of its gate, by their names."""
  if (inner, gating) == BUILT:
    return
  for layer in backbone.submodules:
    if isinstance(layer, nn_layers.SqueezeExcitation):
      layer._activation, layer._gating_activation = inner, gating
      layer._activation_fn, layer._gating_activation_fn = map(tf_utils.get_activation, (inner, gating))
