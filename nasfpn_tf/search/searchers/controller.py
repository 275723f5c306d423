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

"""Defines the controller: a recurrent network that samples architectures decision by decision.

One LSTM layer of 100 units and one softmax a decision, as in NASNet (arXiv 1707.07012, appendix A), which NAS-FPN takes
its controller from (arXiv 1904.07392, sec. 3). Illegal choices are masked, so every sequence it can write is legal and
the probabilities of the legal ones sum to 1.

It is numpy, with the backward pass written out and checked by finite differences, and not TensorFlow: the network has
some 60,000 weights, and a coordinator that needs no accelerator starts at once, draws an architecture in a millisecond,
and resumes bit for bit. Everything here is a function of its arguments; the weights are a dictionary of arrays.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import threadpoolctl

from nasfpn_tf.search.space import SearchSpace

Weights = Mapping[str, np.ndarray]

NUM_UNITS = 100
EMBEDDING_SIZE = 32  # Not published.
INIT_RANGE = 0.1

_GATES = 4  # Input, forget, candidate, output.

# The matrices are small: a second thread does not help, and on a machine that is busy with children it makes the
# products hundreds of times slower. Also the rounding then does not depend on the number of cores.
_in_one_thread = threadpoolctl.ThreadpoolController().wrap(limits=1, user_api='blas')


@dataclasses.dataclass(frozen=True)
class Forward:
  """Outputs of the controller for a batch of sequences, and what its backward pass needs.

  Attributes:
    log_probs: `[batch, steps]`, log probability of each token given those before it.
    entropies: `[batch, steps]`, entropy of each decision's distribution, in nats.
    tokens: `[batch, steps]`.
    inputs: `[steps, batch, embedding + units]`, input and former state of the LSTM.
    gates: `[steps, batch, 4, units]`, activated.
    cells: `[steps + 1, batch, units]`, the LSTM's memory before and after each step.
    outputs: `[steps, batch, units]`.
    probs: for each step `[batch, choices]`, 0 where illegal.
    logs: for each step `[batch, choices]`, log of `probs`, 0 where illegal.
  """

  log_probs: np.ndarray
  entropies: np.ndarray
  tokens: np.ndarray
  inputs: np.ndarray
  gates: np.ndarray
  cells: np.ndarray
  outputs: np.ndarray
  probs: list[np.ndarray]
  logs: list[np.ndarray]


def init_weights(space: SearchSpace, rng: np.random.Generator, dtype: type = np.float32) -> dict[str, np.ndarray]:
  """Initializes the weights, uniform in +-0.1.

  Args:
    space: what is to be decided.
    rng: where they are drawn from.
    dtype: of the weights and of all that is computed with them.

  Returns:
    'lstm/kernel' `[embedding + units, 4 * units]`, 'lstm/bias' `[4 * units]`, 'start' `[embedding]`; for each kind of
    decision 'embedding/KIND' `[choices, embedding]`; for each step 'softmax/STEP/kernel' `[units, choices]` and
    'softmax/STEP/bias' `[choices]`.
  """
  shapes = {
    'lstm/kernel': (EMBEDDING_SIZE + NUM_UNITS, _GATES * NUM_UNITS),
    'lstm/bias': (_GATES * NUM_UNITS,),
    'start': (EMBEDDING_SIZE,),
  }
  for step in range(space.num_steps):
    choices = space.num_choices(step)
    embedding = f'embedding/{space.kind(step)}'
    shapes[embedding] = (max(choices, shapes.get(embedding, (0,))[0]), EMBEDDING_SIZE)
    shapes[f'softmax/{step}/kernel'] = (NUM_UNITS, choices)
    shapes[f'softmax/{step}/bias'] = (choices,)
  return {name: rng.uniform(-INIT_RANGE, INIT_RANGE, shape).astype(dtype) for name, shape in shapes.items()}


@_in_one_thread
def sample(weights: Weights, space: SearchSpace, rng: np.random.Generator) -> tuple[list[int], list[float]]:
  """Draws one architecture: its tokens, and the log probability of each given those before it.

  One at a time, so that what is drawn depends on `rng` and the weights alone, to the last bit: matrix products of
  another batch size may round otherwise.
  """
  dtype = weights['lstm/bias'].dtype
  embedded, output, cell = weights['start'], np.zeros(NUM_UNITS, dtype), np.zeros(NUM_UNITS, dtype)
  tokens, log_probs = [], []
  for step in range(space.num_steps):
    gates = _activate(np.concatenate([embedded, output]) @ weights['lstm/kernel'] + weights['lstm/bias'])
    cell = gates[1] * cell + gates[0] * gates[2]
    output = gates[3] * np.tanh(cell)
    logits = output @ weights[f'softmax/{step}/kernel'] + weights[f'softmax/{step}/bias']
    probs, logs = _masked_softmax(logits, space.legal(tokens))
    token = _draw(probs, rng.random())
    tokens.append(token)
    log_probs.append(float(logs[token]))
    embedded = weights[f'embedding/{space.kind(step)}'][token]
  return tokens, log_probs


def legal_masks(space: SearchSpace, tokens: Sequence[Sequence[int]]) -> list[np.ndarray]:
  """Returns, for each step, which choices `[batch, choices]` are legal after the tokens before it.

  Raises:
    ValueError: a sequence is not legal.
  """
  masks = []
  for step in range(space.num_steps):
    masks.append(np.stack([space.legal(sequence[:step]) for sequence in tokens]))
    for sequence, mask in zip(tokens, masks[-1], strict=True):
      if not 0 <= sequence[step] < len(mask) or not mask[sequence[step]]:
        raise ValueError(f'{space.name}: token {sequence[step]} at step {step} of {list(sequence)} is not legal.')
  return masks


@_in_one_thread
def forward(weights: Weights, space: SearchSpace, tokens: np.ndarray, masks: Sequence[np.ndarray]) -> Forward:
  """Computes log probabilities and entropies of given sequences.

  Args:
    weights: of `init_weights`.
    space: what is decided.
    tokens: `[batch, steps]`.
    masks: of `legal_masks`.
  """
  tokens = np.asarray(tokens)
  batch, steps = tokens.shape
  dtype = weights['lstm/bias'].dtype
  inputs = np.empty((steps, batch, EMBEDDING_SIZE + NUM_UNITS), dtype)
  gates = np.empty((steps, batch, _GATES, NUM_UNITS), dtype)
  cells = np.zeros((steps + 1, batch, NUM_UNITS), dtype)
  outputs = np.empty((steps, batch, NUM_UNITS), dtype)
  log_probs, entropies = np.empty((batch, steps), dtype), np.empty((batch, steps), dtype)
  probs, logs = [], []
  rows = np.arange(batch)
  for step in range(steps):
    if step:
      inputs[step, :, :EMBEDDING_SIZE] = weights[f'embedding/{space.kind(step - 1)}'][tokens[:, step - 1]]
      inputs[step, :, EMBEDDING_SIZE:] = outputs[step - 1]
    else:
      inputs[step, :, :EMBEDDING_SIZE] = weights['start']
      inputs[step, :, EMBEDDING_SIZE:] = 0.0
    gates[step] = _activate(inputs[step] @ weights['lstm/kernel'] + weights['lstm/bias'])
    cells[step + 1] = gates[step, :, 1] * cells[step] + gates[step, :, 0] * gates[step, :, 2]
    outputs[step] = gates[step, :, 3] * np.tanh(cells[step + 1])
    logits = outputs[step] @ weights[f'softmax/{step}/kernel'] + weights[f'softmax/{step}/bias']
    p, log_p = _masked_softmax(logits, masks[step])
    log_probs[:, step] = log_p[rows, tokens[:, step]]
    entropies[:, step] = -np.sum(p * log_p, axis=-1)
    probs.append(p)
    logs.append(log_p)
  return Forward(log_probs, entropies, tokens, inputs, gates, cells, outputs, probs, logs)


@_in_one_thread
def backward(
  weights: Weights, space: SearchSpace, done: Forward, by_log_prob: np.ndarray, by_entropy: np.ndarray
) -> dict[str, np.ndarray]:
  """Backpropagates derivatives by `log_probs` and `entropies` to the weights.

  Args:
    weights: those of `forward`.
    space: that of `forward`.
    done: what `forward` returned.
    by_log_prob: `[batch, steps]`.
    by_entropy: `[batch, steps]`.

  Returns:
    An array for each of the weights.
  """
  batch, steps = done.tokens.shape
  grads = {name: np.zeros_like(value) for name, value in weights.items()}
  rows = np.arange(batch)
  by_output = np.zeros((batch, NUM_UNITS), weights['lstm/bias'].dtype)
  by_cell = np.zeros_like(by_output)
  for step in reversed(range(steps)):
    p, log_p = done.probs[step], done.logs[step]
    # d log p_token / d logit = onehot - p;  d entropy / d logit = -p * (log p + entropy).
    by_logits = -p * (by_log_prob[:, step, None] + by_entropy[:, step, None] * (log_p + done.entropies[:, step, None]))
    by_logits[rows, done.tokens[:, step]] += by_log_prob[:, step]
    grads[f'softmax/{step}/kernel'] += done.outputs[step].T @ by_logits
    grads[f'softmax/{step}/bias'] += by_logits.sum(axis=0)
    by_output = by_output + by_logits @ weights[f'softmax/{step}/kernel'].T

    into, forget, candidate, out = np.moveaxis(done.gates[step], 1, 0)
    squashed = np.tanh(done.cells[step + 1])
    by_cell = by_cell + by_output * out * (1.0 - squashed**2)
    by_gates = np.stack(
      [
        by_cell * candidate * into * (1.0 - into),
        by_cell * done.cells[step] * forget * (1.0 - forget),
        by_cell * into * (1.0 - candidate**2),
        by_output * squashed * out * (1.0 - out),
      ],
      axis=1,
    ).reshape(batch, -1)
    grads['lstm/kernel'] += done.inputs[step].T @ by_gates
    grads['lstm/bias'] += by_gates.sum(axis=0)
    by_inputs = by_gates @ weights['lstm/kernel'].T
    if step:
      embedding = grads[f'embedding/{space.kind(step - 1)}']
      np.add.at(embedding, done.tokens[:, step - 1], by_inputs[:, :EMBEDDING_SIZE])
    else:
      grads['start'] += by_inputs[:, :EMBEDDING_SIZE].sum(axis=0)
    by_output, by_cell = by_inputs[:, EMBEDDING_SIZE:], by_cell * forget
  return grads


def _activate(gates: np.ndarray) -> np.ndarray:
  """Activates gates, [..., 4 * units] to [..., 4, units]: sigmoid of input, forget, output; tanh of the candidate."""
  gates = gates.reshape(*gates.shape[:-1], _GATES, NUM_UNITS)
  # sigmoid(x) = (1 + tanh(x / 2)) / 2, which overflows nowhere.
  activated = 0.5 * (1.0 + np.tanh(0.5 * gates))
  activated[..., 2, :] = np.tanh(gates[..., 2, :])
  return activated


def _masked_softmax(logits: np.ndarray, legal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Computes (probabilities, their logs) over the last axis; both 0 where illegal."""
  highest = np.max(np.where(legal, logits, -np.inf), axis=-1, keepdims=True)
  shifted = np.where(legal, logits - highest, 0.0)
  exponentials = np.where(legal, np.exp(shifted), 0.0)
  total = exponentials.sum(axis=-1, keepdims=True)
  return exponentials / total, np.where(legal, shifted - np.log(total), 0.0)


def _draw(probs: np.ndarray, uniform: float) -> int:
  """Selects the choice whose share of [0, 1) holds `uniform`; never one of probability 0."""
  possible = np.flatnonzero(probs)
  position = np.searchsorted(np.cumsum(probs[possible]), uniform, side='right')
  return int(possible[min(position, len(possible) - 1)])
