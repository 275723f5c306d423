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

"""Convolves depthwise with strides, with a gradient that is fast in bfloat16 on a CPU, too."""

import tensorflow as tf
import tf_keras


@tf_keras.utils.register_keras_serializable(package='nasfpn_tf')
class StridedDepthwiseConv2D(tf_keras.layers.DepthwiseConv2D):
  """Convolves each channel with its own kernels, like the layer of tf_keras, with the same arguments and weights.

  oneDNN has no fast kernel for the gradient of a strided depthwise convolution with respect to its input in bfloat16:
  a layer of MobileNetV2 takes 4 to 9 times as long with it as in float32 (`python -m benchmarks.depthwise_gradient`).
  In a training step on the CPU this layer computes that gradient in float32 and rounds it to bfloat16; everything else
  is as inherited.
  """

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Convolves `[batch, height, width, channels]`."""
    if not training or inputs.dtype != tf.bfloat16 or self.data_format != 'channels_last' or not has_cpu_only():
      return super().call(inputs)
    outputs = self._convolve(inputs, tf.cast(self.depthwise_kernel, inputs.dtype))
    if self.use_bias:
      outputs = tf.nn.bias_add(outputs, tf.cast(self.bias, outputs.dtype))
    return self.activation(outputs)

  def _convolve(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves without bias and activation."""
    padding = self.padding.upper()
    strides, dilations = [1, *self.strides, 1], [1, *self.dilation_rate, 1]
    options = {'strides': strides, 'padding': padding, 'dilations': dilations}

    @tf.custom_gradient
    def convolve(inputs, kernel):
      def gradient(upstream):
        of_inputs = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
          input_sizes=tf.shape(inputs),
          filter=tf.cast(kernel, tf.float32),
          out_backprop=tf.cast(upstream, tf.float32),
          **options,
        )
        of_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
          input=inputs, filter_sizes=kernel.shape, out_backprop=upstream, **options
        )
        return tf.cast(of_inputs, inputs.dtype), of_kernel

      return tf.raw_ops.DepthwiseConv2dNative(input=inputs, filter=kernel, **options), gradient

    return convolve(inputs, kernel)


def has_cpu_only() -> bool:
  """Tells whether the CPU is the only device of TensorFlow."""
  return len(tf.config.list_logical_devices()) == len(tf.config.list_logical_devices('CPU'))
