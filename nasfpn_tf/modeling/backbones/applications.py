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
"""Wraps `tf_keras.applications` and their ImageNet weights as Model Garden's backbone type 'applications'.

| name | C2 | C3 | C4 | C5 (width) |
|---|---|---|---|---|
| mobilenet_v2 | block_2_add | block_5_add (32) | block_12_add (96) | block_16_project_BN (320) |
| mobilenet_v3_small | expanded_conv/project | expanded_conv_2/Add (24) | ..._7/Add (48) | ..._10/Add (96) |
| mobilenet_v3_large | expanded_conv_2/Add | expanded_conv_5/Add (40) | ..._11/Add (112) | ..._14/Add (160) |
| resnet50, 101, 152 | conv2_*_out | conv3_*_out (512) | conv4_*_out (1024) | conv5_*_out (2048) |
| efficientnet_b0..b7 | block2*_add | block3*_add (b0: 40) | block5*_add (b0: 112) | block7* (b0: 320) |

A level is read at the end of the last block of its stride, as Model Garden's own backbones do. What lies behind C5 (the
1280 wide convolution of MobileNetV2, 0.4M parameters) serves classification and is left out. Detectors of the SSD
family read the expanded features inside the next block instead, and C5 behind the 1280 wide convolution: `expanded`,
with 144, 192, 576 and 1280 channels.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import tensorflow as tf
import tf_keras
from official.vision.ops import preprocess_ops

from nasfpn_tf import config
from nasfpn_tf.config import checking
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.layers.depthwise import StridedDepthwiseConv2D
from nasfpn_tf.modeling.backbones.registry import ImageShape, register_backbone
from nasfpn_tf.modeling.weights import pretrained

_apps = tf_keras.applications


@dataclasses.dataclass(frozen=True)
class _Application:
  """How to read one of the networks.

  Attributes:
    network: the function of `tf_keras.applications`.
    blocks: {level: prefix of the names of the layers of the block that ends it}; the last such layer is the feature.
    input_range: what the network was trained on: 'symmetric' for [-1, 1], 'caffe' for BGR in 0..255 minus the mean,
      'torch' for ImageNet's mean 0 and deviation 1.
    first: name of the first layer after the network's own preprocessing, '' for none.
    options: further arguments of `network`.
    has_alpha: whether it has a width multiplier.
    expanded: {level: name of the layer} of the features that the SSD family reads; empty if it reads none here.
  """

  network: Callable[..., tf_keras.Model]
  blocks: Mapping[int, str]
  input_range: str
  first: str = ''
  options: Mapping[str, bool] = dataclasses.field(default_factory=dict)
  has_alpha: bool = False
  expanded: Mapping[int, str] = dataclasses.field(default_factory=dict)


_RESNET_BLOCKS = {2: 'conv2_', 3: 'conv3_', 4: 'conv4_', 5: 'conv5_'}
_EFFICIENTNET_BLOCKS = {2: 'block2', 3: 'block3', 4: 'block5', 5: 'block7'}

_APPLICATIONS = {
  'mobilenet_v2': _Application(
    _apps.MobileNetV2,
    {2: 'block_2_', 3: 'block_5_', 4: 'block_12_', 5: 'block_16_'},
    'symmetric',
    has_alpha=True,
    expanded={2: 'block_3_expand_relu', 3: 'block_6_expand_relu', 4: 'block_13_expand_relu', 5: 'out_relu'},
  ),
  'mobilenet_v3_small': _Application(
    _apps.MobileNetV3Small,
    {2: 'expanded_conv/', 3: 'expanded_conv_2/', 4: 'expanded_conv_7/', 5: 'expanded_conv_10/'},
    'symmetric',
    options={'include_preprocessing': False},
    has_alpha=True,
  ),
  'mobilenet_v3_large': _Application(
    _apps.MobileNetV3Large,
    {2: 'expanded_conv_2/', 3: 'expanded_conv_5/', 4: 'expanded_conv_11/', 5: 'expanded_conv_14/'},
    'symmetric',
    options={'include_preprocessing': False},
    has_alpha=True,
  ),
  'resnet50': _Application(_apps.ResNet50, _RESNET_BLOCKS, 'caffe'),
  'resnet101': _Application(_apps.ResNet101, _RESNET_BLOCKS, 'caffe'),
  'resnet152': _Application(_apps.ResNet152, _RESNET_BLOCKS, 'caffe'),
  **{
    # Their own preprocessing normalizes as the input pipeline does, so they are entered behind it.
    f'efficientnet_b{i}': _Application(
      getattr(_apps, f'EfficientNetB{i}'), _EFFICIENTNET_BLOCKS, 'torch', first='stem_conv_pad'
    )
    for i in range(8)
  },
}

NAMES = tuple(_APPLICATIONS)
_LAST_CONV = 'Conv_1'  # Of MobileNetV2, 1280 wide.


@tf_keras.utils.register_keras_serializable(package='nasfpn_tf')
class ToNetworkRange(tf_keras.layers.Layer):
  """Maps images with ImageNet's mean 0 and deviation 1 to the range that a network was trained on.

  One preprocessing serves every backbone this way. The map is affine in the channels, and a 1x1 convolution with fixed
  weights, so that it quantizes as the rest of the network.

  Args:
    input_range: 'symmetric', 'caffe' or 'torch'.
  """

  def __init__(self, input_range: str, **kwargs):
    super().__init__(**kwargs)
    self._input_range = input_range
    mean, stddev = preprocess_ops.MEAN_RGB, preprocess_ops.STDDEV_RGB
    if input_range == 'symmetric':
      self._matrix = [[stddev[c] / 127.5 if c == k else 0.0 for k in range(3)] for c in range(3)]
      self._offset = [m / 127.5 - 1.0 for m in mean]
    elif input_range == 'caffe':
      # Reversed channels; Caffe's means (123.68, 116.779, 103.939) are not quite the pipeline's.
      self._matrix = [[stddev[c] if c == 2 - k else 0.0 for k in range(3)] for c in range(3)]
      self._offset = [mean[2] - 103.939, mean[1] - 116.779, mean[0] - 123.68]
    elif input_range == 'torch':
      self._matrix = None
    else:
      raise ValueError(f"input_range {input_range!r} is not 'symmetric', 'caffe' or 'torch'.")

  def call(self, images: tf.Tensor) -> tf.Tensor:
    """Maps images [batch, height, width, 3] to the same shape."""
    if self._matrix is None:
      return tf.identity(images)
    kernel = tf.constant([[self._matrix]], images.dtype)
    return tf.nn.conv2d(images, kernel, strides=1, padding='VALID') + tf.constant(self._offset, images.dtype)

  def get_config(self):
    return {**super().get_config(), 'input_range': self._input_range}


@tf_keras.utils.register_keras_serializable(package='nasfpn_tf')
class ApplicationsBackbone(tf_keras.Model):
  """A network of `tf_keras.applications` cut after C5: normalized images in, {level: feature} out.

  Args:
    name: one of `NAMES`.
    input_shape: (height, width, 3) of the images.
    alpha: width multiplier, for the MobileNets.
    weights: 'imagenet' (downloaded by tf_keras), the path of a Keras .h5 weight file, 'blood_cells' (those of the
      detector of that name, which come with the package), or 'none'.
    norm_momentum: momentum of the batch norms; 0 keeps the library's.
    norm_epsilon: epsilon of the batch norms; 0 keeps the library's.
    use_sync_bn: synchronize the batch norms across replicas.
    frozen_level: layers up to the feature of this level are not trained, and their batch norms use the stored
      statistics; 0 trains all.
    kernel_regularizer: regularizer of the convolutions, depthwise ones excepted (as Model Garden's backbones).
    expanded: the features that the SSD family reads, wider ones.
    last_filters: channels of the last convolution, behind which C5 is read, for MobileNetV2; 0 reads it before.

  Attributes:
    load_report: what `pretrained.load_weights` did, None without a file.

  Raises:
    ValueError: if there is no such network, or the weights do not fit it.
    OSError: if the weight file cannot be read, or the ImageNet weights not be fetched.
  """

  def __init__(
    self,
    name: str,
    input_shape: tuple[int | None, int | None, int],
    alpha: float = 1.0,
    weights: str = 'none',
    norm_momentum: float = 0.0,
    use_sync_bn: bool = False,
    frozen_level: int = 0,
    kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
    expanded: bool = False,
    last_filters: int = 0,
    norm_epsilon: float = 0.0,
  ):
    if name not in _APPLICATIONS:
      raise ValueError(f'applications.name {name!r} is unknown; {checking.nearest(name, NAMES)}')
    application = _APPLICATIONS[name]
    if frozen_level and frozen_level not in application.blocks:
      raise ValueError(f'applications.frozen_level {frozen_level}: {name} has levels {sorted(application.blocks)}.')
    blocks = application.expanded if expanded else application.blocks
    if last_filters and (name != 'mobilenet_v2' or expanded or weights not in ('none', 'imagenet')):
      raise ValueError(
        f'applications.last_filters {last_filters} needs name mobilenet_v2, expanded false, and weights none or'
        ' imagenet.'
      )
    if last_filters:
      blocks = {**blocks, 5: 'out_relu'}
    if not blocks:
      known = ', '.join(other for other, described in _APPLICATIONS.items() if described.expanded)
      raise ValueError(f'applications.expanded: {name} has no such features; {known} has.')
    network = _build_network(name, application, alpha, weights)
    taps = {str(level): _last_layer(network, prefix).output for level, prefix in blocks.items()}
    entry = network.get_layer(application.first).input if application.first else network.input
    trunk = tf_keras.Model(entry, taps, name=name)
    frozen = set()
    if frozen_level:
      names = [layer.name for layer in trunk.layers]
      frozen.update(names[: names.index(_last_layer(network, blocks[frozen_level]).name) + 1])

    def configure(layer):
      options = layer.get_config()
      options['trainable'] = layer.name not in frozen
      if layer.name == _LAST_CONV and last_filters:
        options['filters'] = last_filters
      if isinstance(layer, tf_keras.layers.BatchNormalization):
        options['synchronized'] = use_sync_bn
        options['momentum'] = norm_momentum or options['momentum']
        options['epsilon'] = norm_epsilon or options['epsilon']
      elif type(layer) is tf_keras.layers.Conv2D and kernel_regularizer is not None:
        options['kernel_regularizer'] = tf_keras.regularizers.serialize(kernel_regularizer)
      elif type(layer) is tf_keras.layers.DepthwiseConv2D and max(layer.strides) > 1:
        return StridedDepthwiseConv2D.from_config(options)
      return type(layer).from_config(options)

    configured = tf_keras.models.clone_model(trunk, clone_function=configure)
    for copy, layer in zip(configured.layers, trunk.layers, strict=True):
      values = layer.get_weights()
      if [value.shape for value in values] == [variable.shape for variable in copy.weights]:
        copy.set_weights(values)
      elif weights == 'imagenet':
        raise ValueError(
          f'applications.weights imagenet: {layer.name} has {values[0].shape[-1]} filters, not {last_filters}.'
        )
    report = pretrained.load_weights(configured, weights) if weights not in ('none', 'imagenet') else None
    images = tf_keras.Input(input_shape, name='images')
    super().__init__(images, configured(ToNetworkRange(application.input_range, name='to_network_range')(images)))
    self.load_report = report
    self._arguments = {
      'name': name,
      'input_shape': input_shape,
      'alpha': alpha,
      'norm_momentum': norm_momentum,
      'use_sync_bn': use_sync_bn,
      'frozen_level': frozen_level,
      'kernel_regularizer': tf_keras.regularizers.serialize(kernel_regularizer),
      'expanded': expanded,
      'last_filters': last_filters,
      'norm_epsilon': norm_epsilon,
    }

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """{level: shape of its feature}."""
    return {level: feature.shape for level, feature in self.output.items()}

  def get_config(self):
    return self._arguments

  @classmethod
  def from_config(cls, arguments, custom_objects=None):
    regularizer = tf_keras.regularizers.deserialize(arguments['kernel_regularizer'], custom_objects)
    return cls(**{**arguments, 'kernel_regularizer': regularizer})


def _build_network(name: str, application: _Application, alpha: float, weights: str) -> tf_keras.Model:
  """Builds the whole network, without its classifier, for images of any even size."""
  options = dict(application.options)
  if alpha <= 0:
    raise ValueError(f'applications.alpha is {alpha}; it must be above 0.')
  if application.has_alpha:
    options['alpha'] = alpha
  elif not math.isclose(alpha, 1.0):
    raise ValueError(f'applications.alpha {alpha}: only the MobileNets have a width multiplier, {name} does not.')
  build = application.network
  if weights != 'imagenet':
    return build(input_shape=(None, None, 3), include_top=False, weights=None, **options)
  try:
    return build(input_shape=(None, None, 3), include_top=False, weights='imagenet', **options)
  except ValueError as e:
    raise ValueError(f"applications.weights 'imagenet' of {name}: {e}") from e
  except Exception as e:  # tf_keras raises a bare Exception when a download fails.
    raise OSError(
      f"applications.weights 'imagenet' of {name} could not be downloaded ({e}). Without a network connection, set"
      ' applications.weights to the path of a Keras .h5 file without the top, or to none.'
    ) from e


def _last_layer(network: tf_keras.Model, prefix: str) -> tf_keras.layers.Layer:
  return [layer for layer in network.layers if layer.name.startswith(prefix)][-1]


@register_backbone('applications', config.Applications)
def build(settings: config.Applications, input_shape: ImageShape, options: ConvOptions) -> ApplicationsBackbone:
  """Builds the backbone of `model.backbone.type: applications`; see `register_backbone`."""
  return ApplicationsBackbone(
    input_shape=input_shape,
    **settings.as_dict(),  # With a momentum of its own, and the activations of the library.
    use_sync_bn=options.use_sync_bn,
    kernel_regularizer=options.kernel_regularizer,
  )
