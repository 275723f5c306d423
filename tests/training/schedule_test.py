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


import pytest

from nasfpn_tf.config import TrainerConfig
from nasfpn_tf.training import schedule


def trainer(learning_rate, train_steps=1000, warmup=None):
  config = TrainerConfig(train_steps=train_steps)
  kind = learning_rate.pop('type')
  options = {'warmup_steps': warmup, 'warmup_learning_rate': 0.0}
  config.optimizer_config.override(
    {
      'optimizer': {'type': 'sgd'},
      'learning_rate': {'type': kind, kind: learning_rate},
      'warmup': {'type': 'linear', 'linear': options} if warmup else {'type': None},
    }
  )
  return config


@pytest.mark.parametrize('decay_steps', [1000, 2000])
def test_a_schedule_that_lasts_is_no_surprise(decay_steps):
  rate = {'type': 'cosine', 'initial_learning_rate': 0.1, 'decay_steps': decay_steps}
  assert not schedule.surprises(trainer(rate, warmup=100))


def test_a_cosine_that_has_ended_is_said():
  (note,) = schedule.surprises(trainer({'type': 'cosine', 'initial_learning_rate': 0.1, 'decay_steps': 600}))
  assert 'the learning rate is 0 from step 600 of 1000 on' in note and 'learning_rate.cosine' in note


def test_a_step_to_zero_is_said():
  rate = {'type': 'stepwise', 'boundaries': [500], 'values': [0.1, 0.0]}
  (note,) = schedule.surprises(trainer(rate))
  assert 'is 0 from step 501 of 1000 on' in note


def test_a_rate_of_zero_is_said():
  (note,) = schedule.surprises(trainer({'type': 'constant', 'learning_rate': 0.0}))
  assert 'is 0 from step 0 of 1000 on' in note


@pytest.mark.parametrize('warmup', [1000, 5000])
def test_a_warm_up_longer_than_the_run_is_said(warmup):
  rate = {'type': 'cosine', 'initial_learning_rate': 0.1, 'decay_steps': 1000}
  notes = schedule.surprises(trainer(rate, warmup=warmup))
  assert any(f'the warm-up takes {warmup} steps and the run has 1000' in note for note in notes)
