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

"""Writes TFLite model metadata as MediaPipe Tasks reads it: labels, normalization, the order of the box coordinates.

Two parts: a flatbuffer of schema `metadata_schema.fbs` (identifier M001,
https://ai.google.dev/edge/litert/conversion/tensorflow/metadata) in a buffer of the model, and a ZIP archive with the
labels behind its end. Whatever rewrites the model drops the archive, so the metadata is added last.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.export import sharing

LABEL_FILE = 'labels.txt'
UNNAMED = '???'  # A class without a name.
_ENTRY, _IDENTIFIER = 'TFLITE_METADATA', b'M001'

# The tables of the schema that are used: a field's slot is its position.
_FIELDS = {
  'ModelMetadata': 'name description version subgraph_metadata author license associated_files min_parser_version',
  'SubGraphMetadata': 'name description input_tensor_metadata output_tensor_metadata associated_files',
  'TensorMetadata': 'name description dimension_names content process_units stats associated_files',
  'Content': 'content_properties_type content_properties range',
  'ImageProperties': 'color_space default_size',
  'FeatureProperties': '',
  'BoundingBoxProperties': 'index type coordinate_type',
  'ProcessUnit': 'options_type options',
  'NormalizationOptions': 'mean std',
  'Stats': 'max min',
  'AssociatedFile': 'name description type locale version',
}
_FEATURE, _IMAGE, _BOUNDING_BOX = 1, 2, 3  # Members of the union ContentProperties.
_NORMALIZATION = 1  # Of ProcessUnitOptions.
_RGB, _VALUE_LABELS, _BOUNDARIES, _RATIO = 1, 3, 1, 0
# Where left, top, right and bottom are in ymin, xmin, ymax, xmax.
_BOX_ORDER = (1, 0, 3, 2)

# Names by which MediaPipe finds the outputs, in the order of `signatures.TFLITE_DETECTIONS`.
_OUTPUT_NAMES = {
  'detection_boxes': 'location',
  'detection_classes': 'category',
  'detection_scores': 'score',
  'num_detections': 'number of detections',
}


class _Table(dict):
  """Fields of a table by slot; numbers are bytes, anything else is stored apart."""

  def __init__(self, kind: str, **fields: Any):
    super().__init__({_FIELDS[kind].split().index(name): value for name, value in fields.items()})


def label_lines(labels: Sequence[Mapping[str, Any]], num_classes: int) -> list[str]:
  """Names by class: that of label k at k - 1, `UNNAMED` where there is none.

  Args:
    labels: `{label, id, name}`, labels from 1.
    num_classes: without background.

  Raises:
    ValueError: a label is beyond `num_classes`.
  """
  names = {int(entry['label']): str(entry['name']).replace('\n', ' ').strip() or UNNAMED for entry in labels}
  if names and not 1 <= min(names) <= max(names) <= num_classes:
    raise ValueError(f'Labels {min(names)} to {max(names)} have names, and the model has classes 1 to {num_classes}.')
  return [names.get(label, UNNAMED) for label in range(1, num_classes + 1)]


def add(content: bytes, names: Sequence[str], description: str = '') -> bytes:
  """Adds the metadata to a .tflite whose first graph takes one image, 0 to 255.

  Args:
    content: of the file; metadata in it is replaced.
    names: by class, see `label_lines`.
    description: of the model, for people.
  """
  model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
  outputs = _signature_outputs(model)
  builder = flatbuffers.Builder()
  builder.Finish(_store(builder, _model_table(outputs, description)), _IDENTIFIER)
  entry = next((entry for entry in model.metadata or [] if _text(entry.name) == _ENTRY), None)
  if entry is None:
    entry = schema.MetadataT()
    entry.name, entry.buffer = _ENTRY, len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.metadata = [*(model.metadata or []), entry]
  model.buffers[entry.buffer].data = np.frombuffer(bytes(builder.Output()), np.uint8)
  file = io.BytesIO(sharing.pack(model))
  with zipfile.ZipFile(file, 'a', zipfile.ZIP_STORED) as archive:
    # With a fixed date, so that equal models are equal files.
    archive.writestr(zipfile.ZipInfo(LABEL_FILE), '\n'.join(names) + '\n')
  return file.getvalue()


def read_labels(content: bytes) -> list[str]:
  """Names by class of a file with metadata.

  Raises:
    ValueError: it has none.
  """
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      return archive.read(LABEL_FILE).decode('utf-8').splitlines()
  except (zipfile.BadZipFile, KeyError) as error:
    raise ValueError(f'The file has no metadata with {LABEL_FILE}.') from error


def _model_table(outputs: Sequence[str], description: str) -> _Table:
  normalization = _Table('NormalizationOptions', mean=np.zeros(1, np.float32), std=np.ones(1, np.float32))
  image_tensor = _Table(
    'TensorMetadata',
    name='image',
    description='RGB image, 0 to 255; the model normalizes it.',
    content=_Table(
      'Content', content_properties_type=_IMAGE, content_properties=_Table('ImageProperties', color_space=_RGB)
    ),
    process_units=[_Table('ProcessUnit', options_type=_NORMALIZATION, options=normalization)],
    stats=_Table('Stats', max=np.full(1, 255, np.float32), min=np.zeros(1, np.float32)),
  )
  graph = _Table(
    'SubGraphMetadata',
    input_tensor_metadata=[image_tensor],
    output_tensor_metadata=[_output_table(name) for name in outputs],
  )
  return _Table(
    'ModelMetadata',
    name='ObjectDetector',
    description=description,
    subgraph_metadata=[graph],
    min_parser_version='1.0.0',
  )


def _output_table(name: str) -> _Table:
  fields = {'name': _OUTPUT_NAMES.get(name, name)}
  kind, properties = _FEATURE, _Table('FeatureProperties')
  if name == 'detection_boxes':
    kind = _BOUNDING_BOX
    order = np.array(_BOX_ORDER, np.uint32)
    properties = _Table('BoundingBoxProperties', index=order, type=_BOUNDARIES, coordinate_type=_RATIO)
  elif name == 'detection_classes':
    labels = _Table('AssociatedFile', name=LABEL_FILE, description='Names by class.', type=_VALUE_LABELS)
    fields['associated_files'] = [labels]
  content = _Table('Content', content_properties_type=kind, content_properties=properties)
  return _Table('TensorMetadata', **fields, content=content)


def _signature_outputs(model: Any) -> list[str]:
  """Names of the first graph's outputs, in the order of the graph."""
  names = {
    entry.tensorIndex: _text(entry.name)
    for definition in model.signatureDefs or ()
    if definition.subgraphIndex == 0
    for entry in definition.outputs
  }
  return [names.get(index, _text(model.subgraphs[0].tensors[index].name)) for index in model.subgraphs[0].outputs]


def _text(value: bytes | str) -> str:
  return value if isinstance(value, str) else value.decode()


def _store(builder: flatbuffers.Builder, node: Any) -> int:
  """Writes a text, an array, a list of nodes or a table; returns its offset. What it refers to is written first."""
  if isinstance(node, str):
    return builder.CreateString(node)
  if isinstance(node, np.ndarray):
    return builder.CreateNumpyVector(node)
  if isinstance(node, list):
    offsets = [_store(builder, item) for item in node]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
      builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
  offsets = {slot: _store(builder, value) for slot, value in node.items() if not isinstance(value, int)}
  builder.StartObject(max(node, default=-1) + 1)
  for slot, value in node.items():
    if slot in offsets:
      builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    else:
      builder.PrependUint8Slot(slot, value, 0)
  return builder.EndObject()
