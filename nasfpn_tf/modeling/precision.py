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

"""Chooses the precision that a network computes in: float32, or bfloat16 with weights in float32."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf import processor

AUTO, FLOAT32, BFLOAT16 = 'auto', 'float32', 'bfloat16'
DTYPES = (AUTO, FLOAT32, BFLOAT16)
_POLICIES = {FLOAT32: 'float32', BFLOAT16: 'mixed_bfloat16', 'float16': 'mixed_float16'}
_AMPERE = (8, 0)  # The first compute capability with bfloat16.
_WARM_UP = 2


def of_device(for_tpu: bool = False) -> tuple[str, str]:
  """Returns the precision that this machine computes fastest in and the reason.

  bfloat16 on a TPU, on GPUs of compute capability 8.0 (Ampere) or higher, and on a CPU with instructions for it;
  float32 elsewhere. Small networks of depthwise convolutions gain little on a CPU, see docs/benchmarks.md.
  """
  if for_tpu:
    return BFLOAT16, 'a TPU computes in it'
  gpus = tf.config.list_physical_devices('GPU')
  if gpus:
    capabilities = [tf.config.experimental.get_device_details(gpu).get('compute_capability') for gpu in gpus]
    if all(capability and tuple(capability) >= _AMPERE for capability in capabilities):
      return BFLOAT16, 'the GPU has instructions for it'
    return FLOAT32, 'the GPU has no instructions for bfloat16'
  if processor.computes_bfloat16():
    return BFLOAT16, 'the CPU has instructions for it'
  return FLOAT32, 'the CPU has no instructions for bfloat16'


@contextlib.contextmanager
def computing_in(dtype: str) -> Iterator[None]:
  """Makes the layers that are built in this context compute in `dtype`; their variables are float32 in any case.

  Raises:
    ValueError: `dtype` is not float32, bfloat16 or float16.
  """
  if dtype not in _POLICIES:
    raise ValueError(f'the precision {dtype!r} is not one of {", ".join(_POLICIES)}.')
  before = tf_keras.mixed_precision.global_policy()
  tf_keras.mixed_precision.set_global_policy(_POLICIES[dtype])
  try:
    yield
  finally:
    tf_keras.mixed_precision.set_global_policy(before)


def fastest(calls: Mapping[str, Callable[[], Any]], runs: int = 5) -> tuple[str, dict[str, float]]:
  """Times calls in turn, so that a machine whose speed drifts slows all of them.

  Args:
    calls: by name; a call must not return before its work is done. On a tie the first is taken.
    runs: counted calls of each.

  Returns:
    The name of the fastest and the median milliseconds of each.
  """
  milliseconds: dict[str, list[float]] = {name: [] for name in calls}
  for _ in range(_WARM_UP + runs):
    for name, call in calls.items():
      started = time.perf_counter()
      call()
      milliseconds[name].append(1000 * (time.perf_counter() - started))
  medians = {name: statistics.median(values[_WARM_UP:]) for name, values in milliseconds.items()}
  return min(medians, key=medians.__getitem__), medians


def described(chosen: str, medians: Mapping[str, float], others: Sequence[str] = (FLOAT32, BFLOAT16)) -> str:
  """Describes the measurement and the choice, as 'bfloat16: 120 ms an image, float32 230 ms'."""
  rest = ', '.join(f'{name} {medians[name]:.3g} ms' for name in others if name != chosen)
  return f'{chosen}: {medians[chosen]:.3g} ms an image, {rest}'
