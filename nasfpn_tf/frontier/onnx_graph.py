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

"""Counts multiply-adds and weights of an .onnx, as one part: the file has no names of layers."""

import math

import onnx


class OnnxGraph:
  """The graph of an .onnx file with the shapes of what it computes."""

  def __init__(self, path: str):
    """Reads a file; what onnx raises where it is none is a ValueError."""
    try:
      model = onnx.shape_inference.infer_shapes(onnx.load(path))
    except Exception as error:  # Of protobuf, or of the shape inference; they share no class.
      raise ValueError(f'no ONNX model: {error}') from error
    self._nodes = model.graph.node
    self._shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    self._weights = set(self._shapes)
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
      shape = value.type.tensor_type.shape
      self._shapes.setdefault(value.name, tuple(side.dim_value for side in shape.dim))

  def multiply_adds(self) -> dict[str, int]:
    """Counts the multiply-adds of convolutions and matrix products for one image."""
    total = 0
    for node in self._nodes:
      outputs = self._shapes.get(node.output[0], (0,))
      if node.op_type == 'Conv':
        # Kernels are [filters, channels of a group, height, width]; a batch of any size counts as one image.
        total += math.prod(outputs[1:]) * math.prod(self._shapes[node.input[1]][1:])
      elif node.op_type in ('Gemm', 'MatMul'):
        total += math.prod(outputs) * self._shapes[node.input[0]][-1]
    return {'network': total}

  def params(self) -> int:
    """Counts the values in kernels and biases of convolutions and matrix products, shared ones once."""
    nodes = (node for node in self._nodes if node.op_type in ('Conv', 'Gemm', 'MatMul'))
    used = {name for node in nodes for name in node.input[1:3]}
    return sum(math.prod(self._shapes[name]) for name in used & self._weights)
