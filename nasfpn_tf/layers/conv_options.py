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
"""Defines the options that all convolutions of a network share."""

import dataclasses
from collections.abc import Collection
from typing import Any

import tf_keras


@dataclasses.dataclass(frozen=True)
class ConvOptions:
  """Activation, batch norm and regularizer of the convolutions of a network.

  Layers have them as keyword arguments of their own: `take` reads them from there, `to_dict` writes them to the layers
  inside and to `get_config`.

  Attributes:
    activation: name of the activation; see `blocks.get_activation`.
    use_sync_bn: batch statistics over all replicas instead of one.
    norm_momentum: momentum of the moving statistics.
    norm_epsilon: added to the variance.
    kernel_regularizer: of the convolution kernels; at construction also its serialized form. Biases have none.
  """

  activation: str = 'relu'
  use_sync_bn: bool = False
  norm_momentum: float = 0.99
  norm_epsilon: float = 0.001
  kernel_regularizer: tf_keras.regularizers.Regularizer | None = None

  def __post_init__(self):
    object.__setattr__(self, 'kernel_regularizer', tf_keras.regularizers.get(self.kernel_regularizer))

  @classmethod
  def take(cls, arguments: dict[str, Any], but: Collection[str] = (), **defaults) -> 'ConvOptions':
    """Removes the options from a layer's keyword arguments, so that those of the Keras layer (name, dtype) remain.

    Args:
      arguments: the keyword arguments; they lose the options.
      but: options that the layer does not have; they are left, and Keras refuses them.
      **defaults: of options where the layer has another default than this class.
    """
    names = [field.name for field in dataclasses.fields(cls) if field.name not in but]
    return cls(**{**defaults, **{name: arguments.pop(name) for name in names if name in arguments}})

  def to_dict(self, but: Collection[str] = ()) -> dict[str, Any]:
    """Returns the options but those of `but` as keyword arguments in plain values, the regularizer serialized."""
    values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in but}
    if 'kernel_regularizer' in values:
      values['kernel_regularizer'] = tf_keras.regularizers.serialize(self.kernel_regularizer)
    return values

  def batch_norm(self, **kwargs) -> tf_keras.layers.BatchNormalization:
    """Creates a batch norm with these options; further arguments are of the Keras layer."""
    return tf_keras.layers.BatchNormalization(
      momentum=self.norm_momentum, epsilon=self.norm_epsilon, synchronized=self.use_sync_bn, **kwargs
    )
