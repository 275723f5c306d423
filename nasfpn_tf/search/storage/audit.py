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

"""Checks a store before a search continues with it: intact pages, all rows, consistent rows.

Whatever a disk, a copy or an editor has done to the file is said here, in one line, before anything is written to it.
"""

import os
import pathlib
import sqlite3
import zlib
from collections.abc import Iterator

from nasfpn_tf.search.problems import DamagedStore, SearchError
from nasfpn_tf.search.storage import schema
from nasfpn_tf.search.trial import Measurement, Trial

# What no row may be: (query of the row's number, what is wrong with it).
_RULES = (
  (
    """SELECT id FROM trials WHERE typeof(digest) <> 'text' OR typeof(trial) <> 'text' OR typeof(not_before) <> 'real'
      OR status NOT IN ('waiting', 'running', 'done') OR observed NOT IN (0, 1) OR (observed = 1 AND status <> 'done')
      OR (status = 'done') <> (typeof(measurement) = 'text') OR (status = 'done') <> (typeof(place) = 'integer')""",
    'trial {} has invalid values',
  ),
  (
    """SELECT id FROM attempts WHERE typeof(owner) <> 'text' OR typeof(started) <> 'real' OR typeof(expires) <> 'real'
      OR typeof(reason) <> 'text' OR typeof(ended) <> (CASE WHEN outcome IS NULL THEN 'null' ELSE 'real' END)
      OR outcome NOT IN ('measured', 'preempted', 'lost', 'orphaned')""",
    'attempt {} has invalid values',
  ),
  ('SELECT id FROM attempts WHERE trial_id NOT IN (SELECT id FROM trials)', 'attempt {} belongs to a missing trial'),
  (
    """SELECT id FROM trials t WHERE (status = 'running')
      <> EXISTS (SELECT 1 FROM attempts WHERE trial_id = t.id AND outcome IS NULL)""",
    'the status of trial {} and its attempts contradict each other',
  ),
  (
    'SELECT n FROM (SELECT COUNT(*) AS n, MIN(id) AS low, MAX(id) AS high FROM trials) WHERE low <> 0 OR high <> n - 1',
    'only {} trials are there',
  ),
  (
    'SELECT id FROM trials WHERE observed = 1 AND NOT EXISTS (SELECT 1 FROM searcher)',
    'the state of the searcher, which has observed trial {}, is missing',
  ),
  ("SELECT one FROM searcher WHERE typeof(state) <> 'blob'", 'the state of the searcher is no state'),
  ("SELECT key FROM identity WHERE typeof(key) <> 'text' OR typeof(value) <> 'text'", 'its identity has no text as {}'),
)


def check(path: str) -> None:
  """Checks the whole store without changing it. A missing or empty file is a store that is still to be created.

  Raises:
    DamagedStore: saying what is wrong first.
    SearchError: the file is a database of something else, or cannot be read.
  """
  if not os.path.isfile(path) or not os.path.getsize(path):
    if os.path.exists(f'{path}-wal') and os.path.getsize(f'{path}-wal'):
      raise DamagedStore(path, f'it is empty or missing, but {path}-wal is not')
    return
  with schema.explained(path):
    with open(path, 'rb') as file:
      header = file.read(20)
    # With another version than these in its header sqlite would call the file read-only.
    if not header.startswith(b'SQLite format 3\0') or not set(header[18:]) <= {1, 2}:
      raise DamagedStore(path, 'it does not start like a database')
    connection = sqlite3.connect(f'{pathlib.Path(path).absolute().as_uri()}?mode=ro', uri=True, timeout=60)
    try:
      connection.execute('BEGIN')  # All that is read is of one moment.
      _check_kind(path, connection)
      for problem in _problems(connection):
        raise DamagedStore(path, problem)
    finally:
      connection.close()


def _check_kind(path: str, connection: sqlite3.Connection) -> None:
  (application,), (version,) = (_row(connection, f'PRAGMA {name}') for name in ('application_id', 'user_version'))
  tables = _row(connection, 'SELECT COUNT(*) FROM sqlite_master')[0]
  if application != schema.APPLICATION and tables:
    if _columns(connection, 'trials') >= schema.COLUMNS[1]['trials']:
      raise DamagedStore(path, f'its header calls it a database of application {application}')
    raise SearchError(f'{path} is not the store of a search; choose another search directory.')
  if version > schema.VERSION:
    raise SearchError(
      f'{path} is a store of version {version}, this program supports up to {schema.VERSION}: use the newer program.'
    )


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
  """Yields the problems one by one; later checks rely on the earlier ones having passed."""
  if _row(connection, 'SELECT COUNT(*) FROM sqlite_master')[0] == 0:  # Made, and not filled.
    return
  (version,) = _row(connection, 'PRAGMA user_version')
  if version not in schema.COLUMNS:
    yield f'its header calls it version {version}'
  for (found,) in connection.execute('PRAGMA integrity_check(1)'):
    if found != 'ok':
      yield found
  for table, columns in schema.COLUMNS[version].items():
    missing = columns - _columns(connection, table)
    if missing:
      yield f'the table {table} lacks {", ".join(sorted(missing))}'
  for query, words in _RULES:
    row = connection.execute(f'{query} LIMIT 1').fetchone()
    if row is not None:
      yield words.format(row[0])
  yield from _wrong_contents(connection) if version > 1 else _unreadable_contents(connection)


def _wrong_contents(connection: sqlite3.Connection) -> Iterator[str]:
  """Values whose checksums say that they are not what was written."""
  query = 'SELECT id, digest, trial, trial_crc, measurement, measurement_crc FROM trials'
  for trial_id, digest, trial, trial_crc, measurement, measurement_crc in connection.execute(query):
    if trial_crc != checksum(trial_id, digest, trial):
      yield f'trial {trial_id} is not what was written'
    if measurement is not None and measurement_crc != checksum(trial_id, measurement):
      yield f'the measurement of trial {trial_id} is not what was written'
  for state, crc in connection.execute('SELECT state, state_crc FROM searcher'):
    if crc != zlib.crc32(state):
      yield 'the state of the searcher is not what was written'


def _unreadable_contents(connection: sqlite3.Connection) -> Iterator[str]:
  """Values of a store without checksums that cannot be read."""
  for trial_id, digest, trial, measurement in connection.execute('SELECT id, digest, trial, measurement FROM trials'):
    try:
      found = Trial.from_json(trial)
      if measurement is not None:
        Measurement.from_json(measurement)
      if (found.id, found.digest) != (trial_id, digest):
        yield f'trial {trial_id} is another one'
    except (ValueError, TypeError, KeyError, RecursionError) as e:
      yield f'trial {trial_id} cannot be read: {e}'


def checksum(*values: object) -> int:
  """Computes the checksum of the values of a row that belong together."""
  return zlib.crc32(' '.join(map(str, values)).encode())


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
  return {row[1] for row in connection.execute(f'PRAGMA table_info({table})')}


def _row(connection: sqlite3.Connection, query: str) -> tuple:
  return connection.execute(query).fetchone()
