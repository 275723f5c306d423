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

"""A process of its own that runs one model: python -m nasfpn_tf.frontier.worker REQUEST.json RESULT.json

Only what the form needs is loaded, so that what the process takes is the model's. The request has `form`, `path`,
`exit_stage`, `checkpoint`, `threads`, `runs` and `picture`, a .npy file. The result has `latency_ms`, `parts_ms`,
`input_size`, `params`, `multiply_adds`, `peak_memory_bytes`, `runtime`, or `error`.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from nasfpn_tf.frontier import timing
from nasfpn_tf.frontier.record import PARTS

MEAN_COLOR = (124, 116, 104)  # Pads, as everywhere in the project; rounded.


def fit(picture: np.ndarray, size: Sequence[int]) -> np.ndarray:
  """A uint8 picture letterboxed to [height, width, 3]."""
  height, width = size
  scale = min(height / picture.shape[0], width / picture.shape[1])
  inner = max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0]))
  canvas = Image.new('RGB', (width, height), MEAN_COLOR)
  canvas.paste(Image.fromarray(picture).resize(inner, Image.Resampling.BILINEAR))
  return np.asarray(canvas)


def measure_tflite(request: Mapping[str, Any], picture: np.ndarray) -> dict[str, Any]:
  """A .tflite in LiteRT; its parts by files that are cut off behind them, as differences."""
  from ai_edge_litert.interpreter import Interpreter

  key = f'exit_{request["exit_stage"]}' if request['exit_stage'] else None
  memory = timing.PeakMemory()
  run = _tflite_run(Interpreter(model_path=request['path'], num_threads=request['threads']), key, picture)
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
        with open(path, 'wb') as file:
          file.write(graph.cut(part))
        ways[part] = _tflite_run(Interpreter(model_path=path, num_threads=request['threads']), None, picture)
      ends = timing.take_turns(ways, request['runs'])
    result['parts_ms'] = timing.differences({part: ends[part].median for part in PARTS})
  size = graph.input_shape[1:3]
  return {**result, 'input_size': size, 'params': graph.params(), 'multiply_adds': graph.multiply_adds()}


def _tflite_run(interpreter: Any, key: str | None, picture: np.ndarray) -> Any:
  """What runs the graph of a signature, or the only graph, on the picture."""
  details = interpreter.get_signature_runner(key).get_input_details()['inputs'] if key else None
  details = details or interpreter.get_input_details()[0]
  shape, dtype = details['shape'], details['dtype']
  if len(shape) != 4 or shape[-1] != 3:
    raise ValueError(f'takes {list(shape)}, not one picture [1, height, width, 3].')
  inputs = fit(picture, shape[1:3])[np.newaxis].astype(dtype)
  if key:
    runner = interpreter.get_signature_runner(key)
    return lambda: runner(inputs=inputs)
  interpreter.allocate_tensors()
  interpreter.set_tensor(details['index'], inputs)
  return interpreter.invoke


def measure_checkpoint(request: Mapping[str, Any], picture: np.ndarray) -> dict[str, Any]:
  """The Keras model as a graph, its parts by graphs that end behind them, as differences."""
  import tensorflow as tf

  _limit_threads(tf, request['threads'])
  from nasfpn_tf import zoo
  from nasfpn_tf.data.input import preprocess

  memory = timing.PeakMemory()
  model = zoo.load_detector(request['path'], request['checkpoint'])
  if request['exit_stage']:
    model = model.at_exit(request['exit_stage'])
  size = tuple(zoo.load_experiment(request['path']).task.model.input_size[:2])
  images = preprocess.normalize(tf.constant(fit(picture, size)[np.newaxis]))
  shape = tf.constant([size], tf.float32)

  def graph(function):
    compiled = tf.function(function)
    return lambda: tf.nest.map_structure(lambda output: output.numpy(), compiled())

  def neck():
    features = model.backbone(images, training=False)
    return features if model.decoder is None else model.decoder(features, training=False)

  whole = graph(lambda: model(images, image_shape=shape, training=False))
  alone = timing.take_turns({'whole': whole}, request['runs'])['whole']
  result = {'peak_memory_bytes': memory.bytes(), 'latency_ms': alone}
  if getattr(model, 'num_exits', 1) == 1:
    ways = {
      'backbone': graph(lambda: model.backbone(images, training=False)),
      'neck': graph(neck),
      'head': graph(lambda: model.head(neck(), training=False)),
      'post_processing': whole,
    }
    ends = timing.take_turns(ways, request['runs'])
    result['parts_ms'] = timing.differences({part: ends[part].median for part in PARTS})
  return {**result, **_count(model, size)}


def measure_saved_model(request: Mapping[str, Any], picture: np.ndarray) -> dict[str, Any]:
  """The signature that takes decoded pictures; TensorFlow arranges its graph as a whole, so it has no parts."""
  import tensorflow as tf

  _limit_threads(tf, request['threads'])
  memory = timing.PeakMemory()
  loaded = tf.saved_model.load(request['path'])
  key = f'exit_{request["exit_stage"]}' if request['exit_stage'] else 'image_tensor'
  if key not in loaded.signatures:
    raise ValueError(f'has no signature {key}; was it made by export_saved_model.py?')
  signature = loaded.signatures[key]
  from nasfpn_tf import zoo

  size = tuple(zoo.load_experiment(request['path']).task.model.input_size[:2])
  copies = signature.structured_input_signature[1]['inputs'].shape[0] or 1
  images = tf.constant(np.repeat(fit(picture, size)[np.newaxis], copies, axis=0))
  run = timing.take_turns(
    {'whole': lambda: tf.nest.map_structure(lambda output: output.numpy(), signature(inputs=images))}, request['runs']
  )
  result = {'peak_memory_bytes': memory.bytes(), 'latency_ms': run['whole']}
  frozen = os.path.join(request['path'], 'assets.extra', 'weights')
  weights = frozen if os.path.isfile(frozen + '.index') else os.path.join(request['path'], 'variables', 'variables')
  model = zoo.load_detector(request['path'], weights)
  return {**result, **_count(model.at_exit(request['exit_stage']) if request['exit_stage'] else model, size)}


def measure_onnx(request: Mapping[str, Any], picture: np.ndarray) -> dict[str, Any]:
  """An .onnx of the signature `raw` in ONNX Runtime: no suppression."""
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
    raise ValueError(f'takes {details.type} {details.shape}, not float pictures [batch, height, width, 3].')
  inputs = {details.name: fit(picture, details.shape[1:3])[np.newaxis].astype(np.float32)}
  alone = timing.take_turns({'whole': lambda: session.run(None, inputs)}, request['runs'])['whole']
  result = {'peak_memory_bytes': memory.bytes(), 'latency_ms': alone}
  graph = onnx_graph.OnnxGraph(request['path'])
  counts = {'params': graph.params(), 'multiply_adds': graph.multiply_adds()}
  return {**result, **counts, 'input_size': details.shape[1:3]}


def _limit_threads(tf: Any, threads: int) -> None:
  tf.config.threading.set_intra_op_parallelism_threads(threads)
  tf.config.threading.set_inter_op_parallelism_threads(1 if threads == 1 else 2)


def _count(model: Any, size: Sequence[int]) -> dict[str, Any]:
  """Of a Keras model."""
  from nasfpn_tf.modeling import cost

  counts = cost.multiply_adds_by_part(model, size)
  counts = {'neck' if part == 'decoder' else part: count for part, count in counts.items()}
  return {'input_size': size, 'params': cost.count_params(model), 'multiply_adds': counts}


_FORMS = {
  'tflite': (measure_tflite, 'ai-edge-litert'),
  'checkpoint': (measure_checkpoint, 'tensorflow'),
  'saved_model': (measure_saved_model, 'tensorflow'),
  'onnx': (measure_onnx, 'onnxruntime'),
}


def main(request_path: str, result_path: str) -> None:
  """Measures what a file asks for and writes the result to another."""
  from importlib import metadata

  with open(request_path, encoding='utf-8') as file:
    request = json.load(file)
  try:
    measure, package = _FORMS[request['form']]
    result = {'parts_ms': {}, **measure(request, np.load(request['picture']))}
    result['latency_ms'] = vars(result['latency_ms'])
    result['runtime'] = f'{package} {metadata.version(package)}'
  except (ValueError, OSError, RuntimeError) as error:
    result = {'error': ' '.join(str(error).split())}
  with open(result_path, 'w', encoding='utf-8') as file:
    json.dump(result, file)


if __name__ == '__main__':
  main(*sys.argv[1:])
