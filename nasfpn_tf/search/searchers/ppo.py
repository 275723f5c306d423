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

"""Trains the controller by proximal policy optimization (arXiv 1707.06347), as pure functions of the learner.

Published: PPO with learning rate 3.5e-4, entropy weight 1e-5, an exponential moving average of former rewards of weight
0.95 as baseline, updates by 20 architectures (NASNet, arXiv 1707.07012, appendix A; NAS-FPN says "PPO", sec. 3). Not
published, and chosen here: Adam, the clip range of 0.2, 4 passes over each batch, and that the ratio of probabilities
is taken and clipped for each decision by itself, not for the sequence. How many samples they cost or save on a reward
whose best is known: benchmarks/search_samples.py.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nasfpn_tf.search.searchers import controller
from nasfpn_tf.search.space import SearchSpace

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


@dataclasses.dataclass(frozen=True)
class Options:
  """Constants of the update.

  Attributes:
    learning_rate: Adam's.
    batch_size: architectures of an update.
    entropy_weight: weight of the sum of the decisions' entropies, in nats.
    baseline_decay: weight of the past in the moving average of rewards.
    clip: how far the ratio of probabilities may usefully go from 1.
    num_epochs: passes over a batch.

  Raises:
    ValueError: at construction, naming what is out of range.
  """

  learning_rate: float = 3.5e-4
  batch_size: int = 20
  entropy_weight: float = 1e-5
  baseline_decay: float = 0.95
  clip: float = 0.2
  num_epochs: int = 4

  def __post_init__(self):
    for name, is_good, needed in (
      ('learning_rate', self.learning_rate > 0, 'positive'),
      ('batch_size', self.batch_size >= 1, '1 or more'),
      ('entropy_weight', self.entropy_weight >= 0, '0 or more'),
      ('baseline_decay', 0 <= self.baseline_decay < 1, 'from 0 up and below 1'),
      ('clip', self.clip > 0, 'positive'),
      ('num_epochs', self.num_epochs >= 1, '1 or more'),
    ):
      if not is_good:
        raise ValueError(f'ppo: {name} is {getattr(self, name)!r}; it must be {needed}.')


@dataclasses.dataclass(frozen=True)
class Learner:
  """The state that training changes.

  Attributes:
    weights: the controller's.
    means: Adam's moving means of the gradients.
    squares: Adam's moving means of their squares.
    num_steps: Adam's steps so far.
    baseline: moving average of the rewards; None before the first.
  """

  weights: controller.Weights
  means: controller.Weights
  squares: controller.Weights
  num_steps: int = 0
  baseline: float | None = None

  @classmethod
  def fresh(cls, weights: controller.Weights) -> 'Learner':
    """Creates an untrained learner."""
    zeros = {name: np.zeros_like(value) for name, value in weights.items()}
    return cls(weights, zeros, zeros)


def advantages(rewards: Sequence[float], baseline: float | None, decay: float) -> tuple[np.ndarray, float]:
  """Computes by how much each reward exceeds the moving average of those before it, and the last average."""
  found = []
  for reward in rewards:
    if baseline is None:
      baseline = reward
    found.append(reward - baseline)
    baseline = decay * baseline + (1.0 - decay) * reward
  return np.array(found), baseline


def objective(
  log_probs: np.ndarray, entropies: np.ndarray, old_log_probs: np.ndarray, advantage: np.ndarray, options: Options
) -> tuple[float, np.ndarray, np.ndarray]:
  """Computes the objective that an update raises: clipped surrogate and entropy bonus, means over architectures.

  Args:
    log_probs: `[batch, steps]`, of the weights as they are.
    entropies: `[batch, steps]`.
    old_log_probs: `[batch, steps]`, of the weights that drew the architectures.
    advantage: `[batch]`.
    options: clip range and entropy weight.

  Returns:
    Its value, and its derivatives by `log_probs` and `entropies`.
  """
  batch = len(log_probs)
  ratio = np.exp(log_probs - old_log_probs)
  gain = advantage[:, None]
  clipped = np.clip(ratio, 1.0 - options.clip, 1.0 + options.clip)
  surrogate = np.minimum(ratio * gain, clipped * gain)
  value = (surrogate.sum() + options.entropy_weight * entropies.sum()) / batch
  # Where the clipped one is the smaller, going further gains nothing.
  by_log_probs = np.where(ratio * gain <= clipped * gain, ratio * gain, 0.0) / batch
  return float(value), by_log_probs, np.full_like(entropies, options.entropy_weight / batch)


def ascend(learner: Learner, gradients: controller.Weights, learning_rate: float) -> Learner:
  """Makes one step of Adam (arXiv 1412.6980) up the gradients."""
  num_steps = learner.num_steps + 1
  weights, means, squares = {}, {}, {}
  for name, weight in learner.weights.items():
    gradient = gradients[name]
    means[name] = _BETA_1 * learner.means[name] + (1.0 - _BETA_1) * gradient
    squares[name] = _BETA_2 * learner.squares[name] + (1.0 - _BETA_2) * gradient**2
    mean = means[name] / (1.0 - _BETA_1**num_steps)
    square = squares[name] / (1.0 - _BETA_2**num_steps)
    weights[name] = weight + learning_rate * mean / (np.sqrt(square) + _EPSILON)
  return dataclasses.replace(learner, weights=weights, means=means, squares=squares, num_steps=num_steps)


def update(
  learner: Learner,
  space: SearchSpace,
  tokens: Sequence[Sequence[int]],
  old_log_probs: Sequence[Sequence[float]],
  rewards: Sequence[float],
  options: Options,
) -> Learner:
  """Learns from a batch of architectures, in the order in which their rewards came.

  Args:
    learner: as it is before.
    space: what the tokens are of.
    tokens: `[batch, steps]`.
    old_log_probs: `[batch, steps]`, as `controller.sample` gave them: with many workers an architecture may have been
      drawn several updates ago.
    rewards: `[batch]`.
    options: the constants.
  """
  advantage, baseline = advantages(rewards, learner.baseline, options.baseline_decay)
  dtype = learner.weights['lstm/bias'].dtype
  tokens, old = np.asarray(tokens), np.asarray(old_log_probs, dtype)
  masks = controller.legal_masks(space, tokens.tolist())
  learner = dataclasses.replace(learner, baseline=baseline)
  for _ in range(options.num_epochs):
    done = controller.forward(learner.weights, space, tokens, masks)
    _, *derivatives = objective(done.log_probs, done.entropies, old, advantage.astype(dtype), options)
    gradients = controller.backward(learner.weights, space, done, *derivatives)
    learner = ascend(learner, gradients, options.learning_rate)
  return learner
