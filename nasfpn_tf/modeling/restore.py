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
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import trackable_object_graph_pb2

_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
_AVERAGE_SLOT = 'average'  # The name that Model Garden's ExponentialMovingAverage gives its shadow copies.


def restore(model: tf_keras.Model, path: str, use_average: bool = False) -> None:
  """Sets every variable of a detector from a checkpoint that training wrote.

  Args:
    model: a model with `checkpoint_items`, as `build_detector` makes it.
    path: prefix of the checkpoint, '.../ckpt-1000'.
    use_average: take the moving averages of the weights where the checkpoint keeps them. A checkpoint that was saved
      with the averages swapped in (the best one of a training with EMA) holds them in the place of the weights already.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: naming the first variables that are missing or have another shape.
  """
  reader, graph = _open(path)
  keys, problems = {}, []
  roots = {child.local_name: child.node_id for child in graph.nodes[0].children}
  for name, item in model.checkpoint_items.items():
    if name in roots:
      _match(item, graph, roots[name], name, keys, problems)
    else:
      problems.append(f'{name} is not in the checkpoint')
  missing = {id(v): v for v in model.variables if id(v) not in keys}
  shapes = reader.get_variable_to_shape_map()
  for variable, node_id in keys.values():
    stored = shapes[_value_key(graph, node_id)]
    if list(variable.shape) != list(stored):
      problems.append(f'{variable.name} has shape {list(variable.shape)}, {list(stored)} in the checkpoint')
  problems += [f'{variable.name} {list(variable.shape)} is not in the checkpoint' for variable in missing.values()]
  matched = {node_id for _, node_id in keys.values()}
  for node_id in _below(graph, [roots[name] for name in model.checkpoint_items if name in roots]):
    key = _value_key(graph, node_id)
    if key and node_id not in matched:
      problems.append(f'{_variable_name(graph, node_id)} {shapes[key]} of the checkpoint is not in the model')
  if problems:
    more = f'; {len(problems)} differences in all' if len(problems) > 3 else ''
    raise ValueError(
      f'checkpoint {path!r} is of another architecture: {"; ".join(problems[:3])}{more}. Was it made with another'
      ' config? Its own is the params.yaml beside it.'
    )
  averages = _averages(graph) if use_average else {}
  for variable, node_id in keys.values():
    variable.assign(reader.get_tensor(_value_key(graph, averages.get(node_id, node_id))))


def children(path: str) -> dict[str, tuple[str, ...]]:
  """{name: names of its parts} of the items that a checkpoint holds; raises as `restore`."""
  _, graph = _open(path)
  return {
    item.local_name: tuple(part.local_name for part in graph.nodes[item.node_id].children)
    for item in graph.nodes[0].children
  }


def _open(path: str):
  """The reader of a checkpoint and its graph of objects."""
  if not tf.io.gfile.exists(path + '.index'):
    raise FileNotFoundError(f'checkpoint {path!r} does not exist: there is no {path}.index.')
  reader = tf.train.load_checkpoint(path)
  if not reader.has_tensor(_GRAPH_KEY):
    raise ValueError(f'checkpoint {path!r} is not of TensorFlow 2: it holds no object graph.')
  return reader, trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(_GRAPH_KEY))


def _match(item, graph, node_id: int, name: str, keys: dict[int, Any], problems: list[str]) -> None:
  """Walks the objects below `item` beside the nodes below `node_id`; fills {id(variable): (variable, node)}."""
  view = tf.train.TrackableView(item)
  queue = collections.deque([(item, node_id, name)])
  seen = {id(item)}
  while queue:
    trackable, node_id, name = queue.popleft()
    if isinstance(trackable, tf.Variable):
      if _value_key(graph, node_id):
        keys[id(trackable)] = (trackable, node_id)
      continue
    children = {child.local_name: child.node_id for child in graph.nodes[node_id].children}
    for edge, child in view.children(trackable).items():
      if edge in children and id(child) not in seen:
        seen.add(id(child))
        queue.append((child, children[edge], f'{name}/{edge}'))


def _value_key(graph, node_id: int) -> str:
  """Key of a variable's value in the checkpoint, '' if the node is no variable."""
  keys = [a.checkpoint_key for a in graph.nodes[node_id].attributes if a.name == 'VARIABLE_VALUE']
  return keys[0] if keys else ''


def _variable_name(graph, node_id: int) -> str:
  attribute = graph.nodes[node_id].attributes[0]
  return attribute.full_name or attribute.checkpoint_key.partition('/.ATTRIBUTES')[0]


def _below(graph, node_ids: list[int]) -> list[int]:
  """The nodes that can be reached from `node_ids`."""
  found = dict.fromkeys(node_ids)
  queue = collections.deque(node_ids)
  while queue:
    for child in graph.nodes[queue.popleft()].children:
      if child.node_id not in found:
        found[child.node_id] = None
        queue.append(child.node_id)
  return list(found)


def _averages(graph) -> Mapping[int, int]:
  """{node of a variable: node of its moving average}."""
  return {
    slot.original_variable_node_id: slot.slot_variable_node_id
    for node in graph.nodes
    for slot in node.slot_variables
    if slot.slot_name == _AVERAGE_SLOT
  }
