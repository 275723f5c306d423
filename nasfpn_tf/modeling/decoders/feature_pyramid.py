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

"""Registers the decoder `feature_pyramid` with Model Garden, for its RetinaNet and Mask R-CNN as well as ours."""

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams

from nasfpn_tf import config, topology
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from nasfpn_tf.modeling import registration
from nasfpn_tf.modeling.decoders.registry import register_decoder

NAME = 'feature_pyramid'


@register_decoder(NAME)
def build_feature_pyramid(
  input_specs: Mapping[str, tf.TensorShape],
  model_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> FeaturePyramid:
  """Builds the decoder from a model's config, as Model Garden's decoder builders do.

  Args:
    input_specs: {level: [batch, height_l, width_l, channels_l]} of the backbone.
    model_config: a RetinaNet's or Mask R-CNN's config whose `decoder` is a `nasfpn_tf.config.Decoder`.
    l2_regularizer: of the convolution kernels.

  Returns:
    The layer; built when it is first called.

  Raises:
    ValueError: if the config is of another decoder, or if its topology cannot be read or has other levels than
      `min_level`..`max_level` of the model, or if the backbone lacks the finest of them.
  """
  decoder = getattr(model_config.decoder, NAME, None)
  if model_config.decoder.type != NAME or not isinstance(decoder, config.FeaturePyramid):
    raise ValueError(
      f'decoder: type {NAME!r} with its settings is needed, not type {model_config.decoder.type!r} of a'
      f" {type(model_config.decoder).__module__}.{type(model_config.decoder).__name__}; make the model's decoder a"
      ' nasfpn_tf.config.Decoder.'
    )
  spec = topology.resolve(decoder.topology, model_config.min_level, model_config.max_level)
  pyramid = FeaturePyramid(
    spec,
    num_repeats=decoder.num_repeats,
    num_filters=decoder.num_filters,
    use_separable_conv=decoder.use_separable_conv,
    project_each_edge=decoder.project_each_edge,
    coarse_convs=decoder.coarse_convs,
    overlapping_pools=decoder.overlapping_pools,
    **registration.conv_options(model_config.norm_activation, l2_regularizer).to_dict(),
    dropblock_keep_prob=decoder.dropblock_keep_prob,
    dropblock_size=decoder.dropblock_size,
    dropblock_ramp_steps=decoder.dropblock_ramp_steps,
    recompute_gradients=decoder.recompute,
    residual=decoder.residual,
    # Model Garden's MobileNets and EfficientNets also hand out their classifier's input as if it were the next level,
    # at the same size; `output_specs` leaves it out.
    backbone_max_level=max(map(int, input_specs)),
    name=NAME,
  )
  pyramid.projection.given_levels(input_specs)  # A backbone that does not fit fails here, not at the first batch.
  return pyramid
