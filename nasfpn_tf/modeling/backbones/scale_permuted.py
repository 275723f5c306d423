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

"""Implements SpineNet with any architecture of its space, registered with Model Garden as 'scale_permuted'.

Blocks and resampling are Model Garden's (arXiv 1912.05027, sec. 3.2): a 1x1 convolution to `resample_alpha` of the
width, then a 3x3 convolution of stride 2 and 3x3 max pools of stride 2 on the way down or nearest neighbors on the way
up, then a 1x1 convolution to the width of the block. The authors' code (tensorflow/tpu) has the same variables, but one
max pool of the whole remaining stride, 5x5 where that is 4 or more, and pads convolutions of stride 2 on both sides
alike. As there, a block that nothing has
used joins the output block of its level if both have the same width; one that stays unused is not built.
"""

from collections.abc import Iterable

import tensorflow as tf
import tf_keras
from official.vision.modeling.backbones import spinenet

from nasfpn_tf import config
from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.modeling.backbones.registry import ImageShape, register_backbone
from nasfpn_tf.topology import spinenet as spec_lib

NAME = 'scale_permuted'


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class ScalePermutedNet(spinenet.SpineNet):
  """Model Garden's SpineNet of a given architecture: normalized images in, {level: feature} out.

  With SpineNet-49's own architecture it is Model Garden's 'spinenet' variable for variable.
  """

  def __init__(
    self,
    architecture: spec_lib.SpineNetSpec | str = 'spinenet_49',
    input_shape: tuple[int, int, int] = (640, 640, 3),
    num_filters: int = 256,
    filter_size_scale: float = 1.0,
    resample_alpha: float = 0.5,
    block_repeats: int = 1,
    stochastic_depth_drop_rate: float = 0.0,
    **conv_options,
  ):
    """Builds the network.

    Args:
      architecture: a value, or what `topology.spinenet.resolve` takes.
      input_shape: (height, width, 3) of the images, multiples of the coarsest stride; which features are of one size,
        and so which unused ones join an output, is not known without.
      num_filters: width of the outputs.
      filter_size_scale: width of the blocks relative to SpineNet-49's.
      resample_alpha: width of a feature while it is resampled, relative to that of its block.
      block_repeats: how many blocks follow each other in the place of one.
      stochastic_depth_drop_rate: of the last block, rising linearly with the position of a block.
      **conv_options: of `ConvOptions`, the activation being 'relu' or 'swish'.

    Raises:
      ValueError: if a setting is out of range, or the size does not fit the strides.
    """
    spec = spec_lib.resolve(architecture)
    _check(spec, input_shape, num_filters, filter_size_scale, resample_alpha, block_repeats, stochastic_depth_drop_rate)
    options = ConvOptions(**conv_options)
    if options.activation not in ('relu', 'swish'):
      raise ValueError(f"norm_activation.activation is {options.activation!r}; backbone {NAME} has 'relu' or 'swish'.")
    levels = sorted(spec.outputs)
    super().__init__(
      tf_keras.layers.InputSpec(shape=[None, *input_shape]),
      min_level=levels[0],
      max_level=levels[-1],
      block_specs=[
        spinenet.BlockSpec(block.level, block.block, block.parents, block.is_output) for block in spec.blocks
      ],
      endpoints_num_filters=num_filters,
      resample_alpha=resample_alpha,
      block_repeats=block_repeats,
      filter_size_scale=filter_size_scale,
      init_stochastic_depth_rate=stochastic_depth_drop_rate,
      **vars(options),
    )
    self._arguments = {
      'architecture': spec.to_json(),
      'input_shape': tuple(input_shape),
      'num_filters': num_filters,
      'filter_size_scale': filter_size_scale,
      'resample_alpha': resample_alpha,
      'block_repeats': block_repeats,
      'stochastic_depth_drop_rate': stochastic_depth_drop_rate,
      **options.to_dict(),
    }

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """{level: shape of its feature}."""
    return {level: feature.shape for level, feature in self.output.items()}

  def get_config(self):
    return dict(self._arguments)

  @classmethod
  def from_config(cls, config, custom_objects=None):
    return cls(**config)


def _check(spec, input_shape, num_filters, filter_size_scale, resample_alpha, block_repeats, drop_rate) -> None:
  where = f'backbone.{NAME}'
  stride = 2 ** max(block.level for block in spec.blocks)
  if any(side is None or side % stride for side in input_shape[:2]):
    raise ValueError(
      f'{where}: images of {tuple(input_shape)} are not a multiple of {stride}, the stride of {spec.name}.'
    )
  if num_filters < 1 or block_repeats < 1:
    raise ValueError(f'{where}: num_filters {num_filters} and block_repeats {block_repeats} must be at least 1.')
  narrowest = min(spinenet.FILTER_SIZE_MAP[level] for level in (*spec_lib.STEM_LEVELS, *(b.level for b in spec.blocks)))
  if int(int(narrowest * filter_size_scale) * resample_alpha) < 1:
    raise ValueError(
      f'{where}: filter_size_scale {filter_size_scale} and resample_alpha {resample_alpha} leave no channels of'
      f' {narrowest}.'
    )
  if not 0.0 <= drop_rate < 1.0:
    raise ValueError(f'{where}: stochastic_depth_drop_rate {drop_rate} must be within 0 and 1.')


def _levels(settings: config.ScalePermuted) -> Iterable[int]:
  return spec_lib.resolve(settings.architecture).outputs


@register_backbone(NAME, config.ScalePermuted, stride=128, levels=_levels)
def build(settings: config.ScalePermuted, input_shape: ImageShape, options: ConvOptions) -> ScalePermutedNet:
  """Builds the backbone of `model.backbone.type: scale_permuted`; see `register_backbone`."""
  return ScalePermutedNet(input_shape=input_shape, **settings.as_dict(), **options.to_dict())
