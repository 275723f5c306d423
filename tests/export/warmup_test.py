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

"""Tests of the requests that TensorFlow Serving warms up with."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from nasfpn_tf.export import warmup


@pytest.fixture(scope='module')
def prediction_log():
  """The message class, of the fields of TensorFlow Serving's that are used."""
  file = descriptor_pb2.FileDescriptorProto(name='prediction_log.proto', package='serving', syntax='proto3')
  file.dependency.append(tensor_pb2.DESCRIPTOR.name)
  kinds = descriptor_pb2.FieldDescriptorProto

  def add(message, name, number, kind, label=kinds.LABEL_OPTIONAL):
    field = message.field.add(name=name, number=number, label=label)
    if isinstance(kind, str):
      field.type, field.type_name = kinds.TYPE_MESSAGE, kind
    else:
      field.type = kind

  model = file.message_type.add(name='ModelSpec')
  add(model, 'name', 1, kinds.TYPE_STRING)
  add(model, 'signature_name', 3, kinds.TYPE_STRING)
  request = file.message_type.add(name='PredictRequest')
  add(request, 'model_spec', 1, '.serving.ModelSpec')
  entry = request.nested_type.add(name='InputsEntry')
  entry.options.map_entry = True
  add(entry, 'key', 1, kinds.TYPE_STRING)
  add(entry, 'value', 2, '.tensorflow.TensorProto')
  add(request, 'inputs', 2, '.serving.PredictRequest.InputsEntry', kinds.LABEL_REPEATED)
  add(file.message_type.add(name='PredictLog'), 'request', 1, '.serving.PredictRequest')
  add(file.message_type.add(name='PredictionLog'), 'predict_log', 6, '.serving.PredictLog')
  pool = descriptor_pool.Default()
  pool.Add(file)
  return message_factory.GetMessageClass(pool.FindMessageTypeByName('serving.PredictionLog'))


@pytest.mark.parametrize('size', [1, 200, 70000])
def test_requests_are_what_the_server_reads(prediction_log, size, tmp_path):
  images = np.arange(size * 2, dtype=np.uint8).reshape(2, size)
  path = warmup.write(
    str(tmp_path),
    'cells',
    {'image_tensor': {'inputs': tf.constant(images)}, 'image_bytes': {'inputs': [b'x' * size]}},
  )
  assert path == str(tmp_path / 'assets.extra' / 'tf_serving_warmup_requests')
  first, second = (
    prediction_log.FromString(record).predict_log.request
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
  )
  assert (first.model_spec.name, first.model_spec.signature_name) == ('cells', 'image_tensor')
  assert second.model_spec.signature_name == 'image_bytes'
  np.testing.assert_array_equal(tf.make_ndarray(first.inputs['inputs']), images)
  assert tf.make_ndarray(second.inputs['inputs']).tolist() == [b'x' * size]
