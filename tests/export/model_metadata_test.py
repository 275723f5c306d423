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

"""Tests of TFLite model metadata."""

import flatbuffers.number_types
import flatbuffers.table
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.export import model_metadata

_LABELS = [{'label': 1, 'id': 7, 'name': 'red'}, {'label': 3, 'id': 9, 'name': 'blue'}]


@pytest.fixture(scope='module')
def content():
  """Of a model that gives boxes and classes."""

  @tf.function(input_signature=[tf.TensorSpec([1, 2, 2, 3], name='inputs')])
  def detect(inputs):
    return {'detection_boxes': tf.exp(inputs), 'detection_classes': tf.abs(inputs)}

  return tf.lite.TFLiteConverter.from_concrete_functions([detect.get_concrete_function()], tf.Module()).convert()


def _field(table, slot):
  """Where a field of a table lies."""
  offset = table.Offset(4 + 2 * slot)
  assert offset, f'no field {slot}'
  return table.Pos + offset


def _child(table, slot, index=None):
  """The table in a field, or one of the tables in a vector."""
  if index is None:
    return flatbuffers.table.Table(table.Bytes, table.Indirect(_field(table, slot)))
  start = table.Vector(_field(table, slot) - table.Pos)
  return flatbuffers.table.Table(table.Bytes, table.Indirect(start + 4 * index))


def _string(table, slot):
  return table.String(_field(table, slot)).decode()


def _root(content):
  model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
  (entry,) = [entry for entry in model.metadata if entry.name == b'TFLITE_METADATA']
  data = bytearray(bytes(bytearray(model.buffers[entry.buffer].data)))
  assert data[4:8] == b'M001'
  return flatbuffers.table.Table(data, int.from_bytes(data[:4], 'little'))


def test_what_clients_look_for(content):
  graph = _child(_root(model_metadata.add(content, ['red', '???', 'blue'], 'cells')), 3, 0)
  image = _child(graph, 2, 0)
  assert _string(image, 0) == 'image'
  unit = _child(image, 4, 0)
  options = _child(unit, 1)
  floats = flatbuffers.number_types.Float32Flags
  mean, std = (options.Get(floats, options.Vector(_field(options, slot) - options.Pos)) for slot in (0, 1))
  assert (mean, std) == (0.0, 1.0)
  outputs = {_string(_child(graph, 3, i), 0): _child(graph, 3, i) for i in range(2)}
  assert set(outputs) == {'location', 'category'}
  properties = _child(_child(outputs['location'], 3), 1)
  start = properties.Vector(_field(properties, 0) - properties.Pos)
  order = [properties.Get(flatbuffers.number_types.Uint32Flags, start + 4 * i) for i in range(4)]
  assert [['ymin', 'xmin', 'ymax', 'xmax'][i] for i in order] == ['xmin', 'ymin', 'xmax', 'ymax']
  assert _string(_child(outputs['category'], 6, 0), 0) == model_metadata.LABEL_FILE


def test_labels_come_back(content):
  names = model_metadata.label_lines(_LABELS, 3)
  assert names == ['red', '???', 'blue']
  once = model_metadata.add(content, names)
  assert model_metadata.read_labels(once) == names
  assert model_metadata.add(once, names) == once  # Replaced, not added to.
  assert model_metadata.add(content, names) == once
  assert Interpreter(model_content=once).get_signature_runner()


def test_a_file_without_metadata(content):
  with pytest.raises(ValueError, match='no metadata'):
    model_metadata.read_labels(content)


def test_labels_beyond_the_classes():
  with pytest.raises(ValueError, match='Labels 1 to 3 have names, and the model has classes 1 to 2'):
    model_metadata.label_lines(_LABELS, 2)
