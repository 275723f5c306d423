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

"""Commands that work for long say at once that their result could not be written; nothing of others is replaced."""

import json

import pytest

from tests import commands

_COMMANDS = {
  'evaluate.py': ['--model={m}', '--input_path={m}', '--output_dir={out}'],
  'benchmark.py': ['--model={m}', '--records={out}.jsonl'],
  'export_saved_model.py': ['--model={m}', '--export_dir={out}'],
  'export_tflite.py': ['--model={m}', '--tflite_path={out}.tflite'],
  'check_dataset.py': ['--input_path={m}', '--output={out}.html'],
  'plan.py': ['--input_path={m}', '--output={out}.yaml'],
  'import_weights.py': ['--from=tpu', '--checkpoint={m}', '--output_dir={out}'],
}


@pytest.mark.parametrize('script', list(_COMMANDS))
def test_the_place_of_the_result_comes_first(script, tmp_path):
  """The model and the records are not there either, which is found later."""
  (tmp_path / 'file').write_text('x')
  arguments = [part.format(m=tmp_path / 'absent', out=tmp_path / 'file' / 'out') for part in _COMMANDS[script]]
  done = commands.run(script, *arguments, cwd=tmp_path)
  name = script.removesuffix('.py')
  assert done.returncode == 1 and done.stderr.strip().splitlines() == [
    f'{name}: {tmp_path}/file: Not a directory. Something else has this name: name another one, or move it away.'
  ]


def test_a_json_file_of_others_is_not_replaced(tmp_path):
  (tmp_path / 'cells.json').write_text(json.dumps({'images': []}))
  done = commands.run('export_tflite.py', f'--model={tmp_path}', f'--tflite_path={tmp_path}/cells.tflite')
  assert done.returncode == 1
  assert done.stderr.startswith(f'export_tflite: {tmp_path}/cells.json exists and is not of an export'), done.stderr
  assert json.loads((tmp_path / 'cells.json').read_text()) == {'images': []}
