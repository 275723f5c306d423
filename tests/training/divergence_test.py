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

"""A run that blows up: what is left in its model_dir is good, and the message says so."""

import io
import json

import pytest

from nasfpn_tf.training import checkpoints, nonfinite, trainer
from tests.training import rectangles


def experiment(prefix, rate, steps):
  return rectangles.experiment(
    prefix,
    task={'train_data': {'seed': 3}},
    trainer={
      'train_steps': steps,
      'steps_per_loop': 1,
      'checkpoint_interval': 1,
      'optimizer_config': {
        'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.0, 'global_clipnorm': None}},
        'learning_rate': {'type': 'constant', 'constant': {'learning_rate': rate}},
      },
    },
  )


def test_the_checkpoint_that_led_to_a_bad_loss_is_not_the_last_good_one(tmp_path):
  prefix, model_dir = rectangles.write(tmp_path / 'records'), str(tmp_path / 'run')
  trainer.run(experiment(prefix, 1e-4, 2), 'train', model_dir, stream=io.StringIO())
  with pytest.raises(nonfinite.NonFiniteLossError) as error:
    trainer.run(experiment(prefix, 1e9, 6), 'train', model_dir, stream=io.StringIO())
  # Step 3 is the first with the high rate: its loss is good, the weights that it leaves are not.
  assert 'at step 4, on the batch of images' in str(error.value)
  assert f'continues from {model_dir}/ckpt-2.' in str(error.value)
  assert checkpoints.broken(f'{model_dir}/diverged-3') is None, 'its weights are finite'
  assert checkpoints.newest_intact(model_dir) == f'{model_dir}/ckpt-2'
  # As the message says, with a lower rate.
  metrics = trainer.run(experiment(prefix, 1e-4, 4), 'train_and_eval', model_dir, stream=io.StringIO())
  assert metrics['validation_loss'] < 1e4
  history = [json.loads(line) for line in (tmp_path / 'run' / 'train_history.jsonl').read_text().splitlines()]
  assert [line['step'] for line in history] == [1, 2, 3, 4]


@pytest.mark.slow
def test_an_evaluation_that_the_run_before_did_not_finish_is_made_up_for(tmp_path):
  prefix, model_dir = rectangles.write(tmp_path / 'records'), tmp_path / 'run'
  params = experiment(prefix, 1e-4, 2)
  params.trainer.validation_interval = 2
  trainer.run(params, 'train_and_eval', str(model_dir), stream=io.StringIO())
  path = model_dir / 'eval_history.jsonl'
  first = json.loads(path.read_text())
  path.write_text('{"step": 2, "AP"')  # Killed while it was written.
  params.trainer.train_steps = 3
  trainer.run(params, 'train_and_eval', str(model_dir), stream=io.StringIO())
  lines = [json.loads(line) for line in path.read_text().splitlines()]
  assert [line['step'] for line in lines] == [2, 3]
  for key in first.keys() - {'seconds', 'best_AP'}:
    assert lines[0][key] == first[key], f'two evaluations of one checkpoint differ in {key}'
