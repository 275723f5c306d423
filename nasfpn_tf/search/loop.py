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

"""Runs the search loop: propose, evaluate, observe, until there are enough trials."""

import contextlib
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from types import FrameType

from nasfpn_tf.search.executors.executor import Executor, Job, Outcome
from nasfpn_tf.search.problems import DamagedStore, SearchError
from nasfpn_tf.search.searchers.searcher import Searcher
from nasfpn_tf.search.storage import store as store_lib
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.store import Store
from nasfpn_tf.search.trial import FAILED, Results


class Search:
  """One run of a search, from the state of its store to the end.

  Whatever happens is in the store before anything is done about it, so that a run that ends in any way at all is gone
  on with by the next: a trial that was under way is evaluated again in its own directory, one that has been measured
  is not. At most `num_workers` trials are proposed and not done, so with one worker each proposal knows all
  measurements before it, and a search that was stopped proposes what it would have proposed.

  Args:
    directory: the search directory, entered.
    store: its store.
    searcher: who proposes; as constructed, the store restores its state.
    executor: who evaluates.
    max_trials: how many trials there are to be, those of earlier runs included.
    max_lost: a trial whose worker has died so often has failed.
    max_failed: so many failures in a row end the search, as something else than the architectures must be wrong.
    lease_seconds: how long a trial of this run is left alone by others after its last sign of life.
    retry_seconds: how long a trial waits after it was preempted or lost; doubles with each preemption, up to a minute.
    on_results: called with what is new, after the searcher has observed it.
    on_turn: called once a turn, when all workers that can be busy are, and at the end, with the numbers of trials done
      and running.
  """

  def __init__(
    self,
    directory: SearchDirectory,
    store: Store,
    searcher: Searcher,
    executor: Executor,
    max_trials: int,
    max_lost: int = 3,
    max_failed: int = 20,
    lease_seconds: float = 60.0,
    retry_seconds: float = 1.0,
    on_results: Callable[[Results], None] = lambda results: None,
    on_turn: Callable[[int, int], None] = lambda done, running: None,
  ):
    self._directory, self._store, self._searcher, self._executor = directory, store, searcher, executor
    self._max_trials, self._max_lost, self._max_failed = max_trials, max_lost, max_failed
    self._lease_seconds, self._retry_seconds = lease_seconds, retry_seconds
    self._on_results, self._on_turn = on_results, on_turn
    self._owner = f'{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}'
    self._running: set[int] = set()  # Attempts.
    self._failed_in_a_row = 0
    self._renewed = 0.0
    self._told_to_stop = False

  def run(self, grace_seconds: float = 30.0) -> bool:
    """Runs until all trials are done or a signal (SIGINT, SIGTERM) says to stop.

    Args:
      grace_seconds: how long trials that run have to save their work when the run stops.

    Returns:
      Whether all trials are done.

    Raises:
      SearchError: the search cannot go on; what was found is in the store.
    """
    before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
      try:
        self._resume()
        while not self._told_to_stop and self._num_done() < self._max_trials:
          self._turn()
        self._on_turn(self._num_done(), len(self._running))
      except BaseException:
        with contextlib.suppress(SearchError):  # One is under way already.
          self._stop(grace_seconds)
        raise
      self._stop(grace_seconds)
    finally:
      for number, handler in before.items():
        signal.signal(number, handler)
    return self._num_done() >= self._max_trials

  def _turn(self) -> None:
    self._start_trials()
    self._on_turn(self._num_done(), len(self._running))
    self._settle(self._executor.wait(1.0))
    self._learn()
    self._keep_leases()

  def _num_done(self) -> int:
    return self._store.counts()['done']

  def _resume(self) -> None:
    state = self._store.searcher_state()
    if state is not None:
      try:
        self._searcher.restore(state)
      except SearchError as e:
        raise DamagedStore(self._directory.store, e) from e
    self._store.take_over(self._owner if self._directory.is_locked else None)
    self._learn()

  def _start_trials(self) -> None:
    """Hands out trials that wait, then new ones, as long as there are idle workers."""
    while len(self._running) < self._executor.num_workers:
      claim = self._store.claim(self._owner, self._lease_seconds)
      if claim is not None:
        self._running.add(claim.attempt)
        self._executor.submit(Job(claim.attempt, claim.trial, self._directory.work_dir(claim.trial.id)))
      elif not self._propose():
        return

  def _propose(self) -> bool:
    """Adds new trials; False if there are enough. Those that wait for a retry or for their twin are not forgotten."""
    counts, first = self._store.counts(), self._store.next_id()
    wanted = min(self._executor.num_workers - counts['running'] - counts['waiting'], self._max_trials - first)
    if wanted <= 0 or self._told_to_stop:
      return False
    self._store.add(self._searcher.propose(first, wanted))
    self._learn()  # A reward that is known already.
    return True

  def _settle(self, outcomes: Sequence[Outcome]) -> None:
    """Records how attempts ended."""
    unusable = ''
    for outcome in outcomes:
      self._running.discard(outcome.attempt)
      if outcome.measurement is not None:
        self._store.finish(outcome.attempt, outcome.measurement)
      elif outcome.preempted:
        wait = min(60.0, self._retry_seconds * 2.0 ** min(self._store.preemptions(outcome.attempt), 10))
        self._store.give_back(outcome.attempt, store_lib.PREEMPTED, 'preempted', wait_seconds=wait)
      elif outcome.lost:
        lost = (store_lib.LOST, outcome.lost, self._max_lost, self._retry_seconds)
        self._store.give_back(outcome.attempt, *lost)
      else:
        self._store.give_back(outcome.attempt, store_lib.ORPHANED, outcome.unusable)
        unusable = outcome.unusable
    if unusable:
      raise SearchError(unusable)

  def _learn(self) -> None:
    """Tells the searcher what is new, and keeps its new state with the note that it knows."""
    news = self._store.unobserved()
    if not news:
      return
    self._searcher.observe(news)
    self._store.observed([trial for trial, _ in news], self._searcher.state())
    self._on_results(news)
    for trial, measurement in news:
      self._failed_in_a_row = self._failed_in_a_row + 1 if measurement.status == FAILED else 0
      if self._failed_in_a_row >= self._max_failed:
        reason = measurement.reason.rstrip('.')
        raise SearchError(
          f'{self._failed_in_a_row} trials in a row have failed, the last, {trial.id}, because: {reason}.'
          f' See {self._directory.work_dir(trial.id)}, fix it, and run the same command again.'
        )

  def _keep_leases(self) -> None:
    if self._running and time.monotonic() - self._renewed > self._lease_seconds / 3:
      self._store.renew(self._owner, self._lease_seconds)
      self._renewed = time.monotonic()
    if not self._directory.is_locked:
      self._store.take_over()

  def _stop(self, grace_seconds: float) -> None:
    """Ends what runs. What it has found by then counts; the rest waits for the next run."""
    self._settle(self._executor.close(grace_seconds))
    self._learn()

  def _on_signal(self, unused_number: int, unused_frame: FrameType | None) -> None:
    if self._told_to_stop:
      raise KeyboardInterrupt
    self._told_to_stop = True
