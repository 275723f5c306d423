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

"""benchmark_model on a device: its output in its several forms, and the commands, with an adb that only pretends."""

import os
import stat

import pytest

from nasfpn_tf.frontier import adb, tflite_graph
from nasfpn_tf.frontier.record import PARTS

_OLD = """STARTING!
Log parameter values verbosely: [0]
Min num runs: [50]
Num threads: [4]
Graph: [/data/local/tmp/nasfpn_tf/whole.tflite]
#threads used for CPU inference: [4]
Loaded model /data/local/tmp/nasfpn_tf/whole.tflite
The input model file size (MB): 3.67827
Initialized session in 18.777ms.
Running benchmark for at least 3 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=9 first=64791 curr=56295 min=54873 max=65831 avg=57758.2 std=4065

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=58154 curr=53809 min=53077 max=60727 avg=55043.2 std=1562

Inference timings in us: Init: 18777, First inference: 64791, Warmup (avg): 57758.2, Inference (avg): 55043.2
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory \
footprint of the model at runtime. Take the information at your discretion.
Memory footprint delta from the start of the tool (MB): init=8.97656 overall=18.5
"""

_NEW = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [25]
INFO: Num threads: [1]
INFO: Graph: [/data/local/tmp/nasfpn_tf/whole.tflite]
INFO: Signature to run: []
INFO: Loaded model /data/local/tmp/nasfpn_tf/whole.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 8.35
INFO: Initialized session in 92.318ms.
INFO: Running benchmark for at least 3 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=3 first=187533 curr=140990 min=140071 max=195121 avg=174528 std=13583 p5=140071 median=187533 p95=195121

INFO: Running benchmark for at least 25 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=25 first=141533 curr=140990 min=140071 max=195121 avg=1.45528e+05 std=13583 p5=140545 median=141253 \
p95=187533

INFO: Inference timings in us: Init: 92318, First inference: 187533, Warmup (avg): 174528, Inference (avg): 1.45528e+05
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=54.2852 overall=73.4102
"""

_FAILED = """STARTING!
Graph: [/data/local/tmp/nasfpn_tf/whole.tflite]
Loaded model /data/local/tmp/nasfpn_tf/whole.tflite
ERROR: Encountered unresolved custom op: TFLite_Detection_PostProcess.
Failed to allocate tensors!
Benchmarking failed.
"""

_ADB = """#!/bin/bash
# Pretends to be adb with the device of $FAKE_DEVICES; says what benchmark_model does as $FAKE_OUTPUT has it.
echo "$*" >> "$FAKE_LOG"
if [ "$1" = devices ]; then
  printf 'List of devices attached\\n'
  printf "$FAKE_DEVICES"
  exit 0
fi
shift 2
case "$*" in
  'shell getprop ro.product.manufacturer') printf 'Google\\r\\n' ;;
  'shell getprop ro.product.model') printf 'Pixel 4\\r\\n' ;;
  'shell getprop ro.build.version.release') printf '13\\r\\n' ;;
  'shell if [ -x'*) printf "$FAKE_BINARY\\r\\n" ;;
  'shell '*benchmark_model*--graph=*) cat "$FAKE_OUTPUT" ;;
  push*) [ -f "$2" ] || { echo "adb: error: cannot stat '$2'"; exit 1; } ;;
esac
"""


def test_output_with_and_without_percentiles():
  old, new = adb.parse(_OLD), adb.parse(_NEW)
  assert (old.latency.mean, old.latency.first, old.latency.runs) == (55.0432, 64.791, 50)
  assert old.latency.median is None and old.latency.typical == 55.0432
  assert old.memory_bytes == round(18.5 * 2**20)
  assert (new.latency.mean, new.latency.first, new.latency.runs) == (145.528, 187.533, 25)
  assert new.latency.median == 141.253 and new.latency.p90 is None
  assert new.memory_bytes == round(73.4102 * 2**20)


def test_logcat_and_a_single_run():
  text = '\n'.join(f'11-21 19:20:01.1  100  200 I tflite  : {line}' for line in _NEW.splitlines())
  assert adb.parse(text) == adb.parse(_NEW)
  once = _OLD.replace('count=50 first=58154 curr=53809 min=53077 max=60727 avg=55043.2 std=1562', 'count=1 curr=53809')
  assert adb.parse(once).latency.median == 53.809 and adb.parse(once).latency.runs == 1


def test_output_that_stops_early():
  with pytest.raises(ValueError, match=r'its last output: .*unresolved custom op.* Benchmarking failed'):
    adb.parse(_FAILED)
  with pytest.raises(ValueError, match='nothing at all'):
    adb.parse('')


@pytest.fixture
def fake(tmp_path, monkeypatch):
  """An adb on PATH that keeps what it was asked."""
  program = tmp_path / 'bin' / 'adb'
  program.parent.mkdir()
  program.write_text(_ADB)
  program.chmod(program.stat().st_mode | stat.S_IXUSR)
  (tmp_path / 'output.txt').write_text(_NEW)
  monkeypatch.setenv('PATH', f'{program.parent}{os.pathsep}{os.environ["PATH"]}')
  monkeypatch.setenv('FAKE_LOG', str(tmp_path / 'log.txt'))
  monkeypatch.setenv('FAKE_OUTPUT', str(tmp_path / 'output.txt'))
  monkeypatch.setenv('FAKE_DEVICES', 'A1B2\\tdevice\\n')
  monkeypatch.setenv('FAKE_BINARY', 'there')
  return tmp_path


def test_on_a_device(fake, forms):
  (fake / 'benchmark_model').write_bytes(b'program')
  device = adb.connect(binary=str(fake / 'benchmark_model'), flags=['--use_gpu=true'])
  assert device.name == 'Google Pixel 4 (Android 13)' and device.serial == 'A1B2'
  with open(forms.tflite('float'), 'rb') as file:
    content = file.read()
  found = adb.measure(device, content, tflite_graph.TFLiteGraph(content), threads=4, runs=25)
  assert found['latency_ms']['median'] == 141.253
  assert set(found['parts_ms']) == set(PARTS) and sum(found['parts_ms'].values()) == pytest.approx(141.253)
  assert found['runtime'] == 'benchmark_model --use_gpu=true'
  log = (fake / 'log.txt').read_text().splitlines()
  (run,) = [line for line in log if '--graph=' in line and 'whole.tflite' in line]
  assert run.startswith('-s A1B2 shell /data/local/tmp/nasfpn_tf/benchmark_model --graph=')
  assert '--num_threads=4 --num_runs=25 --warmup_runs=3 --use_gpu=true' in run
  for part in ('whole', *PARTS[:-1]):
    assert f'-s A1B2 shell rm -f /data/local/tmp/nasfpn_tf/{part}.tflite' in log
  (fake / 'output.txt').write_text(_FAILED)
  with pytest.raises(ValueError, match=r'Pixel 4.*unresolved custom op'):
    adb.measure(device, content, tflite_graph.TFLiteGraph(content), threads=4, runs=25)


@pytest.mark.parametrize(
  ('devices', 'serial', 'message'),
  [
    ('', None, 'sees no device: connect one'),
    ('A1B2\\tdevice\\nC3D4\\tdevice\\n', None, '2 devices, A1B2, C3D4: choose one with --adb_serial'),
    ('A1B2\\tunauthorized\\n', None, 'A1B2 is unauthorized: confirm'),
    ('A1B2\\toffline\\n', None, 'A1B2 is offline'),
    ('A1B2\\tdevice\\n', 'C3D4', 'C3D4 is not there'),
  ],
  ids=['none', 'two', 'unauthorized', 'offline', 'another'],
)
def test_devices_that_cannot_be_used(devices, serial, message, fake, monkeypatch):
  monkeypatch.setenv('FAKE_DEVICES', devices)
  with pytest.raises(ValueError, match=message):
    adb.connect(serial)


def test_without_adb_or_benchmark_model(fake, monkeypatch):
  with pytest.raises(ValueError, match=r'absent: no such file; docs/frontier\.md'):
    adb.connect(binary=str(fake / 'absent'))
  monkeypatch.setenv('FAKE_BINARY', 'absent')
  with pytest.raises(ValueError, match='no /data/local/tmp/benchmark_model on the device'):
    adb.connect()
  monkeypatch.setenv('PATH', str(fake))
  with pytest.raises(ValueError, match='adb is not installed'):
    adb.connect()
