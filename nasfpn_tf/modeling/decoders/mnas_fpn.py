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
"""Registers the decoder `mnas_fpn`: MnasFPN, as in the Object Detection API."""

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams

from nasfpn_tf import topology
from nasfpn_tf.layers.mnas_fpn import MnasFPN
from nasfpn_tf.modeling import registration
from nasfpn_tf.modeling.decoders.registry import register_decoder

NAME = 'mnas_fpn'


@register_decoder(NAME)
def build_mnas_fpn(
  input_specs: Mapping[str, tf.TensorShape],
  model_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> MnasFPN:
  """Builds the layer from a model's config, as Model Garden's decoder builders do.

  Args:
    input_specs: {level: [batch, height_l, width_l, channels_l]} of the backbone.
    model_config: a detector's config whose `decoder` is a `nasfpn_tf.config.Decoder`.
    l2_regularizer: of the convolution kernels.

  Returns:
    The layer; built when it is first called.

  Raises:
    ValueError: its topology cannot be read or has other levels than `min_level`..`max_level` of the model, or not one
      expansion and kernel size for each cell, or the backbone lacks a level.
  """
  decoder = model_config.decoder.get()
  options = registration.conv_options(model_config.norm_activation, l2_regularizer).to_dict()
  for key in ('norm_momentum', 'norm_epsilon'):
    options[key] = getattr(decoder, key) or options[key]
  pyramid = MnasFPN(
    topology.resolve(decoder.topology, model_config.min_level, model_config.max_level),
    decoder.num_repeats,
    decoder.num_filters,
    decoder.expansions,
    decoder.kernel_sizes,
    max(map(int, input_specs)),
    **options,
    name=NAME,
  )
  pyramid.given_levels(input_specs)  # A backbone that does not fit fails here, not at the first batch.
  return pyramid
