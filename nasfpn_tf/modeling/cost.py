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
"""Cost of a built detector: parameters, and multiply-adds of one image.

The FLOPs of the published tables of this field are multiply-adds of the convolutions of backbone, pyramid and heads;
batch norm, activations, merging and post-processing are not counted.
"""

import math
from collections.abc import Iterator, Sequence

import tensorflow as tf
import tf_keras

_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2dNative')
_MATRIX_PRODUCTS = ('MatMul', 'BatchMatMulV2')


def count_params(model: tf_keras.Model) -> int:
  """Number of parameters, the moving statistics of the batch norms included, as Keras counts."""
  return sum(math.prod(variable.shape) for variable in _unique(model.variables))


def count_multiply_adds(model: tf_keras.Model, input_size: Sequence[int]) -> int:
  """Multiply-adds of the convolutions and matrix products of a detector for one image.

  Args:
    model: what `build_detector` returns.
    input_size: (height, width) of the image, or (height, width, channels), multiples of the coarsest stride; it need
      not be the size that the model was built with. Nothing is computed: a graph is traced, and its shapes are read.
  """
  height, width, channels = (*input_size, 3)[:3]

  @tf.function
  def forward(images):
    # `call`, because `__call__` of Model Garden's backbones and decoders takes no other size than their own.
    features = model.backbone.call(images, training=False)
    if model.decoder is not None:
      features = model.decoder.call(features, training=False)
    return model.head(features)

  traced = forward.get_concrete_function(tf.TensorSpec([1, height, width, channels], tf.float32))
  return sum(_multiply_adds(op) for op in _operations(traced.graph))


def _operations(graph: tf.Graph) -> Iterator[tf.Operation]:
  """Operations of a graph and of the functions that it calls."""
  for op in graph.get_operations():
    yield op
    if op.type in ('PartitionedCall', 'StatefulPartitionedCall'):
      yield from _operations(graph._get_function(op.get_attr('f').name).graph)


def _multiply_adds(op: tf.Operation) -> int:
  if op.type in _CONVOLUTIONS:
    kernel_height, kernel_width, depth, _ = op.inputs[1].shape
    # A depthwise kernel is [height, width, channels, multiplier]: each output reads one channel.
    reads = kernel_height * kernel_width * (depth if op.type == 'Conv2D' else 1)
    # A function that Keras traced for any batch has None in the place of this one's 1.
    return math.prod(op.outputs[0].shape[1:]) * reads
  if op.type in _MATRIX_PRODUCTS:
    transposed = op.get_attr('transpose_a' if op.type == 'MatMul' else 'adj_x')
    return math.prod(op.outputs[0].shape) * op.inputs[0].shape[-2 if transposed else -1]
  return 0


def _unique(variables: Sequence[tf.Variable]) -> list[tf.Variable]:
  return list({id(variable): variable for variable in variables}.values())
