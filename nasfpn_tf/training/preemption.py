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

"""Stops a run on a signal: saves a checkpoint and exits with a code that asks for a restart."""

import signal
import sys
from collections.abc import Callable
from types import FrameType

import tensorflow as tf
from absl import logging

from nasfpn_tf import startup

EXIT_CODE = startup.RESTART


class Preemption:
  """Watches for SIGTERM inside the block; the run checks it between loops.

  A second SIGTERM ends the process at once.
  """

  def __init__(self):
    """Initializes without watching anything yet."""
    self._told = False
    self._handler_before = None

  def __enter__(self) -> 'Preemption':
    try:
      self._handler_before = signal.signal(signal.SIGTERM, self._on_signal)
    except ValueError:  # Only the main thread may; a run in another one is stopped by its owner.
      self._handler_before = None
    return self

  def __exit__(self, *unused_error) -> None:
    if self._handler_before is not None:
      signal.signal(signal.SIGTERM, self._handler_before)

  def exit_if_told(self, save: Callable[[], None]) -> None:
    """Saves and raises `SystemExit` with code 42 if a signal has arrived."""
    if self._told:
      save()
      logging.warning('Stopped by a signal: a checkpoint is saved, and the same command resumes from it.')
      raise SystemExit(EXIT_CODE)

  def _on_signal(self, unused_signum: int, unused_frame: FrameType | None) -> None:
    if self._told:
      raise SystemExit(128 + signal.SIGTERM)
    self._told = True
    logging.warning('SIGTERM: saving a checkpoint after this loop of steps.')


class WorkersPreemption:
  """The same for a run of several workers: a signal to one makes all of them save the same step and exit.

  TensorFlow's handler agrees on the step through the cluster.
  """

  def __init__(
    self, strategy: tf.distribute.MultiWorkerMirroredStrategy, manager: tf.train.CheckpointManager, step: tf.Variable
  ):
    """Watches from now on; also restores the newest checkpoint of `manager`, as TensorFlow's handler does."""
    self._step = step
    with strategy.scope():
      self._handler = tf.distribute.experimental.PreemptionCheckpointHandler(
        strategy.cluster_resolver,
        manager,
        termination_config=tf.distribute.experimental.TerminationConfig(exit_fn=lambda: sys.exit(EXIT_CODE)),
      )

  def __enter__(self) -> 'WorkersPreemption':
    return self

  def __exit__(self, *unused_error) -> None:
    self._handler = None  # Its destructor ends its threads.

  def exit_if_told(self, unused_save: Callable[[], None]) -> None:
    """Saves and raises `SystemExit` with code 42 in every worker if a signal has arrived at any of them."""
    self._handler.save_checkpoint_if_preempted(checkpoint_number=int(self._step.numpy()), check_interval=False)
