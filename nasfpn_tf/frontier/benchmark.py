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

"""Measures one format of a model: AP on records, size, latency and memory."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nasfpn_tf import predict, processor, whole_file
from nasfpn_tf.artifacts import formats, signatures
from nasfpn_tf.data.input import decode
from nasfpn_tf.data.records import manifest
from nasfpn_tf.frontier import adb, tflite_graph
from nasfpn_tf.frontier.record import Latency, ModelRecord
from nasfpn_tf.modeling import precision
from nasfpn_tf.predict import measurement

_NOISE_SIZE = (480, 640, 3)
_METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')


@dataclasses.dataclass(frozen=True)
class Options:
  """What to measure, and how.

  Attributes:
    model: a .tflite, a SavedModel or the directory of its versions, a model_dir of a training, an .onnx.
    checkpoint: of a model_dir; None: its best.
    exit_stage: of an anytime detector; None: the last.
    dtype: of a model_dir, one of `precision.DTYPES`; exports have their own.
    input_path: records to evaluate on, whose first image is timed; None: no AP, and noise is timed.
    annotations: of these; None: beside them.
    threads: that the runtime may use.
    runs: that count.
    name: what reports call it; None: by its path.
    family: see `ModelRecord`.
    facts: see `ModelRecord`.
    trust: run a SavedModel whose graph could read or write files, too.
    device: an Android device to time a .tflite on; None: this machine.
  """

  model: str
  checkpoint: str | None = None
  exit_stage: int | None = None
  dtype: str = precision.FLOAT32
  input_path: str | None = None
  annotations: str | None = None
  threads: int = 1
  runs: int = 50
  name: str | None = None
  family: str = ''
  facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  trust: bool = False
  device: adb.Device | None = None


def measure(options: Options) -> ModelRecord:
  """Measures a model.

  Raises:
    FileNotFoundError: there is no such model, or no such records.
    ValueError: it cannot be run or evaluated; the message names it and says why.
  """
  form, path = formats.locate(options.model)
  if options.device is not None and form.name != 'tflite':
    raise ValueError(f'{path}: LiteRT on a device runs a .tflite only; export_tflite.py makes one.')
  if not options.trust:
    form.check(path)
  if not form.takes_checkpoint and options.dtype != precision.FLOAT32:
    raise ValueError(f'{path}: {form.description} has a fixed precision; choose it when you export.')
  facts = form.facts(path)
  if options.device is None:
    with tempfile.TemporaryDirectory() as directory:
      result = run_worker(form, path, options, directory)
    device = processor.name()
  else:
    result, device = _on_device(path, options), options.device.name
  dtype = result.get('dtype', precision.FLOAT32)
  evaluated = _evaluate(form, path, dataclasses.replace(options, dtype=dtype)) if options.input_path else {}
  return ModelRecord(
    name=options.name or _default_name(path, options.exit_stage),
    form=form.name,
    family=options.family,
    quantization=facts.get('quant_type') if dtype == precision.FLOAT32 else dtype,
    exit_stage=options.exit_stage,
    digest=_digest(path),
    input_size=tuple(result['input_size']) if result['input_size'] else None,
    params=facts.get('params', result['params']),
    multiply_adds=result['multiply_adds'],
    size_bytes=measurement.size_bytes(path, options.checkpoint),
    latency_ms=Latency(**result['latency_ms']),
    parts_ms=result['parts_ms'],
    threads=options.threads,
    device=device,
    runtime=result['runtime'],
    peak_memory_bytes=result['peak_memory_bytes'],
    metrics={key: evaluated[key] for key in _METRICS if key in evaluated},
    evaluated_on=f'{_set_name(options.input_path)} ({evaluated["num_images"]} images)' if evaluated else '',
    facts=dict(options.facts),
  )


def run_worker(form: formats.Format, path: str, options: Options, directory: str) -> dict[str, Any]:
  """Runs the model in a process of its own; see `worker`.

  Raises:
    ValueError: it cannot be run there.
  """
  files = [os.path.join(directory, name) for name in ('request.json', 'result.json', 'image.npy')]
  request, result, image = files
  with whole_file.naming(image):
    np.save(image, first_image(options.input_path))
  with whole_file.naming(request), open(request, 'w', encoding='utf-8') as file:
    asked = {name: getattr(options, name) for name in ('exit_stage', 'checkpoint', 'threads', 'runs', 'dtype')}
    asked |= {name: getattr(form, name) for name in ('benchmark', 'predictor', 'runtime')}
    json.dump({'path': path, 'image': image, **asked}, file)
  command = [sys.executable, '-m', 'nasfpn_tf.frontier.worker', request, result]
  root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
  search = os.pathsep.join(filter(None, [root, os.environ.get('PYTHONPATH')]))
  done = subprocess.run(
    command,
    env={**os.environ, 'PYTHONPATH': search},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    errors='replace',
    check=False,
  )
  if done.returncode or not os.path.exists(result):
    last = ' '.join(done.stderr.splitlines()[-3:])
    raise ValueError(f'{path}: the process that ran it exited with {done.returncode}: {last}')
  with open(result, encoding='utf-8') as file:
    found = json.load(file)
  if 'error' in found:
    message = found['error']
    raise ValueError(message if path in message else f'{path}: {message}')
  return found


def first_image(input_path: str | None) -> np.ndarray:
  """Returns the first image of records, uint8 [height, width, 3], or noise without records.

  Raises:
    FileNotFoundError: no such records.
    ValueError: they are broken.
  """
  if input_path is None:
    return np.random.default_rng(0).integers(0, 256, _NOISE_SIZE, np.uint8)
  shards = manifest.match_shards(input_path)
  records = tf.data.TFRecordDataset(shards).map(lambda record: decode.decode_record(record, tf.constant(input_path)))
  with decode.naming_record(shards):
    for record in records.take(1).as_numpy_iterator():
      return record.image
  raise ValueError(f'{input_path}: the records have no image.')


def _evaluate(form: formats.Format, path: str, options: Options) -> dict[str, Any]:
  if form.predictor is None:
    raise ValueError(f'{path}: {form.description} has no NMS, so it cannot be evaluated: omit --input_path.')
  predictor = predict.load_predictor(path, options.checkpoint, options.trust, options.dtype)
  if options.exit_stage is not None:
    predictor = predict.AtExit(predictor, options.exit_stage)
  return measurement.measure(predictor, path, options.input_path, options.annotations, options.checkpoint)


def _on_device(path: str, options: Options) -> dict[str, Any]:
  """Measures on an Android device; returns what the worker returns."""
  with open(path, 'rb') as file:
    content = file.read()
  key = signatures.exit_key(options.exit_stage)
  try:
    graph = tflite_graph.TFLiteGraph(content, key)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
  return {
    **adb.measure(options.device, content, graph, options.threads, options.runs, key),
    'input_size': graph.input_shape[1:3],
    'params': graph.params(),
    'multiply_adds': graph.multiply_adds(),
  }


def _digest(path: str) -> str | None:
  if not os.path.isfile(path):
    return None
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()[:16]


def _set_name(input_path: str) -> str:
  """Names a set of records independently of its directory."""
  names = [os.path.basename(pattern).removesuffix('-*') for pattern in manifest.split_patterns(input_path)]
  return ', '.join(names)


def _default_name(path: str, exit_stage: int | None) -> str:
  directory, last = os.path.split(os.path.abspath(path))
  stem = os.path.splitext(last)[0]
  name = f'{os.path.basename(directory)}/{stem}' if stem.isdigit() else stem
  return f'{name} exit {exit_stage}' if exit_stage else name
