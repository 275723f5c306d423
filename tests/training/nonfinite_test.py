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

"""The guard names the first bad step and its images, and lets a good run pass."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import failure
from nasfpn_tf.training import nonfinite


def observe(losses, compiled=True, start=0):
  strategy = tf.distribute.get_strategy()
  guard = nonfinite.NonFiniteGuard(strategy, batch_size=2)
  observe_step = tf.function(guard.observe) if compiled else guard.observe
  for i, loss in enumerate(losses):
    step = start + i + 1
    observe_step(tf.constant(loss), tf.constant([10 * step, 10 * step + 1], tf.int64), tf.constant(step, tf.int64))
  return guard


def test_finite_losses_pass():
  observe([1.0, 0.0, -5.0, nonfinite.LIMIT]).check(1.0)


@pytest.mark.parametrize('huge', [1.1e6, 1e21, 1e38])
@pytest.mark.parametrize('compiled', [True, False])
def test_a_loss_that_explodes_but_stays_finite_is_found(huge, compiled):
  guard = observe([1.0, 0.5, huge, 1.0, np.nan], compiled)
  with pytest.raises(nonfinite.NonFiniteLossError) as error:
    guard.check(1e20)
  assert f'exploded to {huge:.3g} at step 3, on the batch of images 30, 31' in str(error.value)
  assert error.value.step == 3


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('compiled', [True, False])
def test_the_first_bad_step_is_named(bad, compiled):
  guard = observe([1.0, 0.5, bad, np.nan, 1.0], compiled)
  with pytest.raises(nonfinite.NonFiniteLossError) as error:
    guard.check(float('nan'))
  assert 'at step 3, on the batch of images 30, 31 (the step before: 20, 21)' in str(error.value)


def test_a_bad_step_whose_mean_is_finite_is_found():
  # The mean over a loop can hide an infinity of each sign as NaN, but a reset metric shows nothing of an earlier loop.
  with pytest.raises(nonfinite.NonFiniteLossError, match='step 1'):
    observe([np.nan, 1.0]).check(1.0)


def test_another_workers_loss():
  for loss in (float('nan'), float('inf'), 1e21):
    with pytest.raises(nonfinite.NonFiniteLossError, match='another worker'):
      observe([1.0]).check(loss)


def test_long_batches_are_shortened():
  guard = nonfinite.NonFiniteGuard(tf.distribute.get_strategy(), batch_size=100)
  guard.observe(tf.constant(np.nan), tf.range(100, dtype=tf.int64), tf.constant(1, tf.int64))
  with pytest.raises(nonfinite.NonFiniteLossError, match=r'62, 63, and 36 more'):
    guard.check(0.0)


def test_it_is_an_expected_failure_of_one_line():
  error = nonfinite.NonFiniteLossError('a\n  b')
  assert failure.is_expected(error)
  assert failure.message(error) == 'a b'
