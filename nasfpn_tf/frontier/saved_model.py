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

"""Measures the signature of a SavedModel that takes decoded images, as a whole: TensorFlow optimizes across parts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nasfpn_tf.artifacts import layout, saved_model, signatures
from nasfpn_tf.frontier import keras_model, timing
from nasfpn_tf.frontier.fitting import fit


def measure(request: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
  """Measures what a request asks for; see `worker`. There are no parts."""
  keras_model.limit_threads(request['threads'])
  memory = timing.PeakMemory()
  loaded = saved_model.load(request['path'])
  key = signatures.exit_key(request['exit_stage']) or signatures.IMAGE_TENSOR
  if key not in loaded.signatures:
    raise ValueError(f'has no signature {key}; was it made by export_saved_model.py?')
  signature = loaded.signatures[key]
  from nasfpn_tf import zoo

  size = tuple(zoo.load_experiment(request['path']).task.model.input_size[:2])
  copies = signature.structured_input_signature[1]['inputs'].shape[0] or 1
  images = tf.constant(np.repeat(fit(image, size)[np.newaxis], copies, axis=0))
  run = timing.take_turns(
    {'whole': lambda: tf.nest.map_structure(lambda output: output.numpy(), signature(inputs=images))}, request['runs']
  )
  result = {'peak_memory_bytes': memory.bytes(), 'latency_ms': run['whole']}
  model = zoo.load_detector(request['path'], layout.saved_model_checkpoint(request['path']))
  return {**result, **keras_model.count(model.at_exit(request['exit_stage']) if request['exit_stage'] else model, size)}
