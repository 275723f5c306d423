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
"""Registers builders with Model Garden's factories, and reads the arguments that the factories pass."""

from collections.abc import Callable
from typing import Any

import tf_keras
from official.core import registry
from official.modeling import hyperparams

from nasfpn_tf.layers.conv_options import ConvOptions


def register(collection: dict[str, Any], name: str, builder: Callable[..., Any]) -> None:
  """Registers a builder; importing its module a second time leaves the first registration.

  Args:
    collection: the registrations of a factory.
    name: what configurations call it.
    builder: what the factory calls.

  Raises:
    KeyError: another module has registered that name.
  """
  registered = collection.get(name)
  if registered is None or registered.__module__ != builder.__module__:
    registry.register(collection, name)(builder)


def conv_options(
  norm_activation: hyperparams.Config, l2_regularizer: tf_keras.regularizers.Regularizer | None = None
) -> ConvOptions:
  """Returns the options of a model's convolutions.

  Args:
    norm_activation: Model Garden's `NormActivation`, `model.norm_activation`.
    l2_regularizer: of the kernels.
  """
  return ConvOptions(
    activation=norm_activation.activation,
    use_sync_bn=norm_activation.use_sync_bn,
    norm_momentum=norm_activation.norm_momentum,
    norm_epsilon=norm_activation.norm_epsilon,
    kernel_regularizer=l2_regularizer,
  )
