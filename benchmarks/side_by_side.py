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

"""Times two implementations in turn, so that a machine whose speed drifts slows both: medians and ratios."""

import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nasfpn_tf import processor

_RESULT = 'RESULT '


@dataclasses.dataclass(frozen=True)
class Samples:
  """The times of the counted calls of one side.

  Attributes:
    wall_ms: milliseconds on the clock, one a call.
    cpu_ms: processor milliseconds of the whole process, one a call; steadier on a machine that does other work too.
  """

  wall_ms: tuple[float, ...]
  cpu_ms: tuple[float, ...]


def interleave(
  sides: Mapping[str, Callable[[], Any]],
  runs: int,
  warm_up: int = 1,
  prepare: Mapping[str, Callable[[], Any]] | None = None,
) -> dict[str, Samples]:
  """Calls the sides in turn, forwards and backwards: A B, B A, A B, ...

  Args:
    sides: by name, what is timed; a call must not return before its work is done.
    runs: counted calls of each.
    warm_up: calls before, for tracing and caches.
    prepare: by name, what comes before each call and is not timed.
  """
  names = list(sides)
  prepare = prepare or {name: lambda: None for name in names}
  for _ in range(warm_up):
    for name in names:
      prepare[name]()
      sides[name]()
  wall, cpu = ({name: [] for name in names} for _ in range(2))
  for run in range(runs):
    for name in names if run % 2 == 0 else reversed(names):
      prepare[name]()
      started, cpu_started = time.perf_counter(), time.process_time()
      sides[name]()
      wall[name].append(1e3 * (time.perf_counter() - started))
      cpu[name].append(1e3 * (time.process_time() - cpu_started))
  return {name: Samples(tuple(wall[name]), tuple(cpu[name])) for name in names}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
  """Returns the median of the ratios, call by call."""
  return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def report(samples: Mapping[str, Samples], reach: Mapping[str, float] | None = None) -> None:
  """Prints a row a side; the first is ours, and its ratio to each of the others is below 1 where ours is faster.

  Args:
    samples: of the sides.
    reach: by side, the ratio that is wanted.
  """
  ours = next(iter(samples.values()))
  print(machine())
  print(
    '| side | median ms | min | max | cpu ms | ours / this | by cpu | to reach |\n|---|---|---|---|---|---|---|---|'
  )
  for name, side in samples.items():
    row = [statistics.median(side.wall_ms), min(side.wall_ms), max(side.wall_ms), statistics.median(side.cpu_ms)]
    cells = [f'{value:.1f}' for value in row]
    if side is ours:
      cells += ['', '', '']
    else:
      wanted = (reach or {}).get(name)
      cells += [f'{ratio(ours.wall_ms, side.wall_ms):.3f}', f'{ratio(ours.cpu_ms, side.cpu_ms):.3f}']
      cells += [f'<= {wanted}' if wanted else '']
    print(f'| {name} | ' + ' | '.join(cells) + ' |', flush=True)


def machine() -> str:
  """Describes the processor, the cores that this process may use, and the current load."""
  load = f', load {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
  return f'{processor.name()}, {processor.num_cores()} cores{load}'


def run_side(module: str, side: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
  """Runs one side in its own process, with this one's flags and `--side`; returns what it gives to `hand_back`.

  Args:
    module: that is run, such as 'benchmarks.recompute'.
    side: value of its flag `--side`.
    environment: variables of the process besides this one's.

  Raises:
    SystemExit: the process failed.
  """
  command = [sys.executable, '-m', module, *sys.argv[1:], f'--side={side}']
  done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
  lines = [line for line in done.stdout.splitlines() if line.startswith(_RESULT)]
  if done.returncode or not lines:
    raise SystemExit(f'{" ".join(command)} failed with status {done.returncode}.')
  return json.loads(lines[-1].removeprefix(_RESULT))


def hand_back(result: Mapping[str, Any]) -> None:
  """Gives the result of a process to the `run_side` that started it."""
  print(_RESULT + json.dumps(result), flush=True)


def peak_bytes() -> int:
  """Returns the peak memory of this process."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def children_peak_bytes() -> int:
  """Returns the highest peak memory among this process's finished children."""
  return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def require(condition: Any, message: str) -> None:
  """Ends the benchmark if the sides do not compute the same results.

  Raises:
    SystemExit: the condition does not hold.
  """
  if not condition:
    raise SystemExit(f'The sides disagree: {message}')
