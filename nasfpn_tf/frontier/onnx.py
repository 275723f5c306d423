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

"""Measures an .onnx of the signature `raw` in ONNX Runtime: no NMS."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nasfpn_tf.frontier import timing
from nasfpn_tf.frontier.fitting import fit


def measure(request: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
  """Measures what a request asks for; see `worker`."""
  try:
    import onnxruntime

    from nasfpn_tf.frontier import onnx_graph
  except ImportError as error:
    raise ValueError(f"{error.name} is not installed: pip install 'nasfpn_tf[onnx]'.") from error

  memory = timing.PeakMemory()
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = request['threads']
  try:
    session = onnxruntime.InferenceSession(request['path'], options, providers=['CPUExecutionProvider'])
  except Exception as error:  # Its own classes, which have no other base.
    raise ValueError(f'ONNX Runtime cannot load it: {error}') from error
  (details, *others) = session.get_inputs()
  if others or len(details.shape) != 4 or details.shape[-1] != 3 or details.type != 'tensor(float)':
    raise ValueError(f'takes {details.type} {details.shape}, not float images [batch, height, width, 3].')
  inputs = {details.name: fit(image, details.shape[1:3])[np.newaxis].astype(np.float32)}
  alone = timing.take_turns({'whole': lambda: session.run(None, inputs)}, request['runs'])['whole']
  result = {'peak_memory_bytes': memory.bytes(), 'latency_ms': alone}
  graph = onnx_graph.OnnxGraph(request['path'])
  counts = {'params': graph.params(), 'multiply_adds': graph.multiply_adds()}
  return {**result, **counts, 'input_size': details.shape[1:3]}
