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

"""Measures what the exits of a detector cost: multiply-adds, parameters, and latency in LiteRT."""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from nasfpn_tf.artifacts import signatures
from nasfpn_tf.export import calibration, source, tflite
from nasfpn_tf.modeling import cost
from nasfpn_tf.training import checkpoints

COSTS = 'costs.json'


def measure(
  directory: str, anytime_dir: str, separate_dirs: Mapping[int, str], input_path: str, threads: int, runs: int
) -> list[dict[str, Any]]:
  """Measures the costs of every exit, or reads them from `directory` if nothing has changed.

  The ways to an exit take turns, so that whatever else the machine does falls on all of them.

  Args:
    directory: gets costs.json.
    anytime_dir: model_dir of an anytime detector.
    separate_dirs: {number of pyramids: model_dir of a detector with so many}, for some of the exits.
    input_path: records, whose first image is run.
    threads: of LiteRT.
    runs: how often each exit is timed; medians are taken.

  Returns:
    For each exit `exit_stage`, `multiply_adds_g` and `params_m` of the detector with so many pyramids, and in
    milliseconds, for one image and with post-processing, `latency_ms` of the exit at once, `refined_latency_ms` of
    coming to it step by step, `separate_latency_ms` of the detector with so many pyramids where there is one.
  """
  path = os.path.join(directory, COSTS)
  settings = {'anytime': anytime_dir, 'separate': {str(k): separate_dirs[k] for k in sorted(separate_dirs)}}
  settings.update(input_path=input_path, threads=threads, runs=runs)
  if os.path.exists(path):
    with open(path, encoding='utf-8') as file:
      found = json.load(file)
    if found['settings'] == settings:
      return found['exits']
  detector = source.load(anytime_dir)
  images = calibration.load_images(input_path, calibration.MIN_IMAGES)[:1]
  (pixels,) = calibration.to_inputs(images, detector.input_size, detector.keep_aspect_ratio)
  content = tflite.convert(detector.model, detector.input_size, tflite.Options())
  interpreter = Interpreter(model_content=content, num_threads=threads)
  ways, exits = {}, []
  for exit_stage in range(1, detector.model.num_exits + 1):
    early = detector.model.at_exit(exit_stage)
    exits.append(
      {
        'exit_stage': exit_stage,
        'multiply_adds_g': cost.count_multiply_adds(early, detector.input_size) / 1e9,
        'params_m': cost.count_params(early) / 1e6,
      }
    )
    ways['latency_ms', exit_stage] = _at_once(interpreter, f'exit_{exit_stage}', pixels)
    ways['refined_latency_ms', exit_stage] = _refined(interpreter, exit_stage, pixels)
    if exit_stage in separate_dirs:
      separate = source.load(separate_dirs[exit_stage])
      content = tflite.convert(separate.model, separate.input_size, tflite.Options())
      other = Interpreter(model_content=content, num_threads=threads)
      ways['separate_latency_ms', exit_stage] = _at_once(other, None, pixels)
  for (name, exit_stage), milliseconds in _time(ways, runs).items():
    exits[exit_stage - 1][name] = milliseconds
  checkpoints.write_json(path, {'settings': settings, 'exits': exits})
  return exits


def _at_once(interpreter: Interpreter, key: str | None, pixels: np.ndarray) -> Callable[[], Any]:
  runner = interpreter.get_signature_runner(key)
  return lambda: runner(inputs=pixels)


def _refined(interpreter: Interpreter, exit_stage: int, pixels: np.ndarray) -> Callable[[], Any]:
  steps = [interpreter.get_signature_runner(name) for name in signatures.steps_to(exit_stage)]
  detect = interpreter.get_signature_runner(f'detect_{exit_stage}')

  def run():
    state = {'inputs': pixels}
    for step in steps:
      state = step(**state)
    return detect(**state)

  return run


def _time(ways: Mapping[Any, Callable[[], Any]], runs: int) -> dict[Any, float]:
  """Times each way: median milliseconds; the first run of each does not count."""
  seconds = {name: [] for name in ways}
  for turn in range(runs + 1):
    for name, way in ways.items():
      started = time.perf_counter()
      way()
      if turn:
        seconds[name].append(time.perf_counter() - started)
  return {name: 1000 * statistics.median(values) for name, values in seconds.items()}
