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

"""Reads the variables of a checkpoint by the names that they had in the code that wrote it.

A checkpoint of TensorFlow 1 has them. One of TensorFlow 2 is keyed by the path from object to object, and keeps the
name of each variable beside it; a Keras .h5 file of weights has them in groups.
"""

import glob
import os
import re

import h5py
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from nasfpn_tf.public_weights import tf1_checkpoint

_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
_STATE = ('optimizer/', 'save_counter/', 'step/', 'global_step/')
_AVERAGE = '/ExponentialMovingAverage'
_NOT_WEIGHTS = re.compile(
  r'(^|/)(global_step|Momentum|momentum|Adam(_1)?|RMSProp(_1)?|iteration|iter|decay|learning_rate)$'
)


def read(path: str) -> dict[str, np.ndarray]:
  """Reads every weight; where the checkpoint has moving averages of them, those.

  Args:
    path: prefix of a checkpoint of TensorFlow 1 or 2, a .h5 file, or the directory that holds one.

  Returns:
    {name of the variable: value}.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, has weights that are NaN or infinite, or a directory holds several.
  """
  path = _file(path)
  if path.endswith('.h5'):
    values = _read_h5(path)
  else:
    try:
      reader = tf.train.load_checkpoint(path)
      shapes = reader.get_variable_to_shape_map()
      keys = _names(reader) if _GRAPH_KEY in shapes else {name: name for name in shapes}
      values = {name: reader.get_tensor(key) for name, key in sorted(keys.items()) if key in shapes}
    except (tf.errors.OpError, RuntimeError, LookupError) as error:
      reason = (str(error).strip() or type(error).__name__).splitlines()[0]
      raise ValueError(f'checkpoint {path!r} is damaged or not whole ({reason}): download it again.') from error
  values = {name: value for name, value in values.items() if not _NOT_WEIGHTS.search(name)}
  averages = {name.removesuffix(_AVERAGE): value for name, value in values.items() if name.endswith(_AVERAGE)}
  values = {name: value for name, value in values.items() if not name.endswith(_AVERAGE)} | averages
  bad = [name for name, value in values.items() if value.dtype.kind == 'f' and not np.isfinite(value).all()]
  if bad:
    raise ValueError(f'checkpoint {path!r} has weights that are NaN or infinite: {", ".join(bad[:3])}.')
  return values


def _file(path: str) -> str:
  if os.path.isdir(path):
    files = glob.glob(os.path.join(glob.escape(path), '**', '*.h5'), recursive=True)
    if (
      len(files) == 1
      and os.path.isfile(files[0])
      and not glob.glob(os.path.join(glob.escape(path), '**', '*.index'), recursive=True)
    ):
      return files[0]
  if path.endswith('.h5') and not glob.glob(os.path.join(glob.escape(path), '**', '*.index'), recursive=True):
    if not os.path.exists(path):
      raise FileNotFoundError(f'checkpoint {path!r} does not exist.')
    if not os.path.isfile(path):
      raise ValueError(f'{path} is a directory without a checkpoint, and a .h5 file is wanted: download it again.')
    return path
  return tf1_checkpoint.prefix(path)


def _names(reader) -> dict[str, str]:
  """Returns {name of the variable: key in the checkpoint}."""
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  graph.ParseFromString(reader.get_tensor(_GRAPH_KEY))
  slots = {slot.slot_variable_node_id for node in graph.nodes for slot in node.slot_variables}
  names = {}
  for number, node in enumerate(graph.nodes):
    for attribute in node.attributes:
      if attribute.full_name and number not in slots and not attribute.checkpoint_key.startswith(_STATE):
        names[attribute.full_name] = attribute.checkpoint_key
  return names


def _read_h5(path: str) -> dict[str, np.ndarray]:
  values = {}

  def take(name, item):
    if isinstance(item, h5py.Dataset):
      names = name.removesuffix(':0').split('/')
      layer = 2 if names[0] == names[1] else 1  # Keras puts each layer of the model into a group of its name.
      values['/'.join(names[layer - 1 :])] = item[()]

  try:
    with h5py.File(path) as file:
      file.visititems(take)
  except (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError) as error:  # Sizes are damaged, too.
    reason = ' '.join(str(error).split())[:150] or type(error).__name__
    raise ValueError(f'{path} is damaged or no .h5 file of weights ({reason}): download it again.') from error
  return values
