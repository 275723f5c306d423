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

"""Loads SavedModels from untrusted sources: first checks what their graphs can do on this machine."""

import glob
import os
import re
from collections.abc import Iterator
from typing import Any

from nasfpn_tf.artifacts import checkpoint_index, layout

# TensorFlow marks an operator as stateful when running it does more than compute: it reads or writes files, calls
# Python, talks to other machines, or keeps variables. A detector needs these of them, and no other.
_ALLOWED = frozenset(
  {
    'Assert',
    'AssignAddVariableOp',
    'AssignSubVariableOp',
    'AssignVariableOp',
    'Case',
    'CheckNumerics',
    'CheckNumericsV2',
    'DatasetToSingleElement',
    'DestroyResourceOp',
    'DisableCopyOnRead',
    'Empty',
    'HashTable',
    'HashTableV2',
    'If',
    'InitializeTableV2',
    'LookupTableFindV2',
    'LookupTableImportV2',
    'LookupTableSizeV2',
    'RandomStandardNormal',
    'RandomUniform',
    'RandomUniformInt',
    'ReadVariableOp',
    'ResourceGather',
    'ResourceGatherNd',
    'StatefulPartitionedCall',
    'StatelessRandomGetAlg',
    'TensorDataset',
    'TruncatedNormal',
    'VarHandleOp',
    'VarIsInitializedOp',
    'VariableShape',
    'While',
  }
)
# What the functions that save and restore variables may do besides; loading calls neither.
_OF_SAVER = frozenset(('MergeV2Checkpoints', 'RestoreV2', 'SaveV2', 'ShardedFilename'))
# Operators that TensorFlow does not mark although they do the same.
_UNMARKED = re.compile(
  'File|PyFunc|Save|Restore|Snapshot|Cache|ImmutableConst|Debug|Reader|Summary|FromGraph|Remote|Vocab|RegisterDataset'
  '|CustomCall|Mlir'
)


def check_operators(directory: str) -> None:
  """Checks that the graphs of a SavedModel only compute, without running them.

  Raises:
    ValueError: naming the operator that could touch files, Python or other machines, or the file that is no SavedModel.
  """
  for function, operator in _suspicious(_read(directory)):
    raise ValueError(
      f'{directory}: {function} has the operator {operator}, with which a model can read or write files or run programs'
      ' on this machine; detectors have no use for it. Load it with --trust (in Python: trust=True) only if you trust'
      ' whoever made it.'
    )


def load(directory: str) -> Any:
  """Loads a SavedModel as `tf.saved_model.load` does; call `check_operators` before.

  Raises:
    ValueError: it is damaged, or TensorFlow cannot load it or its name; the message names the file or the directory.
  """
  import tensorflow as tf  # Formats are looked up without it.

  layout.check_path(directory)
  prefix = os.path.join(directory, layout.VARIABLES)
  problem = checkpoint_index.problem(prefix) if os.path.isfile(f'{prefix}.index') else None
  if problem:
    raise ValueError(f'{problem}; it is damaged or incomplete, copy or export it again.')
  damaged = (tf.errors.OpError, OSError, RuntimeError, LookupError, ValueError, TypeError)
  try:
    return tf.saved_model.load(directory)
  except (*damaged, AttributeError, AssertionError) as error:
    text = ' '.join((str(error) or type(error).__name__).split())
    raise ValueError(
      f'{_damaged(directory)}: TensorFlow cannot load it, it is damaged or incomplete ({text[:200]}); copy or export it'
      ' again.'
    ) from error


def _read(directory: str) -> Any:
  from tensorflow.core.protobuf import saved_model_pb2

  path = os.path.join(directory, layout.SAVED_MODEL)
  with open(path, 'rb') as file:
    content = file.read()
  try:
    model = saved_model_pb2.SavedModel.FromString(content)
  except Exception as error:  # The parser has a class of its own, in a package that only TensorFlow requires.
    raise ValueError(f'{path}: not a SavedModel, or damaged ({error}); copy or export it again.') from error
  if not model.meta_graphs:
    raise ValueError(f'{path}: not a SavedModel, or damaged (there is no graph in it); copy or export it again.')
  return model


def _damaged(directory: str) -> str:
  """Returns the file of a SavedModel that cannot be read, where that can be told; else the directory."""
  import tensorflow as tf

  prefix = os.path.join(directory, layout.VARIABLES)
  failures = (tf.errors.OpError, ValueError, RuntimeError, IndexError)  # IndexError: the file is too short.
  if not os.path.isfile(f'{prefix}.index'):
    return directory
  try:
    reader = tf.train.load_checkpoint(prefix)
  except failures:
    return f'{prefix}.index'
  try:
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  except failures:
    data = glob.glob(f'{glob.escape(prefix)}.data-*')
    return data[0] if len(data) == 1 else prefix
  return directory


def _suspicious(model: Any) -> Iterator[tuple[str, str]]:
  """Yields the functions with operators that a detector does not need, and these."""
  from tensorflow.python.framework import op_def_registry

  # Without an object graph, or with several graphs, it is loaded as one of TensorFlow 1, by running what restores.
  calls_saver = len(model.meta_graphs) > 1 or not model.meta_graphs[0].HasField('object_graph_def')
  for graphs in model.meta_graphs:
    functions = {function.signature.name: function for function in graphs.graph_def.library.function}
    of_saver = set() if calls_saver else _functions_of_saver(graphs, functions)
    places = [('the graph', graphs.graph_def.node, False)]
    places += [(f'the function {name}', function.node_def, name in of_saver) for name, function in functions.items()]
    for place, nodes, saves in places:
      for node in nodes:
        if node.op in functions or node.op in _ALLOWED or (saves and node.op in _OF_SAVER):
          continue
        definition = op_def_registry.get(node.op)
        if definition is None or definition.is_stateful or _UNMARKED.search(node.op):
          yield place, node.op


def _functions_of_saver(graphs: Any, functions: dict[str, Any]) -> set[str]:
  """Names of the functions that only saving and restoring call, which loading and signatures do not."""
  saver = graphs.saver_def
  named = (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
  nodes = {name.partition(':')[0] for name in named}
  for signature in graphs.signature_def.values():
    for tensor in (*signature.inputs.values(), *signature.outputs.values()):
      nodes.discard(tensor.name.partition(':')[0])
  by_saver = _called((node for node in graphs.graph_def.node if node.name in nodes), functions)
  others = _called((node for node in graphs.graph_def.node if node.name not in nodes), functions)
  others |= _reachable({*graphs.object_graph_def.concrete_functions} & functions.keys(), functions)
  return by_saver - others


def _called(nodes: Any, functions: dict[str, Any]) -> set[str]:
  """Names of the functions that nodes call, and of all that these call."""
  return _reachable({name for node in nodes for name in _names_in(node)} & functions.keys(), functions)


def _reachable(names: set[str], functions: dict[str, Any]) -> set[str]:
  found, queue = set(names), list(names)
  while queue:
    for node in functions[queue.pop()].node_def:
      for name in _names_in(node):
        if name in functions and name not in found:
          found.add(name)
          queue.append(name)
  return found


def _names_in(node: Any) -> Iterator[str]:
  """Yields the names of functions that a node may call."""
  yield node.op
  for value in node.attr.values():
    yield value.func.name
    for function in value.list.func:
      yield function.name
