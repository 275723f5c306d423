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

"""Measures a .tflite in LiteRT; the time of a part is the difference of two files, cut before and after it."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from nasfpn_tf import whole_file
from nasfpn_tf.artifacts import signatures
from nasfpn_tf.frontier import timing
from nasfpn_tf.frontier.fitting import fit
from nasfpn_tf.frontier.record import PARTS


def measure(request: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
  """Measures what a request asks for; see `worker`."""
  from ai_edge_litert.interpreter import Interpreter

  key = signatures.exit_key(request['exit_stage'])
  memory = timing.PeakMemory()
  run = _tflite_run(Interpreter(model_path=request['path'], num_threads=request['threads']), key, image)
  alone = timing.take_turns({'whole': run}, request['runs'])['whole']
  result = {'peak_memory_bytes': memory.bytes(), 'latency_ms': alone}

  # Loads much more, so after the memory was looked at.
  from nasfpn_tf.frontier import tflite_graph

  with open(request['path'], 'rb') as file:
    content = file.read()
  graph = tflite_graph.TFLiteGraph(content, key)
  if graph.has_parts:
    ways = {'post_processing': run}
    with tempfile.TemporaryDirectory() as directory:
      for part in PARTS[:-1]:
        path = os.path.join(directory, f'{part}.tflite')
        with whole_file.naming(path), open(path, 'wb') as file:
          file.write(graph.cut(part))
        ways[part] = _tflite_run(Interpreter(model_path=path, num_threads=request['threads']), None, image)
      ends = timing.take_turns(ways, request['runs'])
    result['parts_ms'] = timing.differences({part: ends[part].median for part in PARTS})
  size = graph.input_shape[1:3]
  return {**result, 'input_size': size, 'params': graph.params(), 'multiply_adds': graph.multiply_adds()}


def _tflite_run(interpreter: Any, key: str | None, image: np.ndarray) -> Any:
  """Returns a function that runs the graph of a signature, or the only graph, on the image."""
  details = interpreter.get_signature_runner(key).get_input_details()['inputs'] if key else None
  details = details or interpreter.get_input_details()[0]
  shape, dtype = details['shape'], details['dtype']
  if len(shape) != 4 or shape[-1] != 3:
    raise ValueError(f'takes {list(shape)}, not one image [1, height, width, 3].')
  inputs = fit(image, shape[1:3])[np.newaxis].astype(dtype)
  if key:
    runner = interpreter.get_signature_runner(key)
    return lambda: runner(inputs=inputs)
  interpreter.allocate_tensors()
  interpreter.set_tensor(details['index'], inputs)
  return interpreter.invoke
