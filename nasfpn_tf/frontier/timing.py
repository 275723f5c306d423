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

"""Measures time and memory of repeated calls in this process."""

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from nasfpn_tf.frontier.record import Latency

WARM_UP = 3  # Runs that do not count, besides the first one.


def take_turns(ways: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, Latency]:
  """Times each function in milliseconds, in turns, so that other load of the machine affects all of them."""
  seconds = {name: [] for name in ways}
  for _ in range(1 + WARM_UP + runs):
    for name, way in ways.items():
      started = time.perf_counter()
      way()
      seconds[name].append(time.perf_counter() - started)
  return {name: summarize([1000 * value for value in values]) for name, values in seconds.items()}


def summarize(milliseconds: list[float]) -> Latency:
  """Summarizes the latency of runs in their order; the first ones are warm-up."""
  counted = milliseconds[1 + WARM_UP :]
  deciles = statistics.quantiles(counted, n=10, method='inclusive') if len(counted) > 1 else 9 * counted
  return Latency(
    median=statistics.median(counted),
    p90=deciles[8],
    first=milliseconds[0],
    mean=statistics.fmean(counted),
    runs=len(counted),
  )


def differences(ends: Mapping[str, float]) -> dict[str, float]:
  """Computes the milliseconds of each part from those up to its end, in order; never negative."""
  parts, before = {}, 0.0
  for name, end in ends.items():
    parts[name] = max(0.0, end - before)
    before = max(before, end)
  return parts


class PeakMemory:
  """Measures how far the memory of this process grows at its peak.

  Linux says how much a process had at most, and can be asked to start over; elsewhere nothing is known.
  """

  def __init__(self):
    """Begins here."""
    with contextlib.suppress(OSError), open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
      file.write('5')
    self._before = _status('VmRSS')

  def bytes(self) -> int | None:
    """Returns the peak growth in bytes, or None if unknown."""
    peak = _status('VmHWM')
    return None if peak is None or self._before is None else max(0, peak - self._before)


def _status(key: str) -> int | None:
  """Reads a value in bytes from the kernel's status of this process."""
  try:
    with open('/proc/self/status', encoding='ascii') as file:
      for line in file:
        if line.startswith(key + ':'):
          return 1024 * int(line.split()[1])
  except OSError:
    pass
  return None
