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

"""Records that the tests of the frontier share."""

import dataclasses
from typing import Any

from nasfpn_tf.frontier import record

_SAMPLE = record.ModelRecord(
  name='sample',
  form='tflite',
  family='NAS-FPNLite',
  quantization='none',
  exit_stage=None,
  digest='0123',
  input_size=(256, 320),
  params=2_000_000,
  multiply_adds={'backbone': 300_000_000, 'neck': 20_000_000, 'head': 80_000_000},
  size_bytes=8_000_000,
  latency_ms=record.Latency(median=10.0, p90=11.0, first=30.0, mean=10.2, runs=50),
  parts_ms={'backbone': 6.0, 'neck': 1.0, 'head': 2.0, 'post_processing': 1.0},
  threads=1,
  device='processor',
  runtime='runtime 1.0',
  peak_memory_bytes=30_000_000,
  metrics={'AP': 0.5, 'AP50': 0.8},
  evaluated_on='test (72 images)',
  facts={'train_steps': 600},
)


def sample(**changes: Any) -> record.ModelRecord:
  """A record with `changes`; `ap` and `ms` are short for its AP and its median latency."""
  if 'ap' in changes:
    changes['metrics'] = {'AP': changes.pop('ap'), 'AP50': 0.9}
  if 'ms' in changes:
    ms = changes.pop('ms')
    changes['latency_ms'] = record.Latency(median=ms, p90=1.1 * ms, first=3 * ms, mean=ms, runs=50)
  return dataclasses.replace(_SAMPLE, **changes)
