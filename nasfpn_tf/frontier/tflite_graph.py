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

"""Analyzes a .tflite part by part: counts multiply-adds and weights, and cuts the file after a part.

The converter names tensors after the layers they come from, so an operator belongs to the pyramid or the head if its
output is named after one. Operators without such a name go with what they read; those behind the head are
post-processing. A file that keeps no names, as that of all exits of an anytime detector, has one part: the network.
"""

import copy
import math
import re
from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.frontier.record import PARTS

_BACKBONE, _NECK, _HEAD, _POST = range(len(PARTS))
_NECK_NAMES = re.compile(r'(?:^|_)(?:feature_pyramid|(?:nas|mnas_|bi)?fpn)(?:_\d+)?$')
_HEAD_NAMES = re.compile(r'(?:^|_)heads?(?:_|$)')
_PASSIVE = ('QUANTIZE', 'DEQUANTIZE')
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith('_')}


class TFLiteGraph:
  """The graph of a .tflite, or of one of its signatures.

  Attributes:
    input_shape: of its first input.
    has_parts: whether its operators can be told apart by their names.
  """

  def __init__(self, content: bytes, signature_key: str | None = None):
    """Reads the content of a file.

    Args:
      content: of the file.
      signature_key: which signature; None: the first graph.

    Raises:
      ValueError: it is no .tflite, or has no such signature.
    """
    if content[4:8] != b'TFL3':
      raise ValueError('not a TFLite file.')
    self._model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    index = 0
    if signature_key is not None:
      keys = {entry.signatureKey.decode(): entry.subgraphIndex for entry in self._model.signatureDefs or ()}
      if signature_key not in keys:
        raise ValueError(f'has no signature {signature_key!r}, only {", ".join(sorted(keys)) or "none"}.')
      index = keys[signature_key]
    self._graph = self._model.subgraphs[index]
    self.input_shape = tuple(int(side) for side in self._graph.tensors[self._graph.inputs[0]].shape)
    labels = [self._label(op) for op in self._graph.operators]
    self.has_parts = _HEAD in labels
    self._parts = self._propagate(labels) if self.has_parts else []

  def multiply_adds(self) -> dict[str, int]:
    """Counts multiply-adds of convolutions and matrix products by part, or of the 'network' without parts."""
    names = [PARTS[part] for part in self._parts] or ['network'] * len(self._graph.operators)
    counts = dict.fromkeys(dict.fromkeys(name for name in PARTS if name in names) if self.has_parts else names, 0)
    for op, name in zip(self._graph.operators, names, strict=True):
      counts[name] += self._multiply_adds(op)
    return {name: count for name, count in counts.items() if count}

  def params(self) -> int:
    """Counts the values in kernels and biases of convolutions and matrix products, shared ones once."""
    found = {}
    for op in self._graph.operators:
      if self._name(op) in ('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED'):
        for index in op.inputs[1:3]:
          if index >= 0:
            tensor = self._graph.tensors[index]
            found[tensor.buffer or f'computed {index}'] = math.prod(int(side) for side in tensor.shape)
    return sum(found.values())

  def cut(self, part: str) -> bytes:
    """Truncates a file after a part: its outputs are the inputs of the next part, or those given.

    Raises:
      ValueError: the parts are not told apart.
    """
    if not self.has_parts:
      raise ValueError('the operators have no layer names, so the file cannot be truncated.')
    last = PARTS.index(part)
    operators = list(zip(self._graph.operators, self._parts, strict=True))
    wanted = {int(index) for index in self._graph.outputs}
    wanted.update(int(index) for op, number in operators if number > last for index in op.inputs)
    made = [int(index) for op, number in operators if number <= last for index in op.outputs]
    constant = self._constants()
    outputs = [index for index in made if index in wanted and index not in constant]
    needed, kept = set(outputs), []
    for op, _ in reversed(operators):
      if needed.intersection(map(int, op.outputs)):
        needed.update(map(int, op.inputs))
        kept.append(op)
    graph = copy.copy(self._graph)
    graph.operators, graph.outputs = kept[::-1], outputs
    model = copy.copy(self._model)
    model.subgraphs, model.signatureDefs = [graph], []
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))

  def _constants(self) -> set[int]:
    """Returns constant tensors, and those computed from constants alone, such as float kernels from half precision."""
    buffers = self._model.buffers
    found = {i for i, tensor in enumerate(self._graph.tensors) if buffers[tensor.buffer].data is not None}
    for op in self._graph.operators:
      if all(index in found for index in map(int, op.inputs) if index >= 0):
        found.update(map(int, op.outputs))
    return found

  def _name(self, op: Any) -> str:
    code = self._model.operatorCodes[op.opcodeIndex]
    return _OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), '')

  def _label(self, op: Any) -> int | None:
    """Returns the part that the operator's output is named after."""
    for name in (self._graph.tensors[op.outputs[0]].name or b'').decode().split(';'):
      scopes = name.split('/')[:-1]
      if scopes:
        if any(map(_HEAD_NAMES.search, scopes)):
          return _HEAD
        return _NECK if any(map(_NECK_NAMES.search, scopes)) else _BACKBONE
    return None

  def _propagate(self, labels: Sequence[int | None]) -> list[int]:
    """Assigns a part to every operator, never an earlier one than those of the operators it reads from."""
    of_tensor, parts = {}, []
    for op, label in zip(self._graph.operators, labels, strict=True):
      part = max((of_tensor.get(int(index), _BACKBONE) for index in op.inputs), default=_BACKBONE)
      behind = part >= _HEAD and label != _HEAD and self._name(op) not in _PASSIVE
      part = _POST if behind else max(part, label or _BACKBONE)
      of_tensor.update(dict.fromkeys(map(int, op.outputs), part))
      parts.append(part)
    return parts

  def _multiply_adds(self, op: Any) -> int:
    def shape(index: int) -> list[int]:
      return [int(side) for side in self._graph.tensors[index].shape]

    name = self._name(op)
    if name in ('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED'):
      kernel = shape(op.inputs[1])
      # Kernels are [filters, height, width, channels]; a depthwise one [1, height, width, filters] reads one channel.
      reads = math.prod(kernel[1:3]) if name == 'DEPTHWISE_CONV_2D' else math.prod(kernel[1:])
      return math.prod(shape(op.outputs[0])) * reads
    if name == 'BATCH_MATMUL':
      return math.prod(shape(op.outputs[0])) * shape(op.inputs[0])[-2 if op.builtinOptions.adjX else -1]
    return 0
