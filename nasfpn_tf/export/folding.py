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


"""Folds batch norms into the convolutions before them, in graphs whose weights are constants.

TensorFlow does so itself for dense convolutions in float32 alone. In bfloat16, and after depthwise convolutions, each
batch norm passes over the feature map once more and keeps the activation after it from being part of the convolution.

A convolution with a bias whose result is added to something is kept apart from that sum: TensorFlow 2.20 makes one
oneDNN operation of convolution, bias and sum, and that operation gives wrong values or crashes when several threads
call the graph at once. One without a bias, as before folding, is not affected.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2dNative')
_SUMS = ('Add', 'AddV2', 'AddN')
_BATCH_NORMS = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')
_ANY = tf.compat.v1.TensorShape([None]).as_proto().dim[0]
_OF_CONSTANTS = {
  'Identity': lambda value: value,
  'Cast': lambda value: value,
  'Rsqrt': lambda value: 1.0 / np.sqrt(value),
  'Mul': np.multiply,
  'AddV2': np.add,
  'Sub': np.subtract,
}


@dataclasses.dataclass(frozen=True)
class _Affine:
  """A node that computes `x * scale + offset`, channel by channel, with constants.

  Attributes:
    node: the last of its nodes: its output is the result.
    x: name of the tensor that it takes.
    inner: what it consists of besides `node`.
    constants: names of the tensors that scale and offset are computed from: scale, offset, mean, variance of a batch
      norm; scale and offset otherwise.
    epsilon: of a batch norm.
  """

  node: tf.compat.v1.NodeDef
  x: str
  inner: tuple[tf.compat.v1.NodeDef, ...]
  constants: tuple[str, ...]
  epsilon: float = 0.0

  def terms(self, wired: '_Graph') -> tuple[np.ndarray, np.ndarray]:
    """Returns scale and offset, float64 vectors."""
    scale, offset, *moments = (np.ravel(wired.value(name)) for name in self.constants)
    if moments:
      mean, variance = moments
      scale = scale / np.sqrt(variance + self.epsilon)
      offset = offset - mean * scale
    return scale, offset


class _Graph:
  """A graph's nodes by name, with what reads them."""

  def __init__(self, nodes: Iterable[tf.compat.v1.NodeDef], outputs: Sequence[str]):
    self.nodes = {node.name: node for node in nodes}
    self._readers: dict[str, list[str]] = {}
    self._constant: dict[str, bool] = {}
    read = [(node.name, tensor) for node in self.nodes.values() for tensor in _tensors(node)]
    for reader, tensor in [*read, *(('', tensor) for tensor in outputs)]:
      self._readers.setdefault(_node_name(tensor), []).append(reader)

  def of(self, tensor: str) -> tf.compat.v1.NodeDef:
    """Returns the node that makes a tensor."""
    return self.nodes[_node_name(tensor)]

  def alone(self, node: tf.compat.v1.NodeDef) -> bool:
    """Tells whether a node is read once, so that it may change."""
    return len(self._readers.get(node.name, ())) == 1

  def constant(self, tensor: str) -> bool:
    """Tells whether a tensor depends on constants only."""
    node = self.of(tensor)
    if node.name not in self._constant:
      computed = node.op in _OF_CONSTANTS and all(map(self.constant, _tensors(node)))
      self._constant[node.name] = computed or node.op == 'Const'
    return self._constant[node.name]

  def value(self, tensor: str) -> np.ndarray:
    """Computes a tensor that depends on constants only, in float64."""
    node = self.of(tensor)
    if node.op == 'Const':
      return tf.make_ndarray(node.attr['value'].tensor).astype(np.float64)
    return _OF_CONSTANTS[node.op](*map(self.value, _tensors(node)))

  def owned(self, tensor: str) -> bool:
    """Tells whether a constant, and all that it is computed from, is read in one place."""
    node = self.of(tensor)
    return self.alone(node) and all(map(self.owned, _tensors(node)))

  def casts_after(self, node: tf.compat.v1.NodeDef, dtype: int) -> list[tf.compat.v1.NodeDef] | None:
    """Returns what reads a node if each is a cast to `dtype`, else None."""
    readers = [self.nodes.get(name) for name in self._readers.get(node.name, ())]
    casts = all(reader is not None and reader.op == 'Cast' for reader in readers)
    return readers if casts and all(reader.attr['DstT'].type == dtype for reader in readers) else None

  def affine(self, node: tf.compat.v1.NodeDef) -> _Affine | None:
    """Returns what a node computes if it is the last one of a batch norm with constant statistics."""
    if node.op in _BATCH_NORMS:
      x, *constants = node.input[:5]
      if node.attr['is_training'].b or not all(map(self.constant, constants)):
        return None
      return _Affine(node, x, (), tuple(constants), node.attr['epsilon'].f)
    if node.op != 'AddV2':
      return None
    # Batch norms that are synchronized in training have no fused operation.
    for product, offset in (node.input[:2], node.input[1::-1]):
      if (inner := self.of(product)).op != 'Mul' or not self.alone(inner) or not self.constant(offset):
        continue
      for x, scale in (inner.input[:2], inner.input[1::-1]):
        if self.constant(scale) and not self.constant(x):
          return _Affine(node, x, (inner,), (scale, offset))
    return None


def fold_batch_norms(graph: tf.compat.v1.GraphDef, outputs: Sequence[str]) -> tf.compat.v1.GraphDef:
  """Folds every batch norm that follows a convolution into its kernel and bias, in float64.

  A kernel that several convolutions share, as those of a head do, stays: each would need a copy of its own.

  Args:
    graph: weights are constants.
    outputs: names of the tensors that are taken from it.

  Returns:
    The new graph, without what `outputs` do not need; inputs stay.
  """
  wired = _Graph(graph.node, outputs)
  found = [pair for node in graph.node if (pair := _convolution_before(wired, node))]
  changed = {node.name: node for affine, nodes in found for node in _fold(wired, affine, nodes)}
  nodes = {**wired.nodes, **changed}
  kept = _reachable(nodes, outputs)
  folded = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
  # A new graph, because what is removed from one keeps its memory.
  for name, node in nodes.items():
    if name in kept or node.op == 'Placeholder':
      copy = folded.node.add()
      copy.CopyFrom(node)
      copy.input[:] = _needed_inputs(nodes, node)
  _keep_sums_apart(folded)
  return folded


def _keep_sums_apart(graph: tf.compat.v1.GraphDef) -> None:
  """Puts a node that TensorFlow does not look through between each convolution with a bias and a sum that reads it."""
  nodes = {node.name: node for node in graph.node}
  biased = {name for name, node in nodes.items() if node.op in ('BiasAdd', *_SUMS) and _is_biased(nodes, node)}
  for node in list(graph.node):
    if node.op not in _SUMS or node.name in biased:
      continue
    for place, tensor in enumerate(node.input):
      if (name := _node_name(tensor)) not in biased or tensor[0] == '^':
        continue
      if (apart := f'{name}/apart') not in nodes:
        nodes[apart] = graph.node.add(name=apart, op='EnsureShape', input=[name])
        nodes[apart].attr['T'].type = nodes[name].attr['T'].type
        nodes[apart].attr['shape'].shape.dim.extend([_ANY] * 4)
      node.input[place] = apart


def _is_biased(nodes: Mapping[str, tf.compat.v1.NodeDef], node: tf.compat.v1.NodeDef) -> bool:
  """Tells whether a node adds a bias to a convolution, with the operation for it or as a sum with a vector."""
  inputs = [nodes[_node_name(tensor)] for tensor in _tensors(node)]
  if node.op == 'BiasAdd':
    return inputs[0].op in _CONVOLUTIONS
  shapes = [one.attr['value'].tensor.tensor_shape.dim for one in inputs if one.op == 'Const']
  return any(one.op in _CONVOLUTIONS for one in inputs) and [len(shape) for shape in shapes] == [1]


def _convolution_before(wired: _Graph, node: tf.compat.v1.NodeDef):
  """Returns an affine node with [convolution] or [convolution, its bias] if they can be folded, else None."""
  affine = wired.affine(node)
  if affine is None:
    return None
  before = [wired.of(affine.x)]
  cast = before[0].op == 'Cast' and wired.alone(before[0])  # Synchronized batch norms compute in float32.
  if cast:
    before = [wired.of(before[0].input[0])]
  if before[0].op == 'BiasAdd':
    if not wired.constant(before[0].input[1]):
      return None
    before.insert(0, wired.of(before[0].input[0]))
  convolution = before[0]
  if convolution.op not in _CONVOLUTIONS or convolution.attr['data_format'].s not in (b'', b'NHWC'):
    return None
  if cast and wired.casts_after(node, convolution.attr['T'].type) is None:
    return None
  kernel = convolution.input[1]
  return (affine, before) if all(map(wired.alone, before)) and wired.constant(kernel) and wired.owned(kernel) else None


def _fold(wired: _Graph, affine: _Affine, nodes: list[tf.compat.v1.NodeDef]) -> Iterator[tf.compat.v1.NodeDef]:
  """Yields the nodes with which the affine node becomes the bias of the convolution."""
  convolution, *biased = nodes
  kernel = wired.value(convolution.input[1])
  scale, offset = affine.terms(wired)
  if biased:
    offset = offset + wired.value(biased[0].input[1]) * scale
  per_output = kernel.shape[2:] if convolution.op == 'DepthwiseConv2dNative' else kernel.shape[3:]
  scale, offset = (np.broadcast_to(term, [np.prod(per_output)]) for term in (scale, offset))
  dtype, name = convolution.attr['T'].type, affine.node.name
  of_kernel = _constant(f'{name}/folded_kernel', kernel * scale.reshape(per_output), dtype)
  of_bias = _constant(f'{name}/folded_bias', offset, dtype)
  bias = tf.compat.v1.NodeDef(name=name, op='BiasAdd', input=[convolution.name, of_bias.name])
  bias.attr['T'].type = dtype
  bias.attr['data_format'].s = b'NHWC'
  changed = _copy(convolution)
  changed.input[1] = of_kernel.name
  yield from (of_kernel, of_bias, bias, changed)
  if wired.of(affine.x).op == 'Cast':
    for cast in map(_copy, wired.casts_after(affine.node, dtype)):
      cast.attr['SrcT'].type = dtype  # To the type that it has: TensorFlow removes it.
      yield cast


def _constant(name: str, value: np.ndarray, dtype: int) -> tf.compat.v1.NodeDef:
  tensor = tf.make_tensor_proto(value.astype(tf.as_dtype(dtype).as_numpy_dtype))
  node = tf.compat.v1.NodeDef(name=name, op='Const')
  node.attr['dtype'].type = dtype
  node.attr['value'].tensor.CopyFrom(tensor)
  return node


def _copy(node: tf.compat.v1.NodeDef) -> tf.compat.v1.NodeDef:
  copy = tf.compat.v1.NodeDef()
  copy.CopyFrom(node)
  return copy


def _reachable(nodes: Mapping[str, tf.compat.v1.NodeDef], outputs: Sequence[str]) -> set[str]:
  """Returns the names of the nodes that outputs depend on."""
  seen, left = set(), [_node_name(name) for name in outputs]
  while left:
    if (name := left.pop()) not in seen:
      seen.add(name)
      left += map(_node_name, _needed_inputs(nodes, nodes[name]))
  return seen


def _needed_inputs(nodes: Mapping[str, tf.compat.v1.NodeDef], node: tf.compat.v1.NodeDef) -> list[str]:
  """Returns the inputs of a node, without an order of execution that reading a constant need not keep."""

  def reads_constant(node: tf.compat.v1.NodeDef) -> bool:
    return node.op == 'Const' or (node.op == 'Identity' and reads_constant(nodes[_node_name(node.input[0])]))

  return [name for name in node.input if name[0] != '^' or not reads_constant(nodes[name[1:]])]


def _tensors(node: tf.compat.v1.NodeDef) -> list[str]:
  """Returns the inputs of a node that are tensors, not an order of execution."""
  return [name for name in node.input if name[0] != '^']


def _node_name(tensor: str) -> str:
  return tensor.removeprefix('^').partition(':')[0]
