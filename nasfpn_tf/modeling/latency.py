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

"""Measures latency and size of a detector as a .tflite without post-processing, the former on this machine."""

import statistics
import time

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from nasfpn_tf import config
from nasfpn_tf.modeling import detector

_WARM_UP_RUNS = 2


def measure_ms(model_config: config.Detector, num_runs: int = 15, num_threads: int = 1) -> float:
  """Measures the median milliseconds per image of a new detector in float32; the weights do not matter.

  Whatever else runs on the machine is measured along: use as many workers as leave a core to each.

  Args:
    model_config: the detector.
    num_runs: how many times it is run.
    num_threads: of the interpreter.
  """
  interpreter = Interpreter(model_content=_tflite(model_config), num_threads=num_threads)
  interpreter.allocate_tensors()
  image = np.random.default_rng(0).normal(size=[1, *model_config.input_size]).astype(np.float32)
  interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
  seconds = []
  for _ in range(_WARM_UP_RUNS + num_runs):
    started = time.perf_counter()
    interpreter.invoke()
    seconds.append(time.perf_counter() - started)
  return 1000.0 * statistics.median(seconds[_WARM_UP_RUNS:])


def size_bytes(model_config: config.Detector) -> int:
  """Measures the size of a new detector as a .tflite in float32."""
  return len(_tflite(model_config))


def _tflite(model_config: config.Detector) -> bytes:
  model = detector.build_detector(model_config)

  @tf.function(input_signature=[tf.TensorSpec([1, *model_config.input_size], tf.float32)])
  def forward(images):
    features = model.backbone(images, training=False)
    if model.decoder is not None:  # SpineNet's features go straight to the head.
      features = model.decoder(features, training=False)
    return tf.nest.flatten(model.head(features))

  converter = tf.lite.TFLiteConverter.from_concrete_functions([forward.get_concrete_function()], model)
  return converter.convert()
