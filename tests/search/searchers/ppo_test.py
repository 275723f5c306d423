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

"""The update by PPO: baseline, clipped surrogate, Adam, and the gradient of the whole against finite differences."""

import dataclasses

import numpy as np
import pytest

from nasfpn_tf.search.searchers import controller, ppo
from nasfpn_tf.search.spaces.pyramids import PyramidSpace

TINY = PyramidSpace(num_cells=3, min_level=3, max_level=4)
OPTIONS = ppo.Options()


def fresh(dtype=np.float64, seed=0):
  return ppo.Learner.fresh(controller.init_weights(TINY, np.random.default_rng(seed), dtype))


def batch(learner, size=8, seed=1):
  rng = np.random.default_rng(seed)
  drawn = [controller.sample(learner.weights, TINY, rng) for _ in range(size)]
  return np.array([tokens for tokens, _ in drawn]), np.array([log_probs for _, log_probs in drawn]), rng.random(size)


def test_published_constants():
  assert (OPTIONS.learning_rate, OPTIONS.batch_size, OPTIONS.entropy_weight) == (3.5e-4, 20, 1e-5)
  assert OPTIONS.baseline_decay == 0.95


def test_baseline_is_the_moving_average_of_the_rewards_before():
  found, baseline = ppo.advantages([0.2, 0.4, 0.0], None, 0.95)
  np.testing.assert_allclose(found, [0.0, 0.4 - 0.2, 0.0 - 0.21])
  assert baseline == pytest.approx(0.95 * 0.21)
  whole = ppo.advantages([0.2, 0.4, 0.0, 0.3], None, 0.95)[0]
  assert ppo.advantages([0.3], baseline, 0.95)[0][0] == whole[3]


def test_surrogate_is_clipped_where_going_on_would_pay():
  log_ratio = np.log([[1.5, 0.5, 1.1]])
  for advantage, value, derivatives in (
    (1.0, 1.2 + 0.5 + 1.1, [0.0, 0.5, 1.1]),
    (-1.0, -1.5 - 0.8 - 1.1, [-1.5, 0.0, -1.1]),
  ):
    found = ppo.objective(log_ratio, np.zeros((1, 3)), np.zeros((1, 3)), np.array([advantage]), OPTIONS)
    assert found[0] == pytest.approx(value)
    np.testing.assert_allclose(found[1], [derivatives])


def test_entropy_is_rewarded():
  entropies = np.array([[1.0, 2.0], [3.0, 4.0]])
  zeros = np.zeros((2, 2))
  options = dataclasses.replace(OPTIONS, entropy_weight=0.5)
  value, _, by_entropies = ppo.objective(zeros, entropies, zeros, np.zeros(2), options)
  assert value == pytest.approx(0.5 * 10.0 / 2) and (by_entropies == 0.25).all()


def test_gradient_of_the_objective_equals_finite_differences():
  """Away from the kinks of the clipping, through surrogate, entropy and controller; along random directions."""
  learner, rng = fresh(), np.random.default_rng(2)
  tokens, old, rewards = batch(learner)
  advantage = rewards - 0.5
  masks = controller.legal_masks(TINY, tokens.tolist())
  weights = {name: value + rng.normal(scale=0.2, size=value.shape) for name, value in learner.weights.items()}
  options = dataclasses.replace(OPTIONS, entropy_weight=0.05)

  def value(at):
    done = controller.forward(at, TINY, tokens, masks)
    return ppo.objective(done.log_probs, done.entropies, old, advantage, options)

  done = controller.forward(weights, TINY, tokens, masks)
  ratio = np.exp(done.log_probs - old)
  assert (ratio > 1.2).any() and (ratio < 0.8).any() and ((ratio > 0.9) & (ratio < 1.1)).any()
  assert np.abs(np.abs(ratio - 1.0) - 0.2).min() > 1e-5
  gradients = controller.backward(weights, TINY, done, *value(weights)[1:])
  for _ in range(10):
    direction = {name: rng.normal(size=array.shape) for name, array in weights.items()}
    ahead = value({name: weights[name] + 1e-6 * direction[name] for name in weights})[0]
    behind = value({name: weights[name] - 1e-6 * direction[name] for name in weights})[0]
    slope = sum((gradients[name] * direction[name]).sum() for name in weights)
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-5)


def test_first_step_of_adam_is_the_learning_rate_uphill():
  learner = fresh()
  gradients = {name: np.full_like(value, -3.0) for name, value in learner.weights.items()}
  after = ppo.ascend(learner, gradients, 0.01)
  for name, value in learner.weights.items():
    np.testing.assert_allclose(after.weights[name], value - 0.01, atol=1e-9)
  assert after.num_steps == 1 and (learner.means['start'] == 0.0).all()


def test_updates_make_what_is_rewarded_likelier():
  learner = fresh(np.float32)
  everything = np.array(list(TINY.sequences()))
  masks = controller.legal_masks(TINY, everything.tolist())

  def probability():
    """Of taking the second op in the first cell, summed over all pyramids."""
    log_probs = controller.forward(learner.weights, TINY, everything, masks).log_probs
    return np.exp(log_probs.sum(axis=1))[everything[:, 3] == 1].sum()

  before = probability()
  for i in range(30):
    tokens, old, _ = batch(learner, size=20, seed=i)
    learner = ppo.update(learner, TINY, tokens, old, (tokens[:, 3] == 1).astype(float), OPTIONS)
  assert learner.num_steps == 30 * OPTIONS.num_epochs
  assert {value.dtype for value in learner.weights.values()} == {np.dtype(np.float32)}
  assert probability() > before + 0.2


def test_update_leaves_the_learner_as_it_was():
  learner = fresh()
  before = {name: value.copy() for name, value in learner.weights.items()}
  ppo.update(learner, TINY, *batch(learner), OPTIONS)
  assert learner.baseline is None and all((learner.weights[name] == before[name]).all() for name in before)


@pytest.mark.parametrize(
  'options', [{'learning_rate': 0.0}, {'batch_size': 0}, {'clip': 0.0}, {'baseline_decay': 1.0}, {'num_epochs': 0}]
)
def test_constants_out_of_range_are_named(options):
  with pytest.raises(ValueError, match=f'ppo: {next(iter(options))} is'):
    ppo.Options(**options)
