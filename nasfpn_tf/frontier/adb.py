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

"""Runs LiteRT's benchmark_model on a connected Android device through adb, and reads its output."""

import dataclasses
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf import whole_file
from nasfpn_tf.frontier import timing
from nasfpn_tf.frontier.record import PARTS, Latency
from nasfpn_tf.frontier.tflite_graph import TFLiteGraph

DIRECTORY = '/data/local/tmp/nasfpn_tf'
BINARY = '/data/local/tmp/benchmark_model'
_SECONDS = 600  # A model that takes longer than this for all its runs is stuck.
_NUMBER = r'([-+\d.eE]+)'
_HELP = 'docs/frontier.md says where to get it.'


@dataclasses.dataclass(frozen=True)
class Device:
  """A connected device.

  Attributes:
    serial: as adb names it.
    name: manufacturer, model and Android version.
    binary: benchmark_model there.
    flags: further flags of benchmark_model, such as --use_gpu=true.
  """

  serial: str
  name: str
  binary: str
  flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Output:
  """What benchmark_model printed.

  Attributes:
    latency: of the runs that count; without p90, which it does not print.
    memory_bytes: the growth of its process; None where it says nothing.
  """

  latency: Latency
  memory_bytes: int | None


def connect(serial: str | None = None, binary: str | None = None, flags: Sequence[str] = ()) -> Device:
  """Connects to the device and puts benchmark_model on it.

  Args:
    serial: which device; None: the only one.
    binary: benchmark_model for the device's processor, a file here that is copied there; None: it is there already.
    flags: further flags of benchmark_model.

  Raises:
    ValueError: adb is not installed, there is no such device or several, or no benchmark_model; it says what to do.
  """
  lines = _adb(None, 'devices').splitlines()
  states = dict(line.split('\t')[:2] for line in lines if '\t' in line)
  if serial is None:
    if not states:
      raise ValueError('adb sees no device: connect one by USB and allow debugging in its developer options.')
    if len(states) > 1:
      raise ValueError(f'adb sees {len(states)} devices, {", ".join(states)}: choose one with --adb_serial.')
    (serial,) = states
  state = states.get(serial, 'not there')
  if state != 'device':
    hint = ': confirm the question about USB debugging on its screen' if state == 'unauthorized' else ''
    raise ValueError(f'the device {serial} is {state}{hint}.')
  where = BINARY
  if binary is not None:
    if not os.path.isfile(binary):
      raise ValueError(f'{binary}: no such file; {_HELP}')
    where = f'{DIRECTORY}/benchmark_model'
    _adb(serial, 'shell', f'mkdir -p {DIRECTORY}')
    _adb(serial, 'push', binary, where)
    _adb(serial, 'shell', f'chmod 755 {where}')
  elif 'there' not in _adb(serial, 'shell', f'if [ -x {where} ]; then echo there; else echo absent; fi'):
    raise ValueError(f'{serial}: no {where} on the device; give the file with --adb_binary. {_HELP}')
  properties = ('ro.product.manufacturer', 'ro.product.model', 'ro.build.version.release')
  maker, model, release = (_adb(serial, 'shell', f'getprop {name}').strip() for name in properties)
  name = ' '.join(filter(None, [maker if not model.startswith(maker) else '', model])) or serial
  return Device(serial, f'{name} (Android {release})' if release else name, where, tuple(flags))


def measure(
  device: Device, content: bytes, graph: TFLiteGraph, threads: int, runs: int, signature_key: str | None = None
) -> dict[str, Any]:
  """Measures latency and memory of a .tflite on the device, and of its parts by files truncated after them.

  Raises:
    ValueError: benchmark_model failed on the device; the message has the end of its output.
  """
  files = {'whole': content}
  if graph.has_parts:
    files.update({part: graph.cut(part) for part in PARTS[:-1]})
  outputs = {name: _run(device, name, file, threads, runs, signature_key) for name, file in files.items()}
  whole = outputs.pop('whole')
  ends = {part: outputs[part].latency.typical for part in outputs}
  parts = timing.differences({**ends, PARTS[-1]: whole.latency.typical}) if ends else {}
  return {
    'latency_ms': vars(whole.latency),
    'parts_ms': parts,
    'peak_memory_bytes': whole.memory_bytes,
    'runtime': ' '.join(['benchmark_model', *device.flags]),
  }


def parse(text: str) -> Output:
  """Reads the output of benchmark_model, of versions that give percentiles and of those that do not.

  Raises:
    ValueError: it did not get to the end; with what it said last.
  """
  summary = re.search(rf'Inference timings in us: .*First inference: {_NUMBER},.*Inference \(avg\): {_NUMBER}', text)
  # The first line of counts is of the runs that warm up, the last of those that count.
  lines = re.findall(r'\bcount=\d+ [^\n]*', text)
  if not summary or not lines:
    last = ' '.join(' '.join(text.split('\n')[-4:]).split()) or 'nothing at all'
    raise ValueError(f'benchmark_model did not finish; its last output: {last}')
  values = {key: float(value) for key, value in re.findall(rf'(\w+)={_NUMBER}', lines[-1])}
  first, mean = (float(number) / 1000 for number in summary.groups())
  median = values.get('median', values['curr'] if values['count'] == 1 else None)
  latency = Latency(
    median=None if median is None else median / 1000, p90=None, first=first, mean=mean, runs=int(values['count'])
  )
  memory = re.search(rf'[Mm]emory footprint.*\(MB\):.*overall={_NUMBER}', text)
  return Output(latency, round(float(memory[1]) * 2**20) if memory else None)


def _run(device: Device, name: str, content: bytes, threads: int, runs: int, signature_key: str | None) -> Output:
  where = f'{DIRECTORY}/{name}.tflite'
  _adb(device.serial, 'shell', f'mkdir -p {DIRECTORY}')
  with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, f'{name}.tflite')
    with whole_file.naming(path), open(path, 'wb') as file:
      file.write(content)
    _adb(device.serial, 'push', path, where)
  options: Mapping[str, Any] = {'graph': where, 'num_threads': threads, 'num_runs': runs, 'warmup_runs': timing.WARM_UP}
  command = [device.binary, *(f'--{key}={value}' for key, value in options.items())]
  if signature_key and name == 'whole':
    command.append(f'--signature_to_run_for={signature_key}')
  try:
    text = _adb(device.serial, 'shell', shlex.join([*command, *device.flags]) + ' 2>&1')
  finally:
    _adb(device.serial, 'shell', f'rm -f {where}')
  try:
    return parse(text)
  except ValueError as error:
    raise ValueError(f'{device.name}: {error}') from error


def _adb(serial: str | None, *words: str) -> str:
  command = ['adb', *(('-s', serial) if serial else ()), *words]
  try:
    done = subprocess.run(
      command, capture_output=True, text=True, errors='replace', check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
    )
  except FileNotFoundError as error:
    raise ValueError('adb is not installed: it comes with the Android SDK platform-tools.') from error
  except subprocess.TimeoutExpired as error:
    raise ValueError(f'{shlex.join(command)}: no answer within {_SECONDS} s.') from error
  if done.returncode:
    said = ' '.join((done.stdout + done.stderr).split()[-60:])
    raise ValueError(f'{shlex.join(command)} ended with {done.returncode}: {said}')
  return done.stdout.replace('\r', '')
