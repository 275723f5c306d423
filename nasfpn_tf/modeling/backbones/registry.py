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
"""Registers backbones: a backbone is one module, and one line that imports it in this package's `__init__.py`."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence

import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.backbones import factory

from nasfpn_tf import config
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.modeling import registration

ImageShape = tuple[int | None, int | None, int]
Builder = Callable[[hyperparams.Config, ImageShape, ConvOptions], tf_keras.Model]


@dataclasses.dataclass(frozen=True)
class Traits:
  """Properties of a backbone that are known before it is built.

  Attributes:
    stride: of the coarsest feature map inside, which the sides of an image must be multiples of; 1: no more than the
      levels ask for.
    levels: of its settings, the levels that it hands out; None: known when it is built.
    blocks: classes of layers, one feature map out of each, that `model.recompute_backbone` computes again.
  """

  stride: int = 1
  levels: Callable[[hyperparams.Config], Iterable[int]] | None = None
  blocks: tuple[type[tf_keras.layers.Layer], ...] = ()


# Of Model Garden's backbones, where they are not the default.
_TRAITS = {'spinenet': Traits(stride=128), 'spinenet_mobile': Traits(stride=128)}


def register_backbone(
  name: str,
  settings: type[hyperparams.Config],
  *,
  stride: int = 1,
  levels: Callable[[hyperparams.Config], Iterable[int]] | None = None,
  blocks: Sequence[type[tf_keras.layers.Layer]] = (),
) -> Callable[[Builder], Builder]:
  """Registers the decorated function as the builder of `model.backbone.type: <name>`.

  ```python
  @dataclasses.dataclass
  class Tiny(hyperparams.Config):
    num_filters: int = 16

  @register_backbone('tiny', Tiny)
  def build(settings: Tiny, input_shape: ImageShape, options: ConvOptions) -> tf_keras.Model:
    ...
  ```

  The function takes the settings, (height, width, 3) of the images, and what all convolutions of the detector have in
  common. It returns a functional model: normalized images in, {level: [batch, height / 2**level, width / 2**level,
  channels]} out, levels as strings, with the shapes of its outputs as `output_specs`.

  Args:
    name: of the backbone, and of the section of its settings, `model.backbone.<name>`.
    settings: class of the settings, each with a default.
    stride: see `Traits`.
    levels: see `Traits`.
    blocks: see `Traits`.

  Raises:
    KeyError: another module has registered a backbone of that name, or the section has other settings.
  """

  def register(build: Builder) -> Builder:
    @functools.wraps(build)
    def build_from_config(input_specs, backbone_config, norm_activation_config, l2_regularizer=None):
      options = registration.conv_options(norm_activation_config, l2_regularizer)
      return build(backbone_config.get(), tuple(input_specs.shape[1:]), options)

    registration.register(factory._REGISTERED_BACKBONE_CLS, name, build_from_config)
    config.add_backbone(name, settings)
    _TRAITS[name] = Traits(stride, levels, tuple(blocks))
    return build

  return register


def traits(name: str) -> Traits:
  """Returns the properties of a registered backbone, or of one of Model Garden."""
  return _TRAITS.get(name, Traits())


def recomputable_blocks() -> tuple[type[tf_keras.layers.Layer], ...]:
  """Returns the classes of blocks of all registered backbones."""
  return tuple(block for known in _TRAITS.values() for block in known.blocks)
