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

"""Waits for processes as long as they work: by their processor time, because a loaded machine is slow, not stuck."""

import os
import pathlib
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar('T')
_SECONDS = 0.1  # Between looks.


def cpu_seconds(pid: int) -> float | None:
  """Processor time of a process: 0 if it has ended and was waited for, None if somebody has stopped it for a while."""
  try:
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
  except (FileNotFoundError, ProcessLookupError):
    return 0.0
  return None if fields[0] == 'T' else (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def until(
  condition: Callable[[], T],
  processes: Sequence[subprocess.Popen],
  budget: float = 300.0,
  idle: float = 120.0,
) -> T:
  """Waits until `condition()` is true and returns what it is.

  Args:
    condition: asked ten times a second.
    processes: those that work towards it.
    budget: seconds of processor time that they may use together.
    idle: seconds in which they have to use at least one of processor time; those in which this process or one of them
      is stopped do not count.

  Raises:
    TimeoutError: they have used up the budget, or do nothing.
  """
  first = last = None
  looks = 0  # A clock would also count while this process is stopped.
  while not (value := condition()):
    used = [cpu_seconds(process.pid) for process in processes]
    if None not in used:
      total = sum(used)
      first, last, looks = (total, total, 0) if first is None else (first, last, looks + 1)
      if total - first > budget:
        raise TimeoutError(f'not reached after {total - first:.0f} seconds of processor time')
      if total - last >= 1:
        last, looks = total, 0
      elif looks * _SECONDS > idle:
        raise TimeoutError(f'not reached: {total - last:.2f} seconds of processor time in {idle:.0f} seconds')
    time.sleep(_SECONDS)
  return value
