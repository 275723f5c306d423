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

"""Registers the decoder `ssd` with Model Garden: SSDLite's feature layers, which need a head for each level."""

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams

from nasfpn_tf.layers.ssd_layers import SSDLayers
from nasfpn_tf.modeling import registration
from nasfpn_tf.modeling.decoders.registry import register_decoder

NAME = 'ssd'


@register_decoder(NAME)
def build_ssd_layers(
  input_specs: Mapping[str, tf.TensorShape],
  model_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> SSDLayers:
  """Builds SSDLite's feature layers from a model's config, as Model Garden's decoder builders do.

  Args:
    input_specs: {level: [batch, height_l, width_l, channels_l]} of the backbone.
    model_config: a detector's config whose `decoder` is a `nasfpn_tf.config.Decoder`.
    l2_regularizer: of the convolution kernels.

  Returns:
    The layer; built when it is first called.

  Raises:
    ValueError: if the widths are not as many as the levels behind the backbone's last.
  """
  filters = model_config.decoder.get().extra_filters
  last = max(map(int, input_specs))
  if len(filters) != model_config.max_level - last:
    raise ValueError(
      f'model.decoder.ssd.extra_filters {list(filters)}: levels {last + 1}..{model_config.max_level} beyond'
      f" the backbone's last need {max(0, model_config.max_level - last)} widths."
    )
  return SSDLayers(
    model_config.min_level,
    filters,
    **registration.conv_options(model_config.norm_activation, l2_regularizer).to_dict(),
    backbone_max_level=last,
    name=NAME,
  )
