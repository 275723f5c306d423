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
"""Reads a detector's weights from a checkpoint and says what differs if they do not fit.

TensorFlow matches a checkpoint to objects edge by edge and reports what is left over as internal object names. Here the
two graphs are walked side by side first, so nothing is assigned unless everything fits, and the report names variables.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import trackable_object_graph_pb2

from nasfpn_tf.artifacts import checkpoint_index, layout
from nasfpn_tf.modeling.weights.load_report import LoadReport

_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
_AVERAGE_SLOT = 'average'  # The name that Model Garden's ExponentialMovingAverage gives its shadow copies.


class DamagedCheckpointError(ValueError):
  """A checkpoint that cannot be read, whatever the model."""


class NonFiniteWeightsError(ValueError):
  """A checkpoint with weights that are NaN or infinite."""


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
  """Turns what TensorFlow and protobuf raise on a damaged checkpoint into an error that names it."""
  try:
    yield
  except (tf.errors.OpError, RuntimeError, LookupError, UnicodeDecodeError) as error:
    problem = ' '.join((str(error).strip() or type(error).__name__).split())
    raise DamagedCheckpointError(
      f'checkpoint {path!r} cannot be read, it is damaged or incomplete ({problem[:200]}): copy it again, or use'
      ' another one.'
    ) from error


def restore(model: tf_keras.Model, path: str, use_average: bool = False) -> LoadReport:
  """Sets every variable of a detector from a checkpoint that training wrote.

  Args:
    model: a model with `checkpoint_items`, as `build_detector` makes it.
    path: prefix of the checkpoint, '.../ckpt-1000'.
    use_average: take the moving averages of the weights where the checkpoint keeps them. A checkpoint that was saved
      with the averages swapped in (the best one of a training with EMA) holds them in the place of the weights already.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: naming the first variables that are missing or have another shape, on either side, or that are NaN or
      infinite.
  """
  with _reading(path):
    reader, graph = _open(path)
    found = _compare(model.checkpoint_items, reader, graph)
  problems = [
    *(problem for _, problem in found.missing),
    *(f'{name} of the checkpoint is not in the model' for name in found.unused),
  ]
  if problems:
    raise ValueError(
      f'checkpoint {path!r} is of another architecture: {_first(problems)}. Was it made with another config? Its own is'
      ' the params.yaml beside it.'
    )
  averages = _averages(graph) if use_average else {}
  return _assign(path, reader, graph, found, averages)


def restore_parts(
  items: Mapping[str, tf_keras.layers.Layer | tf.Module], path: str, must_fit: Collection[str] | None = None
) -> LoadReport:
  """Sets parts of a detector from a checkpoint, whatever else that holds; it may be one of Model Garden.

  Args:
    items: {name in the checkpoint: part of the model}.
    path: prefix of the checkpoint.
    must_fit: names of the parts that have to be there with every variable in its shape; None: all of them. Of the
      others only what fits is set.

  Returns:
    What was set, and what was not on either side, of these parts.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: naming the first variables of `must_fit` that are missing or have another shape, or any that are NaN or
      infinite; nothing is set then.
  """
  with _reading(path):
    reader, graph = _open(path)
    found = _compare(items, reader, graph)
  problems = [problem for part, problem in found.missing if must_fit is None or part in must_fit]
  if problems:
    raise ValueError(f'checkpoint {path!r}: {_first(problems)}')
  return _assign(path, reader, graph, found)


def children(path: str) -> dict[str, tuple[str, ...]]:
  """Returns {name: names of its parts} of the items that a checkpoint holds; raises as `restore`."""
  with _reading(path):
    _, graph = _open(path)
    return {
      item.local_name: tuple(part.local_name for part in graph.nodes[item.node_id].children)
      for item in graph.nodes[0].children
    }


def _open(path: str):
  """Opens a checkpoint; returns its reader and its object graph."""
  if not tf.io.gfile.exists(path + '.index'):
    raise FileNotFoundError(f'checkpoint {path!r} does not exist: there is no {path}.index.')
  layout.check_path(path)
  problem = checkpoint_index.problem(path)
  if problem:
    raise LookupError(problem)
  reader = tf.train.load_checkpoint(path)
  if not reader.has_tensor(_GRAPH_KEY):
    raise ValueError(
      f'checkpoint {path!r} is not of TensorFlow 2: it holds no object graph. scripts/import_weights.py reads those of'
      ' TensorFlow 1 that docs/weights.md lists, such as --from=tpu.'
    )
  serialized = reader.get_tensor(_GRAPH_KEY)
  try:
    return reader, trackable_object_graph_pb2.TrackableObjectGraph.FromString(serialized)
  except Exception as error:  # The parser has a class of its own, in a package that only TensorFlow requires.
    raise LookupError(f'the graph of objects: {error}') from error


@dataclasses.dataclass
class _Comparison:
  """Variables of a model beside the nodes of a checkpoint.

  Attributes:
    pairs: (part, variable, its node), of the same shape.
    missing: (part, sentence about a variable or the whole part).
    unused: variables of the checkpoint, with their shapes, below these parts.
  """

  pairs: list[tuple[str, tf.Variable, int]] = dataclasses.field(default_factory=list)
  missing: list[tuple[str, str]] = dataclasses.field(default_factory=list)
  unused: list[str] = dataclasses.field(default_factory=list)


def _compare(items: Mapping[str, Any], reader, graph) -> _Comparison:
  found = _Comparison()
  shapes = reader.get_variable_to_shape_map()
  roots = {child.local_name: child.node_id for child in graph.nodes[0].children}
  nodes = set()
  for part, item in items.items():
    if part not in roots:
      found.missing.append((part, f'{part} is not in the checkpoint'))
      continue
    node_of = _match(item, graph, roots[part])
    nodes |= set(node_of.values())
    for variable in {id(v): v for v in item.variables}.values():
      if id(variable) not in node_of:
        found.missing.append((part, f'{variable.name} {list(variable.shape)} is not in the checkpoint'))
        continue
      node_id = node_of[id(variable)]
      stored = list(shapes[_value_key(graph, node_id)])
      if list(variable.shape) == stored:
        found.pairs.append((part, variable, node_id))
      else:
        found.missing.append((part, f'{variable.name} has shape {list(variable.shape)}, {stored} in the checkpoint'))
  for node_id in _below(graph, [roots[part] for part in items if part in roots]):
    key = _value_key(graph, node_id)
    if key and node_id not in nodes:
      found.unused.append(f'{_variable_name(graph, node_id)} {shapes[key]}')
  return found


def _assign(path: str, reader, graph, found: _Comparison, averages: Mapping[int, int] | None = None) -> LoadReport:
  """Sets the variables of the pairs, from the nodes of their averages where these are given."""
  nodes = [(averages or {}).get(node_id, node_id) for _, _, node_id in found.pairs]
  with _reading(path):
    values = [reader.get_tensor(_value_key(graph, node_id)) for node_id in nodes]
  bad = [
    variable.name
    for (_, variable, _), value in zip(found.pairs, values, strict=True)
    if variable.dtype.is_floating and not np.isfinite(value.astype(np.float32)).all()
  ]
  if bad:
    raise NonFiniteWeightsError(
      f'checkpoint {path!r}: weights are NaN or infinite: {_first(bad, "variables")}. The training diverged, use an'
      ' earlier checkpoint.'
    )
  for (_, variable, _), value in zip(found.pairs, values, strict=True):
    variable.assign(value)
  return LoadReport(
    path,
    tuple(f'{part}/{variable.name}' for part, variable, _ in found.pairs),
    tuple(problem for _, problem in found.missing),
    tuple(found.unused),
  )


def _first(problems: Sequence[str], what: str = 'differences') -> str:
  return '; '.join(problems[:3]) + (f'; {len(problems)} {what} in all' if len(problems) > 3 else '')


def _match(item, graph, node_id: int) -> dict[int, int]:
  """Walks the objects below `item` beside the nodes below `node_id`; {id(variable): node}."""
  view = tf.train.TrackableView(item)
  queue = collections.deque([(item, node_id)])
  seen, node_of = {id(item)}, {}
  while queue:
    trackable, node_id = queue.popleft()
    if isinstance(trackable, tf.Variable):
      if _value_key(graph, node_id):
        node_of[id(trackable)] = node_id
      continue
    children = {child.local_name: child.node_id for child in graph.nodes[node_id].children}
    for edge, child in view.children(trackable).items():
      if edge in children and id(child) not in seen:
        seen.add(id(child))
        queue.append((child, children[edge]))
  return node_of


def _value_key(graph, node_id: int) -> str:
  """Returns the key of a variable's value in the checkpoint, '' if the node is no variable."""
  keys = [a.checkpoint_key for a in graph.nodes[node_id].attributes if a.name == 'VARIABLE_VALUE']
  return keys[0] if keys else ''


def _variable_name(graph, node_id: int) -> str:
  attribute = graph.nodes[node_id].attributes[0]
  return attribute.full_name or attribute.checkpoint_key.partition('/.ATTRIBUTES')[0]


def _below(graph, node_ids: list[int]) -> list[int]:
  """Returns the nodes that can be reached from `node_ids`."""
  found = dict.fromkeys(node_ids)
  queue = collections.deque(node_ids)
  while queue:
    for child in graph.nodes[queue.popleft()].children:
      if child.node_id not in found:
        found[child.node_id] = None
        queue.append(child.node_id)
  return list(found)


def _averages(graph) -> Mapping[int, int]:
  """Returns {node of a variable: node of its moving average}."""
  return {
    slot.original_variable_node_id: slot.slot_variable_node_id
    for node in graph.nodes
    for slot in node.slot_variables
    if slot.slot_name == _AVERAGE_SLOT
  }
