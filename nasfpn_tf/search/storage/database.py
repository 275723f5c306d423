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

"""The sqlite file under a search's store: schema, version, whose search it is, errors in words."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nasfpn_tf.search.problems import SearchError, StorageFull

VERSION = 1
_APPLICATION = 0x4E465053  # 'NFPS' in sqlite's header: a store of this project.
_UNSET = object()

_SCHEMA = (
  'CREATE TABLE identity (key TEXT PRIMARY KEY, value TEXT NOT NULL)',
  'CREATE TABLE searcher (one INTEGER PRIMARY KEY CHECK (one = 0), state BLOB NOT NULL)',
  # status: waiting, running, done. place: the order in which trials were done.
  """CREATE TABLE trials (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    trial TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting',
    not_before REAL NOT NULL DEFAULT 0,
    measurement TEXT,
    place INTEGER UNIQUE,
    observed INTEGER NOT NULL DEFAULT 0)""",
  'CREATE INDEX trials_by_digest ON trials (digest, status)',
  'CREATE INDEX trials_by_status ON trials (status, id)',
  "CREATE INDEX trials_news ON trials (place) WHERE status = 'done' AND observed = 0",
  # outcome is null while the attempt runs; it may, until its lease expires.
  """CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    trial_id INTEGER NOT NULL REFERENCES trials (id),
    owner TEXT NOT NULL,
    started REAL NOT NULL,
    expires REAL NOT NULL,
    ended REAL,
    outcome TEXT,
    reason TEXT NOT NULL DEFAULT '')""",
  'CREATE INDEX attempts_by_trial ON attempts (trial_id)',
  'CREATE INDEX attempts_running ON attempts (owner, expires) WHERE outcome IS NULL',
)


class Database:
  """An open file: queries, and transactions that are on disk when they end.

  Args:
    path: the file; made if there is none.
    identity: what makes the search what it is, as JSON values by key.

  Raises:
    SearchError: the file is no store, is of a newer version, or belongs to a search of another identity.
  """

  def __init__(self, path: str, identity: Mapping[str, Any]):
    self._path = path
    with self._explained():
      self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
      try:
        self._connection.execute('PRAGMA journal_mode = WAL')
        self._connection.execute('PRAGMA synchronous = FULL')
        with self.transaction():
          self._make_or_check(identity)
      except BaseException:
        self._connection.close()
        raise

  def close(self) -> None:
    """Closes the file."""
    self._connection.close()

  def rows(self, query: str, *values: Any) -> list[tuple]:
    """What a SELECT finds."""
    with self._explained():
      return self._connection.execute(query, values).fetchall()

  def row(self, query: str, *values: Any) -> tuple | None:
    """The first row of what a SELECT finds, if any."""
    with self._explained():
      return self._connection.execute(query, values).fetchone()

  def change(self, statement: str, *values: Any) -> int:
    """Runs a statement in a transaction; returns the number of the last row it has inserted."""
    with self._explained():
      return self._connection.execute(statement, values).lastrowid

  def change_each(self, statement: str, values: Sequence[tuple]) -> None:
    """Runs a statement once for each tuple of values."""
    with self._explained():
      self._connection.executemany(statement, values)

  @contextlib.contextmanager
  def transaction(self) -> Iterator[None]:
    """All changes within, or none if anything is raised; nobody else changes the file in between."""
    with self._explained():
      self._connection.execute('BEGIN IMMEDIATE')
      try:
        yield
        self._connection.execute('COMMIT')
      except BaseException:
        if self._connection.in_transaction:  # sqlite has rolled back by itself when the disk is full.
          self._connection.execute('ROLLBACK')
        raise

  def _make_or_check(self, identity: Mapping[str, Any]) -> None:
    (application,), (version,) = self.row('PRAGMA application_id'), self.row('PRAGMA user_version')
    if not application and not self.row('SELECT 1 FROM sqlite_master'):
      for statement in _SCHEMA:
        self.change(statement)
      rows = [(key, json.dumps(value, sort_keys=True)) for key, value in identity.items()]
      self.change_each('INSERT INTO identity VALUES (?, ?)', rows)
      self.change(f'PRAGMA application_id = {_APPLICATION}')
      self.change(f'PRAGMA user_version = {VERSION}')
      return
    if application != _APPLICATION:
      raise SearchError(f'{self._path} is no store of a search; choose another search directory.')
    if version > VERSION:
      raise SearchError(
        f'{self._path} is a store of version {version}, this program knows up to {VERSION}: use the newer program.'
      )
    before = {key: json.loads(value) for key, value in self.rows('SELECT key, value FROM identity')}
    now = json.loads(json.dumps(identity))
    differing = list(_differences(before, now))
    if differing:
      empty = not self.row("SELECT 1 FROM trials WHERE status = 'done'")
      raise SearchError(
        f'{self._path} belongs to another search: {"; ".join(differing)}. Use another search directory, or the'
        ' configuration of then.' + empty * ' No trial is done there: the directory may as well be deleted.'
      )

  @contextlib.contextmanager
  def _explained(self) -> Iterator[None]:
    try:
      yield
    except sqlite3.Error as e:
      code = getattr(e, 'sqlite_errorcode', 0) & 0xFF  # The low byte is the kind of error.
      if code == sqlite3.SQLITE_FULL:
        raise StorageFull(self._path) from e
      if code == sqlite3.SQLITE_CONSTRAINT:
        raise SearchError(f'{self._path}: another process runs this search as well; stop one of them.') from e
      if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        raise SearchError(f'{self._path} is damaged or no store of a search: {e}.') from e
      if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
        raise SearchError(f'{self._path} cannot be read or written: {e}.') from e
      raise


def _differences(before: Any, now: Any, key: str = '') -> Iterator[str]:
  """Every key at which two JSON values differ, with what it is in both."""
  if isinstance(before, Mapping) and isinstance(now, Mapping):
    for name in sorted(before.keys() | now.keys()):
      yield from _differences(before.get(name, _UNSET), now.get(name, _UNSET), f'{key}.{name}' if key else name)
  elif before != now:
    there, here = ('not set' if value is _UNSET else json.dumps(value) for value in (before, now))
    yield f'{key} is {there} there and {here} here'
