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

"""Histories that were cut off, and results as files."""

import json

import pytest

from nasfpn_tf.training import artifacts, recipe
from nasfpn_tf.training import params as params_lib


def test_history_forgets_what_a_lost_run_wrote(tmp_path):
  history = artifacts.History(str(tmp_path))
  for step in (10, 20, 30):
    history.add_train({'step': step, 'total_loss': 1.0 / step, 'learning_rate': 0.1})
  history.add_evaluation({'AP': 0.5, 'AP/cat': 0.4, 'validation_loss': 2.0}, 30, '/m/ckpt-30')
  with open(tmp_path / 'train_history.jsonl', 'a') as file:
    file.write('{"step": 40, "tot')
  artifacts.History(str(tmp_path), start_step=20)
  assert [line['step'] for line in artifacts.read_history(str(tmp_path / 'train_history.jsonl'))] == [10, 20]
  assert artifacts.read_history(str(tmp_path / 'eval_history.jsonl')) == []
  assert '{"step": 40' not in (tmp_path / 'train_history.jsonl').read_text()


def test_damaged_lines_of_a_history_are_left_out(tmp_path):
  history = artifacts.History(str(tmp_path))
  history.add_train({'step': 10, 'total_loss': 1.0})
  path = tmp_path / 'train_history.jsonl'
  path.write_bytes(path.read_bytes() + b'\xff\xc0\n[7]\n7\n{"total_loss": 1.0}\n' + b'[' * 100_000 + b'\n')
  history.add_train({'step': 20, 'total_loss': 0.5})
  assert [line['step'] for line in artifacts.read_history(str(path))] == [10, 20]
  artifacts.History(str(tmp_path), start_step=10)
  assert [json.loads(line)['step'] for line in path.read_text().splitlines()] == [10]


def test_history_of_an_evaluation_keeps_all(tmp_path):
  artifacts.History(str(tmp_path)).add_train({'step': 10, 'total_loss': 1.0})
  artifacts.History(str(tmp_path), start_step=None).add_evaluation({'AP': 0.1}, 10, 'x')
  assert len(artifacts.read_history(str(tmp_path / 'train_history.jsonl'))) == 1


def test_evaluation_result(tmp_path):
  history = artifacts.History(str(tmp_path))
  history.add_evaluation({'AP': 0.5, 'APl': -1.0, 'AP/cat': 0.4, 'AP/a/b': 0.6}, 30, '/m/ckpt-30')
  result = json.loads((tmp_path / 'eval.json').read_text())
  assert result == {
    'step': 30,
    'checkpoint': '/m/ckpt-30',
    'AP': 0.5,
    'APl': -1.0,
    'per_category': {'cat': 0.4, 'a/b': 0.6},
  }
  assert not list(tmp_path.glob('*.partial'))
  (line,) = artifacts.read_history(str(tmp_path / 'eval_history.jsonl'))
  assert line.keys() - result.keys() == {'seconds'}


def test_files_of_others_are_not_replaced(tmp_path):
  params = params_lib.load_params('nasfpn_retinanet', params_override={'task.model.num_classes': 3})
  labels = ({'label': 1, 'id': 1, 'name': 'cat'}, {'label': 2, 'id': 2, 'name': 'dog'})
  described = recipe.Recipe(params, params, labels, None, None, None, ())
  (tmp_path / 'labels.json').write_text('mine')
  with pytest.raises(ValueError, match=r'labels\.json exists, but without params\.yaml .* give another model_dir'):
    artifacts.write_description(str(tmp_path), described, overwrite=True)
  assert [path.name for path in tmp_path.iterdir()] == ['labels.json']
  assert (tmp_path / 'labels.json').read_text() == 'mine'
  (tmp_path / 'labels.json').unlink()
  for _ in range(2):
    (tmp_path / 'params.yaml').unlink(missing_ok=True)  # A run that has lost it alone gets it again.
    artifacts.write_description(str(tmp_path), described, overwrite=True)
  assert json.loads((tmp_path / 'labels.json').read_text()) == list(labels)


def test_no_history_yet(tmp_path):
  assert artifacts.read_history(str(tmp_path / 'train_history.jsonl')) == []
