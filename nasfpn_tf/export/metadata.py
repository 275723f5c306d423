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

"""Inspects the content of a .tflite: operators, signatures and tensors."""

import collections
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.artifacts import tflite_runner

POST_PROCESS = 'TFLite_Detection_PostProcess'
_ALLOWED_CUSTOM_OPS = (POST_PROCESS,)


def count_ops(content: bytes) -> dict[str, int]:
  """Counts the occurrences of each operator, the most frequent first; custom operators go by their own names."""
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
  for graph in model.subgraphs:
    for index in graph.inputs:
      tensor = graph.tensors[index]
      if tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature):
        raise ValueError(f'The input {tensor.name.decode()} of the converted model has no static shape.')


def raw_outputs(content: bytes, signature_key: str | None = None) -> tuple[int, int, bool, int]:
  """Finds the tensors that enter the NMS of a signature (None: of the only one).

  Returns:
    Indices of box encodings and class predictions, whether these are logits, and the index of their graph.

  Raises:
    ValueError: the file has no NMS.
  """
  model = _read(content)
  keys = {definition.signatureKey.decode(): definition.subgraphIndex for definition in model.signatureDefs}
  graph_index = keys[signature_key] if signature_key else 0
  graph = model.subgraphs[graph_index]
  made_by = {index: op for op in graph.operators for index in op.outputs}
  for op in graph.operators:
    if _name(model, op) == POST_PROCESS:
      return op.inputs[0], op.inputs[1], False, graph_index
    if _name(model, op) == 'TOPK_V2':
      logits = op.inputs[0]
      while _name(model, made_by[logits]) in ('RESHAPE', 'TRANSPOSE'):  # Transposed: candidates of each class.
        logits = made_by[logits].inputs[0]
      joined = {op.outputs[0] for op in graph.operators if _name(model, op) == 'CONCATENATION'} - {logits}
      # [1, num_anchors, 4], as opposed to the decoded boxes of the candidates.
      boxes = next(index for index in joined if len(graph.tensors[index].shape) == 3)
      return boxes, logits, True, graph_index
  raise ValueError('The file has no NMS before which raw outputs could be read.')


def names_outside_network(content: bytes) -> list[str]:
  """Names of the outputs of all operators before the first convolution and after the heads' outputs are joined."""
  model = _read(content)
  names = []
  for graph in model.subgraphs:
    # A graph that takes features has nothing before the network.
    is_before = any(graph.tensors[index].shape[-1] == 3 for index in graph.inputs)
    after = set()
    for op in graph.operators:
      is_before = is_before and 'CONV' not in _name(model, op)
      if after.intersection(op.inputs) or _name(model, op) == 'CONCATENATION':
        after.update(op.outputs)
      if is_before or after.intersection(op.outputs):
        names += [graph.tensors[index].name.decode() for index in op.outputs]
  return names


def names_from_scopes(content: bytes, scopes: Collection[str]) -> list[str]:
  """Names of the outputs of all operators that were made of layers of the given names, and of what follows them.

  Raises:
    ValueError: there are none of a layer.
  """
  model = _read(content)
  # A fused operator has the names of all its parts, with semicolons between.
  patterns = {scope: re.compile(f'(?:^|[/;]){re.escape(scope)}/') for scope in scopes}
  found, names = set(), []
  for graph in model.subgraphs:
    after = set()
    for op in graph.operators:
      of_op = [graph.tensors[index].name.decode() for index in op.outputs]
      here = {scope for scope, pattern in patterns.items() if any(map(pattern.search, of_op))}
      if here or after.intersection(op.inputs):
        found |= here
        after.update(op.outputs)
        names += of_op
  for scope in scopes:
    if scope not in found:
      raise ValueError(f'No operator of the converted model is of the layer {scope!r}.')
  return names


def signature(content: bytes, signature_key: str | None = None) -> dict[str, Sequence[Mapping[str, Any]]]:
  """Describes the `inputs` and `outputs` of a signature (None: the only one): name, shape and dtype of each."""
  from ai_edge_litert.interpreter import Interpreter

  interpreter = Interpreter(model_content=content)
  runner = interpreter.get_signature_runner(signature_key)
  return {
    'inputs': tflite_runner.describe(runner.get_input_details()),
    'outputs': tflite_runner.describe(runner.get_output_details()),
  }


def _read(content: bytes) -> Any:
  return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _is_custom(model: Any, op: Any) -> bool:
  return flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) == 'CUSTOM'


def _name(model: Any, op: Any) -> str:
  if _is_custom(model, op):
    return model.operatorCodes[op.opcodeIndex].customCode.decode()
  return flatbuffer_utils.opcode_to_name(model, op.opcodeIndex)
