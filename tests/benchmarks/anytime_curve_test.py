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

"""The runs that compare exits with detectors of their own: which there are, what they change, going on."""

import json
import subprocess
import sys

import pytest
import yaml

from benchmarks import anytime_curve
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import schedule
from tests import testing
from tests.training import rectangles

BCCD = 'bccd_mobilenetv2_nasfpnlite_3x64_384x512'
# The commands that are started know only the project's own backbones.
NARROW = {
  'experiment': 'nasfpn_retinanet',
  'task': {
    'model': {
      'input_size': [128, 128, 3],
      'backbone': {'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.25}},
      'decoder': {'feature_pyramid': {'num_repeats': 2, 'num_filters': 16}},
      'head': {'num_convs': 1},
    },
    'train_data': {'global_batch_size': 2, 'shuffle_buffer_size': 8},
    'validation_data': {'global_batch_size': 4},
  },
}


def test_the_plan():
  runs = anytime_curve.plan(2, [5, 6], [(1.0, 4.0)])
  assert [run.name for run in runs] == [
    f'{name}_seed{seed}' for seed in (5, 6) for name in ('anytime_equal', 'anytime_1-4', 'separate_1', 'separate_2')
  ]
  fewer = anytime_curve.plan(7, [0], [], separate=[7, 1])
  assert [run.name for run in fewer] == ['anytime_equal_seed0', 'separate_1_seed0', 'separate_7_seed0']
  with pytest.raises(ValueError, match=r'--separate=4: the exits are 1 to 3'):
    anytime_curve.plan(3, [0], [], separate=[4])
  assert runs[1].override()['task']['model']['anytime'] == {'enabled': True, 'loss_weights': [1.0, 4.0]}
  with pytest.raises(ValueError, match='1 pyramid: exits need two'):
    anytime_curve.plan(1, [0], [])
  for wrong in ((1.0,), (1.0, -1.0), (0.0, 0.0)):
    with pytest.raises(ValueError, match='2 are needed'):
      anytime_curve.plan(2, [0], [wrong])


def test_every_run_is_a_configuration():
  trainer = params_lib.load_params(config_files=BCCD).trainer
  for run in anytime_curve.plan(3, [4], [(1.0, 0.0, 2.5)]):
    params = params_lib.load_params(
      config_files=BCCD, params_override={**run.override(), **schedule.shortened(trainer, 240)}
    )
    model = params.task.model
    assert model.anytime.enabled == (run.loss_weights is not None)
    assert model.anytime.loss_weights == list(run.loss_weights or ())
    assert model.decoder.get().num_repeats == run.num_pyramids and params.task.train_data.seed == 4
    assert params.trainer.train_steps == params.trainer.validation_interval == 240
    assert params.trainer.optimizer_config.learning_rate.get().decay_steps == 240
    assert params.trainer.optimizer_config.warmup.get().warmup_steps == 7


def test_other_steps_move_the_boundaries_of_a_stepwise_schedule():
  trainer = params_lib.load_params(config_files='r50_nasfpn_7x256_640').trainer
  before = trainer.optimizer_config.learning_rate.get().boundaries
  scaled = schedule.shortened(trainer, trainer.train_steps // 10)['trainer']['optimizer_config']['learning_rate']
  assert list(scaled.values()) == [{'boundaries': [pytest.approx(step / 10, abs=1) for step in before]}]


def test_runs_that_have_finished_are_skipped(tmp_path, monkeypatch):
  commands = []

  def pretend(command, log, stream):
    commands.append(command)
    log.parent.mkdir(exist_ok=True)
    log.write_text('first\nlast words\n')
    model_dir = next(word.removeprefix('--model_dir=') for word in command if word.startswith('--model_dir='))
    if '--mode=eval' in command or 'anytime' in model_dir:
      with open(f'{model_dir}/eval.json', 'w') as file:
        json.dump({'AP': 0.25, 'step': 7}, file)
    return int('separate_2' in model_dir)

  monkeypatch.setattr(anytime_curve.process, 'run', pretend)
  settings = {'config_file': BCCD, 'params_override': 'task.evaluation.per_category_metrics=false'}
  curve = anytime_curve.Curve(str(tmp_path), settings, {'trainer': {'train_steps': 7}})
  first, second, third = anytime_curve.plan(2, [0], [])
  assert curve.result(first) is None
  assert curve.execute(first) == curve.result(first) == {'AP': 0.25, 'step': 7}
  assert curve.result(second) is None and curve.execute(second)['AP'] == 0.25
  train, *stopped = commands
  assert {'--mode=train_and_eval', f'--model_dir={tmp_path}/anytime_equal_seed0'} < set(train)
  assert '--params_override=task.evaluation.per_category_metrics=false' in train
  assert [f'--mode={mode}' in command for mode, command in zip(('train_and_eval', 'eval'), stopped, strict=True)]
  written = yaml.safe_load((tmp_path / 'anytime_equal_seed0.yaml').read_text())
  assert written['trainer'] == {'train_steps': 7} and written['task']['train_data']['seed'] == 0
  (tmp_path / 'separate_1_seed0' / 'eval.json').write_text('{"AP": 0.2, "step": 6}')  # Not of the last step.
  assert curve.result(second) is None
  with pytest.raises(
    RuntimeError, match=r'separate_2_seed0 failed; the end of .*_train_and_eval.log:\nfirst\nlast words'
  ):
    curve.execute(third)
  assert curve.result(third) is None
  other = anytime_curve.Curve(str(tmp_path), settings, {'trainer': {'train_steps': 8}})
  for begun in (first, third):  # Finished, and not.
    with pytest.raises(ValueError, match=f'{begun.name} holds a run of other settings'):
      other.result(begun)


@pytest.mark.slow
def test_the_command(tmp_path):
  prefix = rectangles.write(tmp_path, num_images=12, num_shards=1)
  (tmp_path / 'tiny.yaml').write_text(yaml.safe_dump(NARROW))
  command = [
    *(sys.executable, '-m', 'benchmarks.anytime_curve', f'--config_file={tmp_path}/tiny.yaml', '--seeds=0'),
    *(f'--{name}={prefix}' for name in ('train', 'validation')),
    *('--steps=2', '--loss_weights=1,4', '--latency_runs=2', f'--output_dir={tmp_path}/curve'),
  ]
  for _ in range(2):
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=testing.repo_root())
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
  assert not any(line.endswith('...') for line in lines)  # The second time nothing is trained.
  rows = json.loads((tmp_path / 'curve' / 'records.json').read_text())['records']
  assert len(rows) == 6 and all(row['latency_ms'] > 0 and row['refined_latency_ms'] > 0 for row in rows)
  assert rows[0]['multiply_adds_g'] < rows[1]['multiply_adds_g']
  missing = subprocess.run(
    [*command, '--validation=absent'], capture_output=True, text=True, check=False, cwd=testing.repo_root()
  )
  assert missing.returncode == 1 and "anytime_curve: No TFRecord file matches 'absent'" in missing.stderr
