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
"""A backbone in one module, as somebody would add one: four strided convolutions."""

import dataclasses
import runpy
import sys

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.modeling.backbones.registry import ImageShape, register_backbone


@dataclasses.dataclass
class Tiny(hyperparams.Config):
  """Settings: `num_filters` of level 2, doubled from level to level."""

  num_filters: int = 4


class TinyNet(tf_keras.Model):
  """Images to levels '2' to '5'."""

  def __init__(self, input_shape: ImageShape, num_filters: int, options: ConvOptions):
    images = tf_keras.Input(input_shape)
    x = tf_keras.layers.AveragePooling2D(2)(images)
    features = {}
    for level in range(2, 6):
      x = tf_keras.layers.Conv2D(
        num_filters << (level - 2), 3, 2, 'same', kernel_regularizer=options.kernel_regularizer, name=f'conv_{level}'
      )(x)
      x = options.batch_norm(name=f'norm_{level}')(x)
      x = features[str(level)] = blocks.get_activation(options.activation)(x)
    super().__init__(images, features)

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    return {level: feature.shape for level, feature in self.output.items()}


@register_backbone('tiny', Tiny)
def build(settings: Tiny, input_shape: ImageShape, options: ConvOptions) -> TinyNet:
  return TinyNet(input_shape, settings.num_filters, options)


if __name__ == '__main__':  # Run a module of this name with its arguments, in a process that knows the backbone.
  del sys.argv[0]
  runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
