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

"""The controller against enumeration of a small space and against finite differences."""

import numpy as np
import pytest

from nasfpn_tf.search.searchers import controller
from nasfpn_tf.search.spaces.pyramids import PyramidSpace

TINY = PyramidSpace(num_cells=3, min_level=3, max_level=4)  # 288 pyramids.


def weights(space=TINY, scale=1.0, dtype=np.float64):
  """Weights that are `scale` times as far from uniform distributions as fresh ones."""
  return {
    name: (scale * value).astype(dtype)
    for name, value in controller.init_weights(space, np.random.default_rng(3), dtype).items()
  }


def run(space, values, tokens):
  return controller.forward(values, space, np.array(tokens), controller.legal_masks(space, tokens))


@pytest.fixture(scope='module')
def everything():
  """All legal sequences and what a far from uniform controller says of them."""
  tokens = [list(sequence) for sequence in TINY.sequences()]
  return tokens, run(TINY, weights(scale=5.0), tokens)


def test_fresh_weights_are_uniform_within_a_tenth():
  values = np.concatenate([value.ravel() for value in weights().values()])
  assert np.abs(values).max() <= 0.1
  assert values.std() == pytest.approx(0.2 / np.sqrt(12.0), rel=0.02)
  assert weights()['lstm/kernel'].shape == (controller.EMBEDDING_SIZE + 100, 400)


def test_probabilities_of_the_legal_sequences_sum_to_one(everything):
  tokens, done = everything
  probabilities = np.exp(done.log_probs.sum(axis=1))
  assert len(tokens) == TINY.size()
  assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)
  assert probabilities.max() > 20 * probabilities.min()  # Else any sampler would pass.


def test_illegal_choices_have_probability_zero(everything):
  tokens, done = everything
  for step, mask in enumerate(controller.legal_masks(TINY, tokens)):
    assert (done.probs[step][~mask] == 0.0).all() and (done.probs[step][mask] > 0.0).all()
    np.testing.assert_allclose(done.probs[step].sum(axis=1), 1.0, atol=1e-12)


def test_illegal_sequences_are_refused():
  tokens = [list(next(TINY.sequences()))]
  tokens[0][2] = 0  # An inner cell at the finest level.
  with pytest.raises(ValueError, match='step 2'):
    controller.legal_masks(TINY, tokens)


def test_entropies_are_those_of_the_distributions(everything):
  _, done = everything
  for step, probs in enumerate(done.probs):
    p = np.where(probs > 0, probs, 1.0)
    np.testing.assert_allclose(done.entropies[:, step], -(probs * np.log(p)).sum(axis=1), atol=1e-12)


def test_samples_follow_the_probabilities(everything):
  """Chi-squared over groups of sequences; 150 draws a group on average."""
  tokens, done = everything
  number = {tuple(sequence): i for i, sequence in enumerate(tokens)}
  probabilities = np.exp(done.log_probs.sum(axis=1))
  order = np.argsort(probabilities)
  group_of = np.empty(len(tokens), int)
  group_of[order] = ((np.cumsum(probabilities[order]) - probabilities[order] / 2) * 10).astype(int)
  expected = 1500 * np.bincount(group_of, probabilities, minlength=10)
  found = np.zeros(10)
  rng, sharp = np.random.default_rng(0), weights(scale=5.0)
  for _ in range(1500):
    sequence, _ = controller.sample(sharp, TINY, rng)
    found[group_of[number[tuple(sequence)]]] += 1
  assert ((found - expected) ** 2 / expected).sum() < 27.9  # 99.9 % of chi-squared with 9 degrees of freedom.


def test_sampling_gives_the_log_probabilities_of_the_forward_pass():
  space, rng = PyramidSpace(), np.random.default_rng(1)
  values = weights(space, scale=5.0)
  drawn = [controller.sample(values, space, rng) for _ in range(4)]
  done = run(space, values, [tokens for tokens, _ in drawn])
  np.testing.assert_allclose(done.log_probs, [log_probs for _, log_probs in drawn], atol=1e-10)
  assert all(space.check(tokens) == tuple(tokens) for tokens, _ in drawn)


def test_a_draw_depends_on_generator_and_weights_alone():
  values = weights(PyramidSpace())
  first = controller.sample(values, PyramidSpace(), np.random.default_rng(5))
  controller.sample(values, PyramidSpace(), np.random.default_rng(6))
  assert controller.sample(values, PyramidSpace(), np.random.default_rng(5)) == first


def test_gradients_equal_finite_differences():
  rng = np.random.default_rng(0)
  tokens = [list(TINY.sample(rng)) for _ in range(3)]
  values = weights(scale=6.0)
  by_log_prob, by_entropy = rng.normal(size=(2, 3, TINY.num_steps))

  def number(at):
    done = run(TINY, at, tokens)
    return (by_log_prob * done.log_probs).sum() + (by_entropy * done.entropies).sum()

  gradients = controller.backward(values, TINY, run(TINY, values, tokens), by_log_prob, by_entropy)
  assert gradients.keys() == values.keys()
  for name, value in values.items():
    # Of a large array the places where the gradient is largest, and some others.
    flat = gradients[name].ravel()
    places = np.union1d(np.argsort(-np.abs(flat))[:4], rng.integers(0, flat.size, 4))
    for place in places:
      step = np.zeros(flat.size)
      step[place] = 1e-5
      step = step.reshape(value.shape)
      difference = (number({**values, name: value + step}) - number({**values, name: value - step})) / 2e-5
      assert flat[place] == pytest.approx(difference, rel=1e-5, abs=1e-8), f'{name}[{place}]'
