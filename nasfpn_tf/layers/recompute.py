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

"""Recomputes activations in the backward pass (gradient checkpointing, arXiv 1604.06174): less memory, more time.

Between the passes only the inputs of a recomputed part are kept; what is inside is computed a second time when its
gradient is due. Unlike with `tf.recompute_grad`, batch norm updates its moving statistics in the first pass alone,
random layers draw the same numbers in both passes, layers that take `training` from their caller find it in the second
pass too, and parts are recomputed strictly one after another.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow.python.eager import record


class _Pass(threading.local):
  """The pass that runs in this thread; a MirroredStrategy has one thread a replica."""

  seed: tf.Tensor | None = None
  num_draws = 0
  is_second = False


_PASS = _Pass()


def uniform(shape: Sequence[int | tf.Tensor], seed: int | None = None) -> tf.Tensor:
  """Draws random numbers in [0, 1), float32; in a recomputed part the same ones in both passes.

  Args:
    shape: their shape.
    seed: of the draw; a recomputed part has its own.
  """
  if _PASS.seed is None:
    return tf.random.uniform(shape, seed=seed)
  return tf.random.stateless_uniform(shape, _next_seed())


def _next_seed() -> tf.Tensor:
  _PASS.num_draws += 1
  # Far apart, for the parts of a part count from theirs.
  number = tf.constant([0, _PASS.num_draws])
  return tf.random.stateless_uniform([2], _PASS.seed + number, maxval=tf.int32.max, dtype=tf.int32)


def recompute(function: Callable[..., Any], *inputs: tf.Tensor) -> Any:
  """Computes `function(*inputs)`, again in the backward pass instead of keeping its intermediate results.

  Args:
    function: of tensors to a tensor or a list of them; its layers exist, have `update_once`, and get `training=True`
      from it.
    *inputs: floating-point tensors.
  """
  # A part of a part begins twice, with the same numbers.
  seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32) if _PASS.seed is None else _next_seed()

  @tf.custom_gradient
  def run(*tensors):
    with record.stop_recording(), _running(seed, is_second=False):
      outputs = function(*tensors)

    def gradient(*upstream, variables=()):
      again = _after(upstream, tensors)
      with tf.GradientTape() as tape, _running(seed, is_second=True):
        tape.watch(again)
        found = function(*again)
      arrived = tf.nest.pack_sequence_as(found, upstream)
      of_inputs, of_variables = tape.gradient(found, [again, list(variables)], arrived)
      # Otherwise parts before this one may begin while this one's insides wait for the gradients of its kernels.
      with tf.control_dependencies([one for one in of_variables if one is not None]):
        of_inputs = [one if one is None else tf.identity(one) for one in of_inputs]
      return (of_inputs, of_variables) if variables else of_inputs

    return outputs, gradient

  return run(*inputs)


def _after(upstream: Sequence[tf.Tensor], tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
  """Returns the tensors, which are there when the gradients `upstream` are.

  XLA keeps to values, not to an order of execution, and would use the results of the first pass again.
  """
  first = tf.reshape(upstream[0], [-1])[:1]
  zero = tf.reduce_sum(tf.where(first == first, tf.zeros_like(first), first))  # Not 0 where the gradient is none.
  with tf.control_dependencies(upstream):
    return [tensor + tf.cast(zero, tensor.dtype) for tensor in tensors]


def update_once(layer: tf_keras.layers.Layer) -> None:
  """Makes every batch norm in `layer` leave its moving statistics unchanged when it is recomputed."""
  for norm in layer.submodules:
    if isinstance(norm, tf_keras.layers.BatchNormalization | tf_keras.layers.experimental.SyncBatchNormalization):
      norm.add_update = _in_first_pass(norm.add_update)


class Turns(threading.local):
  """Independent parts of a network, computed one after another in both passes.

  Without it they are all computed at once where their gradients come at once, and the insides of all of them are in
  memory together. XLA keeps to no such order; it has its own. A MirroredStrategy has one thread a replica.
  """

  _token: tf.Tensor | None = None

  def begin(self) -> None:
    """Starts a sequence whose next part waits for nothing."""
    self._token = None

  def take(self, part: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Computes `part(x)` after the previous part; in the backward pass the previous part waits for this one."""
    if self._token is not None:
      x = _wait(x, self._token)
    y, self._token = _done(part(x))
    return y


@tf.custom_gradient
def _done(y: tf.Tensor) -> Any:
  def gradient(dy, dtoken):
    with tf.control_dependencies([dtoken]):
      return tf.identity(dy)

  with tf.control_dependencies([y]):
    return (tf.identity(y), tf.zeros([])), gradient


@tf.custom_gradient
def _wait(x: tf.Tensor, token: tf.Tensor) -> Any:
  def gradient(dx):
    with tf.control_dependencies([dx]):
      return dx, tf.zeros([])

  with tf.control_dependencies([token]):
    return tf.identity(x), gradient


class Recomputed(tf_keras.layers.Layer):
  """A function whose layers take `training` from their caller, as a layer that is recomputed in training.

  It belongs to nobody: kept out of every layer's attributes, it changes no checkpoint.
  """

  def __init__(self, function: Callable[..., tf.Tensor], turns: Turns | None = None):
    """Keeps the function.

    Args:
      function: of tensors to a tensor; its layers exist and have `update_once`.
      turns: where functions of one tensor take turns.
    """
    # Inputs are handed on as they come; the layers of the function cast them.
    super().__init__(autocast=False)
    self._function = function
    self._caller = _Caller(function)
    self._turns = turns

  def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
    """Computes `function(*inputs)`."""
    if not training:
      return self._function(*inputs)

    def run(*tensors):
      return recompute(lambda *again: self._caller(again, training=True), *tensors)

    return self._turns.take(run, *inputs) if self._turns else run(*inputs)


class _Caller(tf_keras.layers.Layer):
  """Says `training` to the layers of a function, in either pass."""

  def __init__(self, function: Callable[..., tf.Tensor]):
    super().__init__(autocast=False)
    self._function = function

  def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
    return self._function(*inputs)


@contextlib.contextmanager
def _running(seed: tf.Tensor, is_second: bool) -> Iterator[None]:
  before = (_PASS.seed, _PASS.num_draws, _PASS.is_second)
  _PASS.seed, _PASS.num_draws, _PASS.is_second = seed, 0, is_second or before[2]
  try:
    yield
  finally:
    _PASS.seed, _PASS.num_draws, _PASS.is_second = before


def _in_first_pass(add_update: Callable[[Any], None]) -> Callable[[Any], None]:
  def add(updates):
    if not _PASS.is_second:
      add_update(updates)

  return add
