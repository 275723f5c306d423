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

"""A server of TensorFlow Serving's PredictionService that runs SavedModels in Python, to test clients and requests."""

import concurrent.futures
import contextlib
import os
from collections.abc import Iterator

import grpc
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2, prediction_service_pb2_grpc


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
  """Serves the highest version below a directory under one name."""

  def __init__(self, name: str, directory: str):
    """Loads the version, then runs its warm-up requests, as TensorFlow Serving does."""
    self.version = max(int(entry) for entry in os.listdir(directory) if entry.isdigit())
    self.num_warmup_requests = 0
    self._name = name
    path = os.path.join(directory, str(self.version))
    self._model = tf.saved_model.load(path)
    requests = os.path.join(path, 'assets.extra', 'tf_serving_warmup_requests')
    if os.path.exists(requests):
      for record in tf.data.TFRecordDataset(requests).as_numpy_iterator():
        self._run(prediction_log_pb2.PredictionLog.FromString(record).predict_log.request)
        self.num_warmup_requests += 1

  def Predict(self, request, context):
    """Answers a PredictRequest."""
    if request.model_spec.name != self._name:
      context.abort(grpc.StatusCode.NOT_FOUND, f'Servable not found for request: {request.model_spec.name}')
    try:
      outputs = self._run(request)
    except (KeyError, tf.errors.InvalidArgumentError) as error:
      context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    response = prediction_service_pb2_grpc.tensorflow__serving_dot_apis_dot_predict__pb2.PredictResponse()
    response.model_spec.name = self._name
    response.model_spec.version.value = self.version
    for name, value in outputs.items():
      response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return response

  def _run(self, request):
    signature = self._model.signatures[request.model_spec.signature_name or 'serving_default']
    inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
    return signature(**inputs)


@contextlib.contextmanager
def serving(service: PredictionService) -> Iterator[str]:
  """Runs the server; gives its address."""
  server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
  prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
  port = server.add_insecure_port('localhost:0')
  server.start()
  try:
    yield f'localhost:{port}'
  finally:
    server.stop(grace=1)
