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

"""Opens the sqlite file of a search's store: creates or checks it, runs queries and transactions."""

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nasfpn_tf.search.problems import DamagedStore, SearchError
from nasfpn_tf.search.storage import audit, schema

_UNSET = object()


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
    audit.check(path)
    with schema.explained(self._path):
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
    """Returns the rows of a SELECT."""
    with schema.explained(self._path):
      return self._connection.execute(query, values).fetchall()

  def row(self, query: str, *values: Any) -> tuple | None:
    """Returns the first row of a SELECT, if any."""
    with schema.explained(self._path):
      return self._connection.execute(query, values).fetchone()

  def change(self, statement: str, *values: Any) -> int:
    """Runs a statement in a transaction; returns the number of the last row it has inserted."""
    with schema.explained(self._path):
      return self._connection.execute(statement, values).lastrowid

  def change_each(self, statement: str, values: Sequence[tuple]) -> None:
    """Runs a statement once for each tuple of values."""
    with schema.explained(self._path):
      self._connection.executemany(statement, values)

  @contextlib.contextmanager
  def transaction(self) -> Iterator[None]:
    """Applies all changes inside, or none if anything is raised; excludes other writers meanwhile."""
    with schema.explained(self._path):
      self._connection.execute('BEGIN IMMEDIATE')
      try:
        yield
        self._connection.execute('COMMIT')
      except BaseException:
        if self._connection.in_transaction:  # sqlite has rolled back by itself when the disk is full.
          self._connection.execute('ROLLBACK')
        raise

  def _make_or_check(self, identity: Mapping[str, Any]) -> None:
    if not self.row('SELECT 1 FROM sqlite_master'):
      for statement in schema.TABLES:
        self.change(statement)
      rows = [(key, json.dumps(value, sort_keys=True)) for key, value in identity.items()]
      self.change_each('INSERT INTO identity VALUES (?, ?)', rows)
      self.change(f'PRAGMA application_id = {schema.APPLICATION}')
      self.change(f'PRAGMA user_version = {schema.VERSION}')
      return
    try:
      before = {key: json.loads(value) for key, value in self.rows('SELECT key, value FROM identity')}
    except ValueError as e:
      raise DamagedStore(self._path, f'its identity cannot be read: {e}') from e
    now = json.loads(json.dumps(identity))
    differing = list(_differences(before, now))
    if differing:
      empty = not self.row("SELECT 1 FROM trials WHERE status = 'done'")
      raise SearchError(
        f'{self._path} belongs to another search: {"; ".join(differing)}. Use another search directory, or the'
        f' original configuration.' + empty * ' No trial in it is finished: the directory can also be deleted.'
      )
    if self.row('PRAGMA user_version')[0] == 1:
      self._add_checksums()

  def _add_checksums(self) -> None:
    """Makes a store of version 1, whose rows have been read, one of version 2."""
    for statement in schema.CHECKSUMS:
      self.change(statement)
    rows = self.rows('SELECT id, digest, trial, measurement FROM trials')
    crcs = [
      (audit.checksum(number, digest, trial), measurement and audit.checksum(number, measurement), number)
      for number, digest, trial, measurement in rows
    ]
    self.change_each('UPDATE trials SET trial_crc = ?, measurement_crc = ? WHERE id = ?', crcs)
    states = [(zlib.crc32(state),) for (state,) in self.rows('SELECT state FROM searcher')]
    self.change_each('UPDATE searcher SET state_crc = ?', states)
    self.change('PRAGMA user_version = 2')


def _differences(before: Any, now: Any, key: str = '') -> Iterator[str]:
  """Yields every key at which two JSON values differ, with both values."""
  if isinstance(before, Mapping) and isinstance(now, Mapping):
    for name in sorted(before.keys() | now.keys()):
      yield from _differences(before.get(name, _UNSET), now.get(name, _UNSET), f'{key}.{name}' if key else name)
  elif before != now:
    there, here = ('not set' if value is _UNSET else json.dumps(value) for value in (before, now))
    yield f'{key} is {there} there and {here} here'
