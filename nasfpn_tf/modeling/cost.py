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
"""Counts parameters and multiply-adds of a built detector.

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
  """Counts the parameters, including the moving statistics of batch norms, as Keras does."""
  return sum(math.prod(variable.shape) for variable in _unique(model.variables))


def count_trainable_params(model: tf_keras.Model) -> int:
  """Counts the trainable parameters, which most published tables of detectors report."""
  return sum(math.prod(variable.shape) for variable in _unique(model.trainable_variables))


def count_multiply_adds(model: tf_keras.Model, input_size: Sequence[int]) -> int:
  """Counts the multiply-adds of convolutions and matrix products of a detector for one image.

  Args:
    model: what `build_detector` returns.
    input_size: (height, width) of the image, or (height, width, channels), multiples of the coarsest stride; it need
      not be the size that the model was built with. Nothing is computed: a graph is traced, and its shapes are read.
  """
  return sum(multiply_adds_by_part(model, input_size).values())


def multiply_adds_by_part(model: tf_keras.Model, input_size: Sequence[int]) -> dict[str, int]:
  """Counts multiply-adds like `count_multiply_adds`, by backbone, decoder if there is one, and head."""
  height, width, channels = (*input_size, 3)[:3]
  ends = {}  # {part: number of operations in the graph behind it}

  def forward(images):
    # `call`, because `__call__` of Model Garden's backbones and decoders takes no other size than their own.
    features = model.backbone.call(images, training=False)
    ends['backbone'] = _graph_size()
    if model.decoder is not None:
      features = model.decoder.call(features, training=False)
      ends['decoder'] = _graph_size()
    outputs = model.head(features)
    ends['head'] = _graph_size()
    return outputs

  images = tf.TensorSpec([1, height, width, channels], tf.float32)
  operations = tf.function(forward, autograph=False).get_concrete_function(images).graph.get_operations()
  counts, start = {}, 0
  for part, end in ends.items():
    counts[part] = sum(_multiply_adds(op) for op in _operations(operations[start:end]))
    start = end
  return counts


def _graph_size() -> int:
  return len(tf.compat.v1.get_default_graph().get_operations())


def _operations(operations: Sequence[tf.Operation]) -> Iterator[tf.Operation]:
  """Yields operations and those of the functions that they call."""
  for op in operations:
    yield op
    if op.type in ('PartitionedCall', 'StatefulPartitionedCall'):
      yield from _operations(op.graph._get_function(op.get_attr('f').name).graph.get_operations())


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
