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

from nasfpn_tf.training import artifacts


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


def test_no_history_yet(tmp_path):
  assert artifacts.read_history(str(tmp_path / 'train_history.jsonl')) == []
