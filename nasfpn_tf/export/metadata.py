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

"""What is inside a .tflite, and the JSON file that says so beside it."""

import collections
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils

POST_PROCESS = 'TFLite_Detection_PostProcess'
_ALLOWED_CUSTOM_OPS = (POST_PROCESS,)


def sidecar_path(tflite_path: str) -> str:
  """Path of the JSON file beside a .tflite: the same name with .json."""
  return os.path.splitext(tflite_path)[0] + '.json'


def count_ops(content: bytes) -> dict[str, int]:
  """How often each operator occurs, custom ones by their own names, the most frequent first."""
  model = _read(content)
  counts = collections.Counter(_name(model, op) for graph in model.subgraphs for op in graph.operators)
  return dict(counts.most_common())


def check_portable(content: bytes) -> None:
  """Makes sure that any LiteRT runtime can run the file.

  Raises:
    ValueError: naming the operators that only a runtime with TensorFlow's kernels (Flex) or custom kernels has, or the
      inputs whose shape is not static.
  """
  model = _read(content)
  foreign = sorted(
    {_name(model, op) for graph in model.subgraphs for op in graph.operators if _is_custom(model, op)}
    - set(_ALLOWED_CUSTOM_OPS)
  )
  if foreign:
    raise ValueError(f'The converted model needs operators that LiteRT does not have: {", ".join(foreign)}.')
  graph = model.subgraphs[0]
  for index in graph.inputs:
    tensor = graph.tensors[index]
    if tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature):
      raise ValueError(f'The input {tensor.name.decode()} of the converted model has no static shape.')


def fix_post_process_outputs(content: bytes, max_detections: int) -> bytes:
  """Gives the outputs of the post-processing their shapes, and the model its outputs in the operator's own order.

  The converter leaves both open: LiteRT's Interpreter finds the shapes out, its CompiledModel and its JavaScript API
  cannot. The order is boxes, classes, scores, number.
  """
  model = _read(content)
  graph = model.subgraphs[0]
  op = next(op for op in graph.operators if _name(model, op) == POST_PROCESS)
  shapes = [1, max_detections, 4], [1, max_detections], [1, max_detections], [1]
  for index, shape in zip(op.outputs, shapes, strict=True):
    graph.tensors[index].shape = shape
    graph.tensors[index].shapeSignature = None
  graph.outputs = list(op.outputs)
  return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def post_process_inputs(content: bytes) -> list[int]:
  """Tensor indices of the box encodings and the class scores that enter the post-processing; empty without one."""
  model = _read(content)
  for op in model.subgraphs[0].operators:
    if _name(model, op) == POST_PROCESS:
      return list(op.inputs)[:2]
  return []


def names_before_first_convolution(content: bytes) -> list[str]:
  """Names of the outputs of all operators up to the first convolution: casting and normalisation."""
  model = _read(content)
  graph, names = model.subgraphs[0], []
  for op in graph.operators:
    if 'CONV' in _name(model, op):
      return names
    names += [graph.tensors[index].name.decode() for index in op.outputs]
  return []


def write_sidecar(tflite_path: str, facts: Mapping[str, Any]) -> str:
  """Writes the facts beside `tflite_path`; returns the path."""
  path = sidecar_path(tflite_path)
  with open(path, 'w', encoding='utf-8') as file:
    json.dump({'format': 1, 'kind': 'tflite', **facts}, file, indent=2)
    file.write('\n')
  return path


def signature(content: bytes) -> dict[str, Sequence[Mapping[str, Any]]]:
  """`inputs` and `outputs` of the file's signature: name, shape and dtype of each."""
  from ai_edge_litert.interpreter import Interpreter

  interpreter = Interpreter(model_content=content)
  runner = interpreter.get_signature_runner()

  def describe(details):
    return [
      {'name': name, 'shape': [int(side) for side in detail['shape']], 'dtype': detail['dtype'].__name__}
      for name, detail in details.items()
    ]

  return {'inputs': describe(runner.get_input_details()), 'outputs': describe(runner.get_output_details())}


def _read(content: bytes) -> Any:
  return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _is_custom(model: Any, op: Any) -> bool:
  return flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) == 'CUSTOM'


def _name(model: Any, op: Any) -> str:
  if _is_custom(model, op):
    return model.operatorCodes[op.opcodeIndex].customCode.decode()
  return flatbuffer_utils.opcode_to_name(model, op.opcodeIndex)
