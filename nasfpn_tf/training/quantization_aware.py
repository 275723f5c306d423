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

"""Trains quantization-aware: the detector rounds weights and activations as its int8 file will.

Model Garden's quantization-aware RetinaNet has no NAS-FPN, for tfmot rewrites functional models of Keras layers and a
merging cell is none. Here tfmot's quantizers are put into the layers as they are: backbone, every cell of the pyramid
and heads. The weights stay what they were, float32 under their own names, so a checkpoint is exported like any other;
the converter finds its own ranges by calibration. The ranges of training lie beside them, under `rounding`.

Kernels are rounded per output channel and symmetrically; a batch norm behind a convolution scales whole channels, so
its kernel rounds alike before and after folding. Activations are rounded where TFLite stores them: behind a folded
batch norm and its ReLU, between the two halves of a separable convolution, behind sums and products.
"""

import functools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from nasfpn_tf.layers import merging_cell
from nasfpn_tf.modeling.backbones import explicit_padding

_quantizers = tfmot.quantization.keras.quantizers
_BATCH_NORM = (tf_keras.layers.BatchNormalization,)
_CONVOLUTIONS = (tf_keras.layers.Conv2D, tf_keras.layers.DepthwiseConv2D, tf_keras.layers.SeparableConv2D)
_RELUS = ('relu', 'relu6')


class ActivationRange(tf_keras.layers.Layer):
  """Rounds a value to 8 bits within a range; see `Rounding` for what sets the range.

  Attributes:
    calibrating: whether calls widen the range to the values they see, and round nothing.
  """

  def __init__(self, **kwargs):
    super().__init__(dtype='float32', **kwargs)
    self.calibrating = False
    self._quantizer = _quantizers.MovingAverageQuantizer(8, per_axis=False, symmetric=False, narrow_range=False)
    self._range = _range_variables(self, [], tf.VariableAggregation.MEAN)

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Rounds a tensor of any shape; in training the range slowly follows the batches."""
    if self.calibrating:
      low, high = self._range['min_var'], self._range['max_var']
      low.assign(tf.minimum(low, tf.reduce_min(inputs)))
      high.assign(tf.maximum(high, tf.reduce_max(inputs)))
      return inputs
    return self._quantizer(inputs, bool(training), self._range)


class KernelRounding(tf_keras.layers.Layer):
  """Rounds a kernel to 8 bits, symmetrically, each output channel in its own range."""

  def __init__(self, kernel: tf.Variable, is_depthwise: bool = False, **kwargs):
    """Takes a `kernel`, [height, width, in, out] or depthwise [height, width, in, multiplier]."""
    super().__init__(dtype='float32', **kwargs)
    self._shape = list(kernel.shape)
    # The quantizer's channels are the last axis.
    self._by_channel = [*self._shape[:2], 1, self._shape[2] * self._shape[3]] if is_depthwise else self._shape
    self._quantizer = _quantizers.LastValueQuantizer(8, per_axis=True, symmetric=True, narrow_range=True)
    # Replicas have the same kernels.
    self._range = _range_variables(self, self._by_channel[-1:], tf.VariableAggregation.ONLY_FIRST_REPLICA)

  def call(self, kernel: tf.Tensor) -> tf.Tensor:
    """Rounds the kernel; keeps its shape and type."""
    values = tf.reshape(tf.cast(kernel, tf.float32), self._by_channel)
    # The range is always that of the present values, so evaluation takes it from them, too.
    rounded = self._quantizer(values, True, self._range)
    return tf.cast(tf.reshape(rounded, self._shape), kernel.dtype)


class Rounding(tf_keras.layers.Layer):
  """All rounding operations of a detector; their variables are saved beside the detector's.

  Attributes:
    ranges: the `ActivationRange`s.
    kernels: the `KernelRounding`s.
  """

  def __init__(self):
    super().__init__(name='rounding')
    self.ranges: list[ActivationRange] = []
    self.kernels: list[KernelRounding] = []

  def add_range(self) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that rounds an activation of any float type."""
    rounding = ActivationRange(name=f'range_{len(self.ranges)}')
    self.ranges.append(rounding)
    return lambda value: tf.cast(rounding(tf.cast(value, tf.float32)), value.dtype)

  def add_kernel(self, kernel: tf.Variable, is_depthwise: bool = False) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that rounds a kernel."""
    rounding = KernelRounding(kernel, is_depthwise, name=f'kernel_{len(self.kernels)}')
    self.kernels.append(rounding)
    return rounding

  def calibrate(self, model: tf_keras.Model, batches: Iterable[tf.Tensor]) -> None:
    """Sets the ranges to what occurs in some batches of images.

    Args:
      model: the detector.
      batches: normalized images [batch, height, width, 3].

    Raises:
      ValueError: there are no batches, or values that are not finite.
    """
    seen = 0
    self._set_calibrating(True)
    try:
      for images in batches:
        model(images, training=False)
        seen += 1
    finally:
      self._set_calibrating(False)
    if not seen:
      raise ValueError('Quantization-aware training needs images to find the ranges of the activations, but got none.')
    if not all(bool(tf.reduce_all(tf.math.is_finite(v))) for layer in self.ranges for v in layer.variables):
      raise ValueError('Activations are NaN or infinite: start quantization-aware training from an intact checkpoint.')

  def without_ranges(self, model: tf_keras.Model) -> types.SimpleNamespace:
    """Returns what `restore` reads into: the detector without rounding."""
    mine = {id(variable) for variable in self.variables}
    variables = [variable for variable in model.variables if id(variable) not in mine]
    return types.SimpleNamespace(checkpoint_items=model.checkpoint_items, variables=variables)

  def _set_calibrating(self, value: bool) -> None:
    for layer in self.ranges:
      layer.calibrating = value


def prepare(model: tf_keras.Model) -> Rounding:
  """Makes a detector round permanently; it keeps its variables and gains those of the returned `rounding`.

  Args:
    model: as `build_detector` makes it, any weights. Its batch norms should be frozen in training.

  Raises:
    ValueError: it rounds already.
  """
  if getattr(model, 'rounding', None) is not None:
    raise ValueError('The detector rounds already.')
  rounding = Rounding()
  followers = _followers(model)
  head_norms = {id(layer) for head in getattr(model, 'heads', [model.head]) for layer in _layers(head)}
  for layer in list(_layers(model)):
    if isinstance(layer, merging_cell.MergingCell):
      points = {name: rounding.add_range() for name in layer.stored}
      layer.rounding = functools.partial(lambda points, name, value: points[name](value), points)
    elif isinstance(layer, _CONVOLUTIONS):
      _round_convolution(layer, rounding)
      if _ends_in_float(layer, followers):
        _wrap(layer, rounding.add_range())
    elif _is_batch_norm(layer):
      relu = _relu_behind(layer, followers, model.head if id(layer) in head_norms else None)
      point = rounding.add_range()
      _wrap(layer, _behind(relu, point) if relu else point)
    elif isinstance(layer, tf_keras.layers.Add | tf_keras.layers.Multiply):
      _wrap(layer, rounding.add_range())
  model.rounding = rounding
  return rounding


def _range_variables(
  layer: tf_keras.layers.Layer, shape: list[int], aggregation: tf.VariableAggregation
) -> dict[str, tf.Variable]:
  """Creates the variables of a tfmot quantizer; its own cannot be assigned on several replicas."""
  return {
    f'{name}_var': layer.add_weight(name, shape, initializer='zeros', trainable=False, aggregation=aggregation)
    for name in ('min', 'max')
  }


def _round_convolution(layer: tf_keras.layers.Layer, rounding: Rounding) -> None:
  """Makes a convolution use rounded kernels; a separable one rounds between its halves, too."""
  if isinstance(layer, tf_keras.layers.SeparableConv2D):
    depthwise = rounding.add_kernel(layer.depthwise_kernel, is_depthwise=True)
    pointwise, between = rounding.add_kernel(layer.pointwise_kernel), rounding.add_range()

    def separable(inputs: tf.Tensor) -> tf.Tensor:
      strides, padding = [1, *layer.strides, 1], layer.padding.upper()
      kernel = depthwise(tf.convert_to_tensor(layer.depthwise_kernel))
      outputs = between(tf.nn.depthwise_conv2d(inputs, kernel, strides, padding, dilations=layer.dilation_rate))
      outputs = tf.nn.conv2d(outputs, pointwise(tf.convert_to_tensor(layer.pointwise_kernel)), 1, 'VALID')
      outputs = tf.nn.bias_add(outputs, layer.bias) if layer.use_bias else outputs
      return layer.activation(outputs) if layer.activation else outputs

    layer.call = tf.autograph.experimental.do_not_convert(separable)
  elif isinstance(layer, tf_keras.layers.DepthwiseConv2D):
    kernel_rounding = rounding.add_kernel(layer.depthwise_kernel, is_depthwise=True)

    def depthwise_only(inputs: tf.Tensor) -> tf.Tensor:
      kernel = kernel_rounding(tf.convert_to_tensor(layer.depthwise_kernel))
      strides, padding = [1, *layer.strides, 1], layer.padding.upper()
      inputs = explicit_padding.pad_inputs(layer, inputs)
      outputs = tf.nn.depthwise_conv2d(inputs, kernel, strides, padding, dilations=layer.dilation_rate)
      outputs = tf.nn.bias_add(outputs, layer.bias) if layer.use_bias else outputs
      return layer.activation(outputs) if layer.activation else outputs

    layer.call = tf.autograph.experimental.do_not_convert(depthwise_only)
  else:
    kernel_rounding, convolve = rounding.add_kernel(layer.kernel), layer.convolution_op
    layer.convolution_op = lambda inputs, kernel: convolve(inputs, kernel_rounding(tf.convert_to_tensor(kernel)))


def _wrap(layer: tf_keras.layers.Layer, function: Callable[[tf.Tensor], tf.Tensor]) -> None:
  """Makes a layer give `function` of what it gave."""
  original = layer.call

  @functools.wraps(original)
  def call(*args: Any, **kwargs: Any) -> tf.Tensor:
    return function(original(*args, **kwargs))

  layer.call = tf.autograph.experimental.do_not_convert(call)


def _behind(relu: str, point: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
  """Rounds what the activation behind will give, which that activation then leaves as it is."""
  activation = {'relu': tf.nn.relu, 'relu6': tf.nn.relu6}[relu]
  return lambda value: point(activation(value))


def _is_batch_norm(layer: tf_keras.layers.Layer) -> bool:
  # Plain and synchronized batch norm have no public class in common.
  return isinstance(layer, _BATCH_NORM) or hasattr(layer, 'moving_variance')


def _layers(layer: tf_keras.layers.Layer) -> Iterator[tf_keras.layers.Layer]:
  """Yields all layers inside, each once."""
  seen = set()
  for inner in layer.submodules:
    if isinstance(inner, tf_keras.layers.Layer) and id(inner) not in seen:
      seen.add(id(inner))
      yield inner


def _followers(model: tf_keras.Model) -> dict[int, list[tf_keras.layers.Layer]]:
  """Returns {id of a layer in a functional model: the layers that take its output}."""
  return {id(layer): [node.layer for node in layer.outbound_nodes] for layer in _layers(model) if layer.outbound_nodes}


def _relu_behind(layer: tf_keras.layers.Layer, followers: dict, head: tf_keras.layers.Layer | None) -> str | None:
  """Returns the ReLU that alone takes a batch norm's output, as TFLite fuses it; None if there is none."""
  if head is not None:
    name = head.get_config().get('activation')
    return name if name in _RELUS else None
  behind = followers.get(id(layer), [])
  if len(behind) != 1:
    return None
  if isinstance(behind[0], tf_keras.layers.ReLU):
    limit = behind[0].max_value
    return {None: 'relu', 6.0: 'relu6'}.get(None if limit is None else float(limit))
  if isinstance(behind[0], tf_keras.layers.Activation):
    name = tf_keras.activations.serialize(behind[0].activation)
    return name if name in _RELUS else None
  return None


def _ends_in_float(layer: tf_keras.layers.Layer, followers: dict) -> bool:
  """Tells whether no batch norm follows a convolution: a predictor of the heads, or a bare one of the backbone."""
  behind = followers.get(id(layer))
  if behind is None:
    return layer.name.startswith(('scores', 'boxes'))
  return not any(_is_batch_norm(following) for following in behind)
