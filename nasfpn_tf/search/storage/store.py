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

"""Stores a search in one sqlite file: its trials, attempts, rewards and the searcher's state.

Everything else in a search directory is made from it. Each change is one transaction, on disk when it returns: a
process that is killed leaves a store that the next one goes on from.
"""

import dataclasses
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.search.storage import audit
from nasfpn_tf.search.storage.database import Database
from nasfpn_tf.search.trial import OK, REUSED, Measurement, Trial

# How an attempt ended. A trial is given up after so many that were lost; preemptions and orphans do not count.
MEASURED, PREEMPTED, LOST, ORPHANED = 'measured', 'preempted', 'lost', 'orphaned'


@dataclasses.dataclass(frozen=True)
class Claim:
  """The right to evaluate a trial while its lease is renewed."""

  attempt: int
  trial: Trial


class Store:
  """One sqlite file. An object is for one thread; any number of processes may have the same file open.

  Args:
    path: the file; made if there is none.
    identity: what makes this search what it is (space, searcher, evaluator, seed), as JSON values by key.
    reuse: whether a trial whose architecture has been evaluated repeats that reward; it waits for one that is running.

  Raises:
    SearchError: the file is no store, is of a newer version, or belongs to a search of another identity; from any
      method, if the file cannot be read or written. `StorageFull` if there is no room.
  """

  def __init__(self, path: str, identity: Mapping[str, Any], reuse: bool = True):
    self._db, self._reuse = Database(path, identity), reuse

  def close(self) -> None:
    """Closes the file."""
    self._db.close()

  def next_id(self) -> int:
    """Returns the number of the next trial."""
    return self._db.row('SELECT COALESCE(MAX(id) + 1, 0) FROM trials')[0]

  def add(self, trials: Sequence[Trial]) -> None:
    """Adds trials, numbered from `next_id()` on. A trial whose reward is known is finished immediately."""
    with self._db.transaction():
      for trial in trials:
        row = (trial.id, trial.digest, trial.to_json())
        statement = 'INSERT INTO trials (id, digest, trial, trial_crc) VALUES (?, ?, ?, ?)'
        self._db.change(statement, *row, audit.checksum(*row))
        self._repeat_reward(trial.digest)

  def claim(self, owner: str, lease_seconds: float) -> Claim | None:
    """Leases the first waiting trial to `owner` and returns it; None if none may run now."""
    now = time.time()
    query = "SELECT id, trial FROM trials t WHERE status = 'waiting' AND not_before <= ?"
    if self._reuse:
      query += " AND NOT EXISTS (SELECT 1 FROM trials WHERE digest = t.digest AND status = 'running')"
    with self._db.transaction():
      row = self._db.row(f'{query} ORDER BY id LIMIT 1', now)
      if row is None:
        return None
      self._db.change("UPDATE trials SET status = 'running' WHERE id = ?", row[0])
      attempt = self._db.change(
        'INSERT INTO attempts (trial_id, owner, started, expires) VALUES (?, ?, ?, ?)',
        *(row[0], owner, now, now + lease_seconds),
      )
    return Claim(attempt, Trial.from_json(row[1]))

  def renew(self, owner: str, lease_seconds: float) -> None:
    """Prolongs the leases of all attempts of `owner` that run."""
    with self._db.transaction():
      expires = time.time() + lease_seconds
      self._db.change('UPDATE attempts SET expires = ? WHERE owner = ? AND outcome IS NULL', expires, owner)

  def finish(self, attempt: int, measurement: Measurement) -> bool:
    """Records what an attempt has found, and the same for trials of that architecture that wait.

    Returns:
      False, and nothing is changed, if the attempt has ended before, e.g. because its lease ran out: whoever has the
      trial now reports it.
    """
    with self._db.transaction():
      trial_id = self._end(attempt, MEASURED, measurement.reason)
      if trial_id is None:
        return False
      self._record(trial_id, measurement)
      self._repeat_reward(self._db.row('SELECT digest FROM trials WHERE id = ?', trial_id)[0])
    return True

  def give_back(
    self, attempt: int, outcome: str, reason: str, max_lost: int | None = None, wait_seconds: float = 0.0
  ) -> bool:
    """Ends an attempt without a measurement; its trial waits for another.

    Args:
      attempt: from `claim`.
      outcome: PREEMPTED or ORPHANED, which do not count, or LOST.
      reason: what happened.
      max_lost: a trial that was lost so often is finished, with reward 0 and this reason; unset, it never is.
      wait_seconds: how long nobody can claim the trial.

    Returns:
      False, and nothing is changed, if the attempt has ended before.
    """
    with self._db.transaction():
      trial_id = self._end(attempt, outcome, reason)
      if trial_id is None:
        return False
      lost = self._attempts_of(trial_id, LOST)
      if outcome == LOST and max_lost is not None and lost >= max_lost:
        self._record(trial_id, Measurement.failure(f'{reason} ({lost} attempts)'))
      else:
        self._wait(trial_id, time.time() + wait_seconds)
    return True

  def take_over(self, owner: str | None = None) -> int:
    """Ends abandoned attempts and returns their number; their trials wait again.

    Args:
      owner: the only one that can be alive (it holds the directory's lock); attempts of all others end, and no trial
        waits any longer for its next. Unset: only attempts whose lease has run out.
    """
    with self._db.transaction():
      query = 'SELECT id FROM attempts WHERE outcome IS NULL AND '
      if owner is None:
        rows = self._db.rows(f'{query} expires < ?', time.time())
      else:
        rows = self._db.rows(f'{query} owner <> ?', owner)
        self._db.change("UPDATE trials SET not_before = 0 WHERE status = 'waiting'")
      for (attempt,) in rows:
        self._wait(self._end(attempt, ORPHANED, 'the search was stopped'), 0.0)
    return len(rows)

  def preemptions(self, attempt: int) -> int:
    """Counts the preemptions of the trial of an attempt."""
    return self._attempts_of(self._db.row('SELECT trial_id FROM attempts WHERE id = ?', attempt)[0], PREEMPTED)

  def unobserved(self) -> list[tuple[Trial, Measurement]]:
    """Lists finished trials that the searcher has not observed, in the order in which they finished."""
    return self._finished('observed = 0')

  def finished(self) -> list[tuple[Trial, Measurement]]:
    """Lists finished trials in the order in which they finished."""
    return self._finished('place >= 0')

  def observed(self, trials: Sequence[Trial], state: bytes) -> None:
    """Notes in one step that the searcher has observed `trials` and what its state is since."""
    with self._db.transaction():
      self._db.change_each('UPDATE trials SET observed = 1 WHERE id = ?', [(trial.id,) for trial in trials])
      statement = 'INSERT OR REPLACE INTO searcher (one, state, state_crc) VALUES (0, ?, ?)'
      self._db.change(statement, state, zlib.crc32(state))

  def searcher_state(self) -> bytes | None:
    """Returns the state of the searcher after its last observation; None before the first."""
    row = self._db.row('SELECT state FROM searcher')
    return None if row is None else row[0]

  def counts(self) -> dict[str, int]:
    """Counts the trials that are 'waiting', 'running' and 'done'."""
    found = dict(self._db.rows('SELECT status, COUNT(*) FROM trials GROUP BY status'))
    return {status: found.get(status, 0) for status in ('waiting', 'running', 'done')}

  def attempts(self) -> dict[str, int]:
    """Counts the attempts by how they ended; unfinished ones are 'running'."""
    return dict(self._db.rows("SELECT COALESCE(outcome, 'running'), COUNT(*) FROM attempts GROUP BY outcome"))

  def _finished(self, condition: str) -> list[tuple[Trial, Measurement]]:
    query = f"SELECT trial, measurement FROM trials WHERE status = 'done' AND {condition} ORDER BY place"
    return [(Trial.from_json(a), Measurement.from_json(b)) for a, b in self._db.rows(query)]

  def _attempts_of(self, trial_id: int, outcome: str) -> int:
    return self._db.row('SELECT COUNT(*) FROM attempts WHERE trial_id = ? AND outcome = ?', trial_id, outcome)[0]

  def _record(self, trial_id: int, measurement: Measurement) -> None:
    place = self._db.row('SELECT COALESCE(MAX(place) + 1, 0) FROM trials')[0]
    text = measurement.to_json()
    statement = "UPDATE trials SET status = 'done', measurement = ?, measurement_crc = ?, place = ? WHERE id = ?"
    self._db.change(statement, text, audit.checksum(trial_id, text), place, trial_id)

  def _repeat_reward(self, digest: str) -> None:
    """Finishes the waiting trials of an architecture whose reward is known. A failure is no reward to repeat."""
    waiting = self._db.rows("SELECT id FROM trials WHERE digest = ? AND status = 'waiting' ORDER BY id", digest)
    if not self._reuse or not waiting:
      return
    rows = self._db.rows("SELECT measurement FROM trials WHERE digest = ? AND status = 'done' ORDER BY place", digest)
    known = next((m for m in (Measurement.from_json(text) for (text,) in rows) if m.status == OK), None)
    if known is not None:
      for (trial_id,) in waiting:
        self._record(trial_id, dataclasses.replace(known, status=REUSED, seconds=0.0))

  def _end(self, attempt: int, outcome: str, reason: str) -> int | None:
    """Ends an attempt and returns its trial; None if it has ended before."""
    row = self._db.row('SELECT trial_id FROM attempts WHERE id = ? AND outcome IS NULL', attempt)
    if row is None:
      return None
    statement = 'UPDATE attempts SET ended = ?, outcome = ?, reason = ? WHERE id = ?'
    self._db.change(statement, time.time(), outcome, reason, attempt)
    return row[0]

  def _wait(self, trial_id: int, not_before: float) -> None:
    self._db.change("UPDATE trials SET status = 'waiting', not_before = ? WHERE id = ?", not_before, trial_id)
