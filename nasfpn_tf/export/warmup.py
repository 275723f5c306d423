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

"""Writes warm-up requests, which TensorFlow Serving runs before a version is ready, so that no user waits for tracing.

TensorFlow Serving reads them from `assets.extra/tf_serving_warmup_requests`, a TFRecord of its PredictionLog messages
(https://www.tensorflow.org/tfx/serving/saved_model_warmup). They are encoded here: the package that has the messages
pins TensorFlow's version.
"""

import os
from collections.abc import Mapping

import tensorflow as tf

from nasfpn_tf.artifacts import layout

# Numbers of the fields in tensorflow_serving/apis/prediction_log.proto, predict.proto and model.proto.
_LOG_PREDICT = 6
_PREDICT_LOG_REQUEST = 1
_REQUEST_MODEL, _REQUEST_INPUTS = 1, 2
_MODEL_NAME, _MODEL_SIGNATURE = 1, 3
_ENTRY_KEY, _ENTRY_VALUE = 1, 2  # Of any map.


def write(saved_model_dir: str, model_name: str, requests: Mapping[str, Mapping[str, tf.Tensor]]) -> str:
  """Writes the requests into a SavedModel; returns the path.

  Args:
    saved_model_dir: the version's directory.
    model_name: name that the model is served by.
    requests: {signature: {input: value}}, one request each.
  """
  path = os.path.join(saved_model_dir, layout.WARMUP)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with tf.io.TFRecordWriter(path) as writer:
    for signature, inputs in requests.items():
      writer.write(prediction_log(model_name, signature, inputs))
  return path


def prediction_log(model_name: str, signature: str, inputs: Mapping[str, tf.Tensor]) -> bytes:
  """Serializes a PredictionLog with one PredictRequest."""
  model = _field(_MODEL_NAME, model_name.encode()) + _field(_MODEL_SIGNATURE, signature.encode())
  request = _field(_REQUEST_MODEL, model)
  for name, value in inputs.items():
    tensor = tf.make_tensor_proto(value).SerializeToString()
    request += _field(_REQUEST_INPUTS, _field(_ENTRY_KEY, name.encode()) + _field(_ENTRY_VALUE, tensor))
  return _field(_LOG_PREDICT, _field(_PREDICT_LOG_REQUEST, request))


def _field(number: int, payload: bytes) -> bytes:
  """Encodes a field of text, bytes or a message: tag, length, payload."""
  return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
  encoded = bytearray()
  while value > 0x7F:
    encoded.append(value & 0x7F | 0x80)
    value >>= 7
  return bytes([*encoded, value])
