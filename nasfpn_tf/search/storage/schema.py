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

"""Defines the tables of a store, and explains errors of sqlite."""

import contextlib
import sqlite3
from collections.abc import Iterator

from nasfpn_tf.search.problems import DamagedStore, SearchError, StorageFull

VERSION = 2
APPLICATION = 0x4E465053  # 'NFPS' in sqlite's header: a store of this project.

TABLES = (
  'CREATE TABLE identity (key TEXT PRIMARY KEY, value TEXT NOT NULL)',
  'CREATE TABLE searcher (one INTEGER PRIMARY KEY CHECK (one = 0), state BLOB NOT NULL, state_crc INTEGER)',
  # status: waiting, running, done. place: the order in which trials were done.
  """CREATE TABLE trials (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    trial TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting',
    not_before REAL NOT NULL DEFAULT 0,
    measurement TEXT,
    place INTEGER UNIQUE,
    observed INTEGER NOT NULL DEFAULT 0,
    trial_crc INTEGER,
    measurement_crc INTEGER)""",
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

# What version 1 does not have: sqlite has no checksums of its own.
CHECKSUMS = (
  'ALTER TABLE trials ADD COLUMN trial_crc INTEGER',
  'ALTER TABLE trials ADD COLUMN measurement_crc INTEGER',
  'ALTER TABLE searcher ADD COLUMN state_crc INTEGER',
)

_COLUMNS = {
  'identity': {'key', 'value'},
  'searcher': {'one', 'state'},
  'trials': {'id', 'digest', 'trial', 'status', 'not_before', 'measurement', 'place', 'observed'},
  'attempts': {'id', 'trial_id', 'owner', 'started', 'expires', 'ended', 'outcome', 'reason'},
}
# {version: {table: its columns}}
COLUMNS = {
  1: _COLUMNS,
  2: {
    **_COLUMNS,
    'searcher': _COLUMNS['searcher'] | {'state_crc'},
    'trials': _COLUMNS['trials'] | {'trial_crc', 'measurement_crc'},
  },
}


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
  """Converts an error of sqlite about the file `path` to a `SearchError`."""
  try:
    yield
  except sqlite3.ProgrammingError:
    raise
  except (sqlite3.Error, UnicodeDecodeError) as e:  # The latter, if the text of an error is damaged, too.
    code = getattr(e, 'sqlite_errorcode', 0) & 0xFF  # The low byte is the kind of error.
    if code == sqlite3.SQLITE_FULL:
      raise StorageFull(path) from e
    if code == sqlite3.SQLITE_CONSTRAINT:
      raise SearchError(f'{path}: another process is running this search, too; stop one of them.') from e
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
      raise SearchError(f'{path} cannot be read or written: {e}. Check its permissions and its disk.') from e
    raise DamagedStore(path, e) from e
  except OSError as e:
    raise SearchError(f'{path} cannot be read: {e.strerror or e}. Check its permissions and its disk.') from e
