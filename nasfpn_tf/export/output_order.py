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

"""Puts the outputs of a .tflite in one order: in the signature, by position in the graph and by index of the tensor.

The converter orders the outputs of a graph by the signature's names and numbers tensors as it meets them. A client that
asks for output 0, and a metadata writer that goes by ascending index of the tensors, then see another order each. It
also calls every output `StatefulPartitionedCall:N`, and widely copied scripts take a first output of such a name as the
sign of the order scores, boxes, count, classes: tensors get the names of their outputs.

Shapes of operators are fixed, too, so that a file whose input is resized refuses to run.
"""

import copy
import errno
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.export import sharing


def fix_outputs(content: bytes, shapes: Mapping[str, Sequence[int] | None]) -> bytes:
  """Sets the order, the shapes and the tensors' names of the outputs of every signature.

  The converter leaves the outputs of a custom operator without shape: LiteRT's Interpreter finds it out, its
  CompiledModel and its JavaScript API cannot.

  Args:
    content: of the file.
    shapes: shape of every output by name, in their order; None: as the converter has it. Signatures with other outputs
      get them in the order of their names, with the shapes that they have.

  Raises:
    ValueError: two outputs are the same tensor.
    OSError: the file has no signature, because the converter could not write its temporary files.
  """
  model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
  if not model.signatureDefs:
    raise OSError(errno.ENOSPC, 'the converter cannot write its temporary files', tempfile.gettempdir())
  for definition in model.signatureDefs:
    graph = model.subgraphs[definition.subgraphIndex]
    entries = {entry.name.decode(): entry for entry in definition.outputs}
    order = list(shapes) if set(entries) == set(shapes) else sorted(entries)
    for name in order:
      tensor = graph.tensors[entries[name].tensorIndex]
      tensor.name = name.encode()
      if shapes.get(name) is not None:
        tensor.shape, tensor.shapeSignature = list(shapes[name]), None
    definition.outputs = [entries[name] for name in order]
    _ascend(model, definition)
  _fix_reshapes(model)
  return sharing.pack(model)


def _fix_reshapes(model: Any) -> None:
  """Gives every RESHAPE all sides: with one left open, a file resized to several images runs and mixes them up."""
  for graph in model.subgraphs:
    for operator in graph.operators:
      if model.operatorCodes[operator.opcodeIndex].builtinCode != schema.BuiltinOperator.RESHAPE:
        continue
      shape = [int(side) for side in graph.tensors[operator.outputs[0]].shape]
      if len(operator.inputs) > 1:
        sides = copy.copy(graph.tensors[operator.inputs[1]])
        data = model.buffers[sides.buffer].data
        if data is None or min(np.frombuffer(bytes(bytearray(data)), np.int32), default=0) >= 0:
          continue
        # What the others read stays: tensors and buffers of the sides are shared.
        sides.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(np.int32(shape).tobytes(), np.uint8)
        operator.inputs = np.int32([operator.inputs[0], len(graph.tensors)])
        graph.tensors.append(sides)
      if operator.builtinOptions is not None:
        operator.builtinOptions.newShape = np.int32(shape)


def _ascend(model: Any, definition: Any) -> None:
  """Swaps the output tensors of a signature so that their indices ascend, and updates all references."""
  graph = model.subgraphs[definition.subgraphIndex]
  before = [entry.tensorIndex for entry in definition.outputs]
  if len(set(before)) < len(before):
    raise ValueError(f'Two outputs of the signature {definition.signatureKey.decode()} are the same tensor.')
  places = dict(zip(before, sorted(before), strict=True))
  tensors = list(graph.tensors)
  for old, new in places.items():
    graph.tensors[new] = tensors[old]

  def moved(indices: Any) -> Any:
    return None if indices is None else np.array([places.get(int(index), int(index)) for index in indices], np.int32)

  graph.inputs, graph.outputs = moved(graph.inputs), np.array(sorted(before), np.int32)
  for operator in graph.operators:
    operator.inputs, operator.outputs = moved(operator.inputs), moved(operator.outputs)
    operator.intermediates = moved(operator.intermediates)
  for other in model.signatureDefs:
    if other.subgraphIndex == definition.subgraphIndex:
      for entry in (*other.inputs, *other.outputs):
        entry.tensorIndex = places.get(entry.tensorIndex, entry.tensorIndex)
