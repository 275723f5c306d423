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

"""Implements AmoebaNet-D as a backbone (arXiv 1802.01548), registered with Model Garden as 'amoebanet'.

The network of the authors' code (tensorflow/tpu, models/official/amoeba_net, `model_builder.py`) without its
classifier: a 3x3 convolution of stride 2, two reduction cells as stem, then three sections of N normal cells with a
reduction cell before the second and the third. F is the width of the cells of the first section; a halving of the size
doubles it, back to F / 4 in the first cell of the stem.

| level | where it is read | channels |
|---|---|---|
| C2 | the first cell of the stem | 3 * F / 4 |
| C3, C4, C5 | the last cell of each section | 4 * F, 8 * F, 16 * F |

As the authors' classifier does, features are read behind an activation. Padding is 'same' everywhere, so that level l
has stride 2**l exactly; the authors' first convolution has none.
"""

import tensorflow as tf
import tf_keras

from nasfpn_tf import config
from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.modeling.backbones.amoebanet_cell import AmoebaCell
from nasfpn_tf.modeling.backbones.amoebanet_conv import ActivatedConv
from nasfpn_tf.modeling.backbones.registry import ImageShape, register_backbone

NUM_STEM_CELLS = 2
NUM_SECTIONS = 3


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class AmoebaNet(tf_keras.Model):
  """AmoebaNet-D (N, F): normalized images in, {level: feature} out, levels '2' to '5'.

  Papers write AmoebaNet-D (3 * N, F) as well, with the normal cells counted together.
  """

  def __init__(
    self,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    num_cells: int = 6,
    num_filters: int = 256,
    stem_filters: int = 32,
    drop_path_keep_prob: float = 1.0,
    drop_path_ramp_steps: int = 0,
    **kwargs,
  ):
    """Builds the network.

    Args:
      input_shape: (height, width, 3) of the images.
      num_cells: normal cells in each of the three sections (N).
      num_filters: width of the states of the first section's cells (F), a multiple of 4.
      stem_filters: width of the first convolution.
      drop_path_keep_prob: of the last cell's paths; the probability falls linearly with the position of the cell
        (scheduled drop path, arXiv 1707.07012, appendix A.4). 1.0 is off.
      drop_path_ramp_steps: training steps in which it falls from 1; 0: it holds from the start.
      **kwargs: of `ConvOptions`, the activation being that before each convolution, and of the Keras model (name).

    Raises:
      ValueError: if a setting is out of range.
    """
    for key, value, least in (
      ('num_cells', num_cells, 1),
      ('stem_filters', stem_filters, 1),
      ('num_filters', num_filters, 16),
    ):
      if value < least:
        raise ValueError(f'backbone.amoebanet.{key} is {value}; it must be at least {least}.')
    if num_filters % 4:
      raise ValueError(
        f'backbone.amoebanet.num_filters {num_filters} is not a multiple of 4: the first cell has a quarter of it, and'
        ' half of it is split in two.'
      )
    if not 0.0 < drop_path_keep_prob <= 1.0 or drop_path_ramp_steps < 0:
      raise ValueError(
        f'backbone.amoebanet: drop_path_keep_prob {drop_path_keep_prob} must be above 0 and at most 1 (1: off), and'
        f' drop_path_ramp_steps {drop_path_ramp_steps} not negative.'
      )
    options = ConvOptions.take(kwargs)
    conv_options = options.to_dict()
    total = NUM_STEM_CELLS + NUM_SECTIONS * num_cells + NUM_SECTIONS - 1
    images = tf_keras.Input(input_shape, name='images')
    stem = ActivatedConv(stem_filters, 3, 2, **{**conv_options, 'activation': 'linear'}, name='stem')(images)
    maps = [stem, stem]  # The last two, which the next cell reads.
    halved = [False]  # Whether each cell so far is a reduction.
    num_done = 0

    def cell(kind: str, width: int, name: str) -> tf.Tensor:
      nonlocal num_done
      num_done += 1
      keep_prob = 1.0 - num_done / total * (1.0 - drop_path_keep_prob)
      skip = 'keep' if num_done == 1 else 'halve' if halved[-1] else 'project'
      layer = AmoebaCell(kind, width, skip, keep_prob, drop_path_ramp_steps, **conv_options, name=name)
      maps.append(layer(maps[-2:]))
      halved.append(kind == 'reduction')
      return maps[-1]

    features = {'2': cell('reduction', num_filters // 4, 'stem_cell_0')}
    cell('reduction', num_filters // 2, 'stem_cell_1')
    for section in range(NUM_SECTIONS):
      width = num_filters << section
      if section:
        cell('reduction', width, f'reduction_{section}')
      for i in range(num_cells):
        features[str(3 + section)] = cell('normal', width, f'section_{section}_cell_{i}')
    activate = blocks.get_activation(options.activation)
    features = {
      level: tf_keras.layers.Activation(activate, name=f'level_{level}')(feature) for level, feature in features.items()
    }
    super().__init__(images, features, **kwargs)
    self._arguments = {
      'input_shape': input_shape,
      'num_cells': num_cells,
      'num_filters': num_filters,
      'stem_filters': stem_filters,
      'drop_path_keep_prob': drop_path_keep_prob,
      'drop_path_ramp_steps': drop_path_ramp_steps,
      **conv_options,
    }

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """{level: shape of its feature}."""
    return {level: feature.shape for level, feature in self.output.items()}

  def get_config(self):
    return {**self._arguments, 'name': self.name}

  @classmethod
  def from_config(cls, config, custom_objects=None):
    return cls(**config)


@register_backbone('amoebanet', config.AmoebaNet, blocks=[AmoebaCell])
def build(settings: config.AmoebaNet, input_shape: ImageShape, options: ConvOptions) -> AmoebaNet:
  """Builds the backbone of `model.backbone.type: amoebanet`; see `register_backbone`."""
  return AmoebaNet(input_shape, **settings.as_dict(), **options.to_dict(), name='amoebanet')
