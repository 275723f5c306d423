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

"""A run that is stopped and started again ends where an uninterrupted one does."""

import io
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.training import artifacts, checkpoints, preemption, recipe, strategy, trainer
from tests.training import rectangles

STEPS = 6


class KillsAt(io.StringIO):
  """Where progress is shown; sends SIGTERM to the process when a step is reported."""

  def __init__(self, step):
    super().__init__()
    self._step = step

  def write(self, text):
    if text.startswith(f'train {self._step}/'):
      os.kill(os.getpid(), signal.SIGTERM)
    return super().write(text)


def variables(path):
  values = {name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)}
  return {name: value for name, value in values.items() if isinstance(value, np.ndarray | np.generic)}


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """(records, experiment, model_dir of the run in one go)."""
  prefix = rectangles.write(tmp_path_factory.mktemp('records'), num_images=7, num_shards=2)
  experiment = rectangles.experiment(
    prefix,
    task={
      'backbone_lr_multiplier': 0.5,
      'losses': {'l2_weight_decay': 1e-4},
      'train_data': {
        'seed': 3,
        'parser': {'aug_rand_hflip': True, 'aug_scale_min': 0.8, 'aug_scale_max': 1.2, 'aug_color': 0.3},
      },
    },
    trainer={
      'train_steps': STEPS,
      'validation_interval': 2,
      # Adam would turn the rounding of a gradient near zero into a whole step of the one or the other sign.
      'optimizer_config': {
        'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
        'learning_rate': {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.02, 'decay_steps': STEPS}},
        'ema': {'average_decay': 0.9},
      },
    },
  )
  straight = tmp_path_factory.mktemp('straight')
  # Evaluating in between must change nothing either.
  trainer.run(experiment, 'train_and_eval', str(straight), stream=io.StringIO())
  return prefix, experiment, straight


def test_stopped_by_a_signal_and_continued(runs, tmp_path):
  _, experiment, straight = runs
  stopped = tmp_path / 'stopped'
  with pytest.raises(SystemExit) as exit_error:
    trainer.run(experiment, 'train', str(stopped), stream=KillsAt(2))
  assert exit_error.value.code == preemption.EXIT_CODE == 42
  assert checkpoints.step_of(checkpoints.newest_intact(str(stopped))) == 2
  assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
  # A later checkpoint that was being written when the machine went down is no obstacle, nor is the history to it.
  for suffix in ('.index', '.data-00000-of-00001'):
    whole = (stopped / f'ckpt-2{suffix}').read_bytes()
    (stopped / f'ckpt-4{suffix}').write_bytes(whole if suffix == '.index' else whole[: len(whole) // 2])
  with open(stopped / 'train_history.jsonl', 'a') as history:
    history.write('{"step": 4, "total_loss": 9.0}\n{"step": 6, "tot')

  trainer.run(experiment, 'train', str(stopped), stream=io.StringIO())

  expected, actual = (variables(str(directory / f'ckpt-{STEPS}')) for directory in (straight, stopped))
  assert expected.keys() == actual.keys()
  assert any('/average/' in name for name in expected) and any(
    '/.OPTIMIZER_SLOT/optimizer/' in name for name in expected
  )
  for name in expected.keys() - {'save_counter/.ATTRIBUTES/VARIABLE_VALUE'}:
    np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=2e-6, err_msg=name)
  losses = [
    [(line['step'], line['total_loss']) for line in artifacts.read_history(str(directory / 'train_history.jsonl'))]
    for directory in (straight, stopped)
  ]
  assert [step for step, _ in losses[1]] == [2, 4, 6]
  np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_dropblock_goes_on_along_its_ramp(runs, tmp_path):
  prefix = runs[0]
  pyramid = {'dropblock_keep_prob': 0.8, 'dropblock_ramp_steps': 8}
  experiment = rectangles.experiment(
    prefix, task={'model': {'decoder': {'feature_pyramid': pyramid}}}, trainer={'train_steps': 2}
  )
  trainer.run(experiment, 'train', str(tmp_path), stream=io.StringIO())
  experiment.trainer.train_steps = 4
  completed = recipe.complete(experiment, 'train')
  runner = trainer.Runner(
    strategy.build_strategy(experiment.runtime), 'train', completed, str(tmp_path), None, io.StringIO()
  )
  cells = runner.trainer.model.decoder.stages[0].cells
  assert [float(cell.dropblock.current_keep_prob()) for cell in cells] == pytest.approx([0.95] * len(cells))
  runner.trainer.global_step.assign(100)
  assert float(cells[0].dropblock.current_keep_prob()) == pytest.approx(0.8)


def test_the_best_checkpoint_holds_the_averages(runs):
  """Model Garden evaluates the averages; `best` keeps what was evaluated, and evaluating it again gives the same."""
  _, experiment, straight = runs
  best = checkpoints.available(str(straight / 'best'))[0]
  step = checkpoints.step_of(best)
  raw, evaluated = variables(str(straight / f'ckpt-{step}')), variables(best)
  averages = [name for name in raw if name.endswith('/average/.ATTRIBUTES/VARIABLE_VALUE')]
  assert averages
  for name in averages:
    weight = name.split('/.OPTIMIZER_SLOT/')[0] + '/.ATTRIBUTES/VARIABLE_VALUE'
    np.testing.assert_array_equal(raw[name], evaluated[weight])
    np.testing.assert_array_equal(raw[weight], evaluated[name])
  losses = []
  for path in (best, str(straight / f'ckpt-{step}')):
    metrics = trainer.run(experiment, 'eval', str(straight), checkpoint_path=path, stream=io.StringIO())
    losses.append(metrics['validation_loss'])
  assert losses[0] == pytest.approx(losses[1], rel=1e-5)
