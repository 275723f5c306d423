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

"""Removes duplicates from a .tflite, above all from files with a graph for each of several signatures."""

import collections
from collections.abc import Hashable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

_IDENTIFIER = b'TFL3'
_ALIGNMENT_BYTES = 16  # Of weights; the format demands it (force_align), the generated classes forget it.


def pack(model: Any) -> bytes:
  """Serializes a model so that equal tensors, operators, vectors and tables are stored once.

  Args:
    model: what flatbuffer_utils has read; it cannot be used afterwards.
  """
  tables = {}

  def once(table: Any) -> Any:
    return None if table is None else tables.setdefault(_content(table), _Once(table))

  for graph in model.subgraphs:
    for tensor in graph.tensors:
      tensor.quantization = once(tensor.quantization)
    for operator in graph.operators:
      operator.builtinOptions = once(operator.builtinOptions)
    graph.tensors = [once(tensor) for tensor in graph.tensors]
    graph.operators = [once(operator) for operator in graph.operators]
  builder = _Builder()
  builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
  return bytes(builder.Output())


def share_buffers(content: bytes) -> bytes:
  """Stores equal weights of several graphs once, and drops the names of inner tensors.

  The names are long, for each is the list of the layers that were fused, and there are as many copies as signatures.
  What differs in the quantization parameters of equal weights by no more than rounding becomes the same.
  """
  model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
  first, buffers = {b'': 0}, model.buffers[:1]  # Buffer 0 is the empty one by convention.
  where = {0: 0}
  for index, buffer in enumerate(model.buffers[1:], start=1):
    data = b'' if buffer.data is None else bytes(bytearray(buffer.data))
    if data not in first:
      first[data] = len(buffers)
      buffers.append(buffer)
    where[index] = first[data]
  model.buffers = buffers
  for entry in model.metadata or ():
    entry.buffer = where[entry.buffer]
  seen = collections.defaultdict(list)
  for graph in model.subgraphs:
    ends = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
      tensor.buffer = where[tensor.buffer]
      if index not in ends:
        tensor.name = b''
      if tensor.buffer and tensor.quantization is not None:
        tensor.quantization = _first_like(tensor.quantization, seen[tensor.buffer])
  return pack(model)


class _Once:
  """A table that is written the first time it is packed, and referred to from then on."""

  def __init__(self, table: Any):
    self._table = table
    self._offset = None

  def Pack(self, builder: flatbuffers.Builder) -> int:
    """Writes the table; returns its offset. The generated classes define the method's name."""
    if self._offset is None:
      self._offset = self._table.Pack(builder)
    return self._offset


class _Builder(flatbuffers.Builder):
  """Writes equal vectors once: of quantization parameters, zero points are mostly zeros, and shapes repeat."""

  def __init__(self):
    super().__init__(1024)
    self._vectors = {}

  def CreateNumpyVector(self, x: np.ndarray) -> int:
    """Writes the vector; returns its offset. The base class defines the method's name."""
    key = _content(x)
    if key not in self._vectors:
      if x.dtype == np.uint8:
        self.Prep(_ALIGNMENT_BYTES, x.nbytes)
      self._vectors[key] = super().CreateNumpyVector(x)
    return self._vectors[key]


def _first_like(parameters: Any, seen: list[Any]) -> Any:
  """Returns the first of `seen` that equals `parameters` up to the rounding of scales; appends new ones."""
  for other in seen:
    if _nearly_equal(other, parameters):
      return other
  seen.append(parameters)
  return parameters


def _nearly_equal(one: Any, other: Any) -> bool:
  if one.scale is None or other.scale is None or len(one.scale) != len(other.scale):
    return False
  if one.quantizedDimension != other.quantizedDimension or not np.array_equal(one.zeroPoint, other.zeroPoint):
    return False
  return np.allclose(one.scale, other.scale, rtol=1e-5, atol=0.0)


def _content(value: Any) -> Hashable:
  """Converts `value` to a hashable that is equal for equal content."""
  if isinstance(value, _Once):
    return id(value)
  if isinstance(value, np.ndarray):
    return value.dtype.str, value.tobytes()
  if isinstance(value, list | tuple):
    return tuple(_content(item) for item in value)
  if hasattr(value, '__dict__'):
    return type(value).__name__, tuple((name, _content(item)) for name, item in sorted(vars(value).items()))
  return value
