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

"""Reports the name, the usable cores and the abilities of this machine's processor."""

import functools
import os
import pathlib
import platform

_CPUINFO = pathlib.Path('/proc/cpuinfo')


@functools.cache
def name(cpuinfo: pathlib.Path = _CPUINFO) -> str:
  """Returns the name of the processor, from /proc/cpuinfo on Linux and from Python elsewhere."""
  for line in _read(cpuinfo).splitlines():
    if line.startswith('model name'):
      return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()


def num_cores() -> int:
  """Returns how many cores this process may use, which a container or `taskset` can make fewer than there are."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def computes_bfloat16(cpuinfo: pathlib.Path = _CPUINFO) -> bool:
  """Tells whether the processor has bfloat16 instructions; without them bfloat16 is slower than float32."""
  words = _read(cpuinfo).split()
  return 'avx512_bf16' in words or 'amx_bf16' in words


def _read(path: pathlib.Path) -> str:
  try:
    return path.read_text(encoding='utf-8')
  except OSError:
    return ''
