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

"""Registers decoders with Model Garden's factory."""

from collections.abc import Callable
from typing import Any

from official.vision.modeling.decoders import factory

from nasfpn_tf.modeling import registration


def register_decoder(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
  """Registers the decorated builder of decoders as `model.decoder.type: <name>`.

  The builder takes `input_specs`, `model_config` and `l2_regularizer`, as Model Garden's do.

  Args:
    name: of the decoder, and of its section in `nasfpn_tf.config.Decoder`.

  Raises:
    KeyError: another module has registered a decoder of that name.
  """

  def register(builder):
    registration.register(factory._REGISTERED_DECODER_CLS, name, builder)
    return builder

  return register
