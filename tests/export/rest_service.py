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

"""A server with the row format of TensorFlow Serving's REST API that runs SavedModels in Python, to test requests.

The format: tensorflow.org/tfx/serving/api_rest, "Predict API". A model with one input may get the bare values, bytes
are `{"b64": ...}`, and a model of several outputs answers with an object a row, so all outputs must have as many rows.
"""

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

import tensorflow as tf


def predictions(signature, body: bytes) -> dict[str, list]:
  """What the server answers to the body of a request.

  Raises:
    ValueError: the body is not of the format, or the signature's outputs do not go into rows.
  """
  instances = json.loads(body)['instances']
  _, inputs = signature.structured_input_signature
  ((name, _),) = inputs.items()  # One input, so the values are bare.
  rows = [base64.b64decode(row['b64'], validate=True) if isinstance(row, dict) else row for row in instances]
  outputs = {key: value.numpy() for key, value in signature(**{name: tf.constant(rows)}).items()}
  if {len(value) for value in outputs.values()} != {len(rows)}:
    raise ValueError('The outputs do not have as many rows as the request.')
  return {'predictions': [{key: value[i].tolist() for key, value in outputs.items()} for i in range(len(rows))]}


@contextlib.contextmanager
def serving(name: str, directory: str) -> Iterator[str]:
  """Serves the `serving_default` of the SavedModel in `directory` as `name`; gives host and port."""
  signature = tf.saved_model.load(directory).signatures['serving_default']

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
      body = self.rfile.read(int(self.headers['Content-Length']))
      status, answer = 404, {'error': f'Malformed request: POST {self.path}'}
      if self.path == f'/v1/models/{name}:predict':
        try:
          status, answer = 200, predictions(signature, body)
        except (KeyError, ValueError, tf.errors.InvalidArgumentError) as error:
          status, answer = 400, {'error': str(error)}
      data = json.dumps(answer).encode()
      self.send_response(status)
      self.send_header('Content-Length', str(len(data)))
      self.end_headers()
      self.wfile.write(data)

    def log_message(self, *args):
      """Silence."""

  server = http.server.ThreadingHTTPServer(('localhost', 0), Handler)
  threading.Thread(target=server.serve_forever, daemon=True).start()
  try:
    yield f'localhost:{server.server_port}'
  finally:
    server.shutdown()
    server.server_close()
