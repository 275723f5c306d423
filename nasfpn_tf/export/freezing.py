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

"""Converts variables to constants, which runs faster on CPUs: batch norms are folded and kernels packed once."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from nasfpn_tf.export import folding

_SMALL_BYTES = 1024  # Up to here a constant takes hardly more than what would refer to it.


def freeze(functions: Sequence[tf.types.experimental.GenericFunction]) -> list[Callable[..., Any]]:
  """Freezes `tf.function`s with one input signature each: their variables become constants.

  What several of them have in common, as heads that share kernels do, is stored once, in a function that they call.

  Returns:
    Functions that take and give the same structures of tensors; called in other functions they are not copied.
  """
  concrete = [function.get_concrete_function() for function in functions]
  frozen = [
    convert_to_constants.convert_variables_to_constants_v2(function, lower_control_flow=False) for function in concrete
  ]
  graphs = [
    folding.fold_batch_norms(function.graph.as_graph_def(), [tensor.name for tensor in function.outputs])
    for function in frozen
  ]
  counts = collections.Counter(value for graph in graphs for value in set(_constants(graph).values()))
  common = [value for value, count in counts.items() if count > 1]
  tensors = [tf.make_ndarray(tf.compat.v1.AttrValue.FromString(value).tensor) for value in common]
  given = tf.function(lambda: [tf.constant(tensor) for tensor in tensors], input_signature=()).get_concrete_function()
  frozen = [_rebuilt(*both, common, given) for both in zip(frozen, graphs, strict=True)]
  return [_of_structure(*both) for both in zip(frozen, concrete, strict=True)]


def _constants(graph: tf.compat.v1.GraphDef) -> dict[str, bytes]:
  """Returns {name: serialized value} of the constants that are worth sharing."""
  nodes = (node for node in graph.node if node.op == 'Const')
  values = {node.name: node.attr['value'].SerializeToString(deterministic=True) for node in nodes}
  return {name: value for name, value in values.items() if len(value) > _SMALL_BYTES}


def _rebuilt(
  function: Any, graph: tf.compat.v1.GraphDef, common: Sequence[bytes], given: Callable[[], Sequence[tf.Tensor]]
) -> Any:
  """Rebuilds a frozen function so that it takes the constants in `common` from `given` and has no custom gradients.

  Those could not be saved, and whoever loads the graph would be warned of it.
  """
  places = {value: index for index, value in enumerate(common)}
  taken = {f'{name}:0': places[value] for name, value in _constants(graph).items() if value in places}
  inputs = [tensor.name for tensor in function.inputs]
  left_out = {name.partition(':')[0] for name in (*taken, *inputs)}
  nodes = [node for node in graph.node if node.name not in left_out]
  for node in nodes:
    node.attr.pop('_gradient_op_type', None)
  del graph.node[:]
  graph.node.extend(nodes)

  def call(*args: tf.Tensor) -> list[tf.Tensor]:
    constants = given() if taken else []
    tensors = {**dict(zip(inputs, args, strict=True)), **{name: constants[index] for name, index in taken.items()}}
    return tf.graph_util.import_graph_def(graph, tensors, [tensor.name for tensor in function.outputs], name='')

  signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in function.inputs]
  return tf.function(call, input_signature=signature).get_concrete_function()


def _of_structure(frozen: Any, concrete: Any) -> Callable[..., Any]:
  """Wraps `frozen`, which takes and returns flat lists, in the structure of `concrete`."""

  def call(*args: Any) -> Any:
    outputs = frozen(*tf.nest.flatten(args))
    return tf.nest.pack_sequence_as(concrete.structured_outputs, tf.nest.flatten(outputs))

  return call
