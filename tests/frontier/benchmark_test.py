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

"""Measuring a model in each of its forms, and what is said where that cannot be."""

import subprocess
import sys
import types

import pytest

from nasfpn_tf.frontier import adb, benchmark, record
from tests import commands
from tests.modeling.backbones import tiny


def test_a_tflite_file(forms, tmp_path):
  path = forms.tflite('float')
  options = benchmark.Options(
    path, input_path=forms.records, runs=3, name='toy', family='toys', facts={'train_steps': 120}
  )
  found = benchmark.measure(options)
  assert (found.name, found.form, found.quantization, found.input_size) == ('toy', 'tflite', 'none', (128, 128))
  assert found.latency_ms.runs == 3 and found.threads == 1 and found.runtime.startswith('ai-edge-litert ')
  assert set(found.parts_ms) == set(record.PARTS)
  assert found.metrics['AP'] > 0.2 and found.evaluated_on == 'set (12 images)'
  assert found.digest and found.facts == {'train_steps': 120}
  record.append(str(tmp_path / 'records.jsonl'), found)
  assert record.load([str(tmp_path / 'records.jsonl')]) == [found]
  lines = record.describe(found)
  assert f'AP {found.ap:.4f} on' in lines and 'post_processing' in lines


@pytest.fixture
def tiny_in_worker(monkeypatch):
  """The process that runs the model registers the backbone of the tests, too."""

  def run(command, **options):
    python, _, module, *arguments = command
    return subprocess.run([python, '-m', tiny.__name__, module, *arguments], **options)

  monkeypatch.setattr(
    benchmark,
    'subprocess',
    types.SimpleNamespace(run=run, **{name: getattr(subprocess, name) for name in ('DEVNULL', 'PIPE')}),
  )


@pytest.mark.slow
@pytest.mark.usefixtures('tiny_in_worker')
def test_checkpoint_and_saved_model(forms):
  tflite = benchmark.measure(benchmark.Options(forms.tflite('float'), runs=2))
  for path, form in ((forms.model_dir, 'checkpoint'), (forms.saved_model, 'saved_model')):
    found = benchmark.measure(benchmark.Options(path, input_path=forms.records, runs=2))
    assert found.form == form and found.metrics['AP'] > 0.2
    assert found.multiply_adds == tflite.multiply_adds and found.params == tflite.params
    assert found.input_size == (128, 128) and found.digest is None
    assert set(found.parts_ms) == (set(record.PARTS) if form == 'checkpoint' else set())


@pytest.mark.slow
def test_onnx(forms, tmp_path):
  pytest.importorskip('tf2onnx', reason='tf2onnx is not installed')
  pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
  path = str(tmp_path / 'toy.onnx')
  command = [sys.executable, '-m', 'tf2onnx.convert', '--saved-model', f'{forms.saved_model}/1']
  command += ['--signature_def', 'raw', '--opset', '17', '--output', path]
  subprocess.run(command, capture_output=True, check=True)
  found = benchmark.measure(benchmark.Options(path, runs=2))
  tflite = benchmark.measure(benchmark.Options(forms.tflite('float'), runs=2))
  assert found.total_multiply_adds == tflite.total_multiply_adds
  assert found.input_size == (128, 128) and found.runtime.startswith('onnxruntime') and not found.metrics
  with pytest.raises(ValueError, match='no NMS, so it cannot be evaluated'):
    benchmark.measure(benchmark.Options(path, input_path=forms.records, runs=2))


def test_what_cannot_be_measured(forms, tmp_path):
  for path in ('absent.tflite', 'absent', str(tmp_path)):
    with pytest.raises(FileNotFoundError, match=path):
      benchmark.measure(benchmark.Options(path))
  (tmp_path / 'broken.tflite').write_bytes(b'nothing')
  (tmp_path / 'model.onnx').touch()
  with pytest.raises(ValueError, match=r'broken\.tflite: '):
    benchmark.measure(benchmark.Options(str(tmp_path / 'broken.tflite'), runs=1))
  device = adb.Device('A1B2', 'phone', adb.BINARY)
  with pytest.raises(ValueError, match=r'on a device runs a \.tflite only'):
    benchmark.measure(benchmark.Options(forms.model_dir, device=device))
  with pytest.raises(ValueError, match=r'broken\.tflite: not a TFLite file'):
    benchmark.measure(benchmark.Options(str(tmp_path / 'broken.tflite'), device=device))


def test_names_and_facts():
  assert benchmark._set_name('records/val-*, elsewhere/test') == 'val, test'
  assert benchmark._default_name('exported/cells/2', None) == 'cells/2'
  assert benchmark._default_name('cells_int8.tflite', 2) == 'cells_int8 exit 2'
  assert record.parse_facts(['steps=600', 'note=a toy', 'x=']) == {'steps': 600, 'note': 'a toy', 'x': ''}
  for wrong in (['steps'], ['=3'], ['a=1', 'a=2']):
    with pytest.raises(record.RecordError, match='key=value is needed'):
      record.parse_facts(wrong)


def test_the_command_says_what_is_wrong(tmp_path):
  done = commands.run('benchmark.py', '--model=absent', f'--records={tmp_path}/r.jsonl')
  assert done.returncode == 1 and 'benchmark: absent: neither a .tflite' in done.stderr
  assert 'Traceback' not in done.stderr and not (tmp_path / 'r.jsonl').exists()
