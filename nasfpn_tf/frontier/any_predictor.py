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

"""Measures any predictor: time from the pixels of an image to its boxes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nasfpn_tf.artifacts import formats
from nasfpn_tf.frontier import timing


def measure(request: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
  """Measures what a request asks for; see `worker`. The threads are the format's own business."""
  memory = timing.PeakMemory()
  predictor = formats.load(request['predictor'])(request['path'])
  if request['exit_stage']:
    raise ValueError('the exits of this format cannot be measured separately.')
  alone = timing.take_turns({'whole': lambda: predictor(image)}, request['runs'])['whole']
  return {
    'latency_ms': alone,
    'peak_memory_bytes': memory.bytes(),
    'input_size': None,
    'params': None,
    'multiply_adds': {},
  }
