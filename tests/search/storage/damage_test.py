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

"""Stores that a disk, a copy or an editor has damaged: each ends a search with one line, and nothing is lost."""

import contextlib
import os
import pathlib
import random
import shutil
import sqlite3

import pytest

from nasfpn_tf.search.executors.executor import Outcome
from nasfpn_tf.search.loop import Search
from nasfpn_tf.search.problems import DamagedStore, SearchError
from nasfpn_tf.search.searchers import PolicySearch, RegularizedEvolution
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.storage import schema
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.outputs import Outputs
from nasfpn_tf.search.storage.store import Store
from nasfpn_tf.search.trial import Measurement
from tests.search import samples
from tests.search.samples import IDENTITY

SPACE = PyramidSpace(num_cells=3, min_level=3, max_level=4)
NUM_TRIALS = 8
STORE = 'search.sqlite'
WRONG = (None, 5, 2**62, -1, 1.5, float('inf'), 'x', '{}', '[]', b'', b'\x00\xff')


class AtOnce:
  """An executor without processes."""

  num_workers = 1

  def __init__(self):
    self._jobs = []

  def submit(self, job):
    self._jobs.append(job)

  def wait(self, seconds):
    jobs, self._jobs = self._jobs, []
    return [Outcome(job.attempt, samples.instant(job.trial, job.work_dir, {})) for job in jobs]

  def close(self, grace_seconds):
    return []


def searcher():
  return RegularizedEvolution(SPACE, population_size=4, tournament_size=2)


def go_on(path, max_trials, proposer=None):
  """Goes on with a search, as `run.run` does; returns what is done."""
  with SearchDirectory(str(path)) as directory, contextlib.closing(Store(directory.store, IDENTITY)) as store:
    outputs = Outputs(directory, store.finished(), lambda results: '')
    options = {'retry_seconds': 0.0, 'on_results': outputs.add}
    assert Search(directory, store, proposer or searcher(), AtOnce(), max_trials, **options).run()
    return store.finished()


@pytest.fixture(name='whole', scope='module')
def fixture_whole(tmp_path_factory):
  """(directory, results) of a search that was killed with a trial done and not observed, one running, one waiting."""
  path = tmp_path_factory.mktemp('whole')
  go_on(path, NUM_TRIALS - 1)
  with contextlib.closing(Store(str(path / STORE), IDENTITY)) as store:
    store.add(samples.TouchySearcher(SPACE).propose(NUM_TRIALS - 1, 3))
    store.finish(store.claim('gone', 60).attempt, Measurement(0.5, ap=0.5))
    store.claim('gone', 60)
    return path, store.finished()


def contents(path):
  return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and file.suffix != '.lock'}


def ends_well(path, results):
  """Goes on; returns what stopped it, in one line that names the file, or None: then all is as it was, and more."""
  before = contents(path)
  try:
    found = go_on(path, NUM_TRIALS + 1)
  except SearchError as e:
    message = str(e)
    assert f'{path}/{STORE}' in message and '\n' not in message, message
    if isinstance(e, DamagedStore):
      assert {name: contents(path)[name] for name in before} == before
    assert contents(path)['trials.jsonl'].startswith(before['trials.jsonl'])
    return message
  assert found[: len(results)] == results and len(found) == NUM_TRIALS + 1
  return None


def flipped(data, rng):
  data = bytearray(data)
  used = [place for place, byte in enumerate(data) if byte]  # Most of a small store is empty.
  for _ in range(rng.choice((1, 1, 2, 8))):
    data[rng.choice(used)] ^= 1 << rng.randrange(8)
  return bytes(data)


def overwritten(data, rng):
  start, length = rng.randrange(len(data)), rng.choice((4, 64, 4096))
  return data[:start] + rng.choice((bytes(length), rng.randbytes(length))) + data[start + length :]


def of_something_else(data, rng):
  length = rng.choice((1, 15, 16, 99, 100, 5000))
  return rng.choice((rng.randbytes(length), b'SQLite format 3\x00' + rng.randbytes(length), b'{"id": 3}\n' * length))


def truncated(data, rng):
  return data[: rng.choice((rng.randrange(len(data)), rng.randrange(100), 4096 * rng.randrange(len(data) // 4096)))]


def damage_rows(path, rng):
  """A table or rows that are missing, or a value that is of another type or size."""
  table = rng.choice(sorted(schema.COLUMNS[2]))
  column = rng.choice(sorted(schema.COLUMNS[2][table]))
  with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error):
    where = f'WHERE rowid = (SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET {rng.randrange(NUM_TRIALS)})'
    how = rng.choice(('drop', 'rename', 'delete', *['update'] * 9))
    if how == 'drop':
      connection.execute(f'DROP TABLE {table}')
    elif how == 'rename':
      connection.execute(f'ALTER TABLE {table} RENAME COLUMN {column} TO other')
    elif how == 'delete':
      connection.execute(f'DELETE FROM {table} {where if table != "attempts" else ""}')
    else:
      where = '' if table in ('identity', 'searcher') else where
      connection.execute(f'UPDATE {table} SET {column} = ? {where}', [rng.choice(WRONG)])
    connection.commit()


@pytest.mark.parametrize(
  ('kind', 'count'), [(flipped, 60), (overwritten, 40), (truncated, 40), (of_something_else, 20), (damage_rows, 70)]
)
def test_a_damaged_store_ends_in_one_line(kind, count, whole, tmp_path):
  source, results = whole
  said, rng = [], random.Random(kind.__name__)
  for number in range(count):
    path = tmp_path / str(number)
    shutil.copytree(source, path)
    if kind is damage_rows:
      kind(path / STORE, rng)
    else:
      (path / STORE).write_bytes(kind((source / STORE).read_bytes(), rng))
    said.append(ends_well(path, results))
    shutil.rmtree(path)
  found = [message for message in said if message]
  assert len(found) > count / 5  # The rest is in pages that nothing uses, or comes to the same.
  assert sum('is damaged or not the store of a search: ' in message for message in found) > 0.8 * len(found)


@pytest.mark.parametrize('kind', [flipped, truncated])
def test_a_damaged_journal_loses_no_trial_silently(kind, tmp_path):
  """What a killed search has written last is in the write-ahead log; sqlite leaves out what is damaged there."""
  source, rng = tmp_path / 'source', random.Random(0)
  with SearchDirectory(str(source)) as directory:
    store = Store(directory.store, IDENTITY)
    outputs = Outputs(directory, [], lambda results: '')
    Search(directory, store, searcher(), AtOnce(), NUM_TRIALS, on_results=outputs.add).run()
    results = store.finished()
    killed = tmp_path / 'killed'
    shutil.copytree(source, killed)
    store.close()
  assert (killed / f'{STORE}-wal').stat().st_size > 10_000
  said = []
  for number in range(20):
    path = tmp_path / str(number)
    shutil.copytree(killed, path)
    (path / f'{STORE}-shm').unlink()
    (path / f'{STORE}-wal').write_bytes(kind((killed / f'{STORE}-wal').read_bytes(), rng))
    said.append(ends_well(path, results))
  assert any(message and 'lacks' in message and 'Restore a copy of the store' in message for message in said)


def test_a_store_that_was_emptied_or_deleted_is_not_begun_anew(whole, tmp_path):
  source, _ = whole
  for number, how in enumerate((lambda file: file.write_bytes(b''), pathlib.Path.unlink)):
    path = tmp_path / str(number)
    shutil.copytree(source, path)
    how(path / STORE)
    with pytest.raises(SearchError, match=rf'{STORE} lacks 7 of the trials in .*trials\.jsonl, the first is trial 0'):
      go_on(path, NUM_TRIALS)
    (path / 'trials.jsonl').rename(path / 'before.jsonl')
    assert len(go_on(path, 2)) == 2


def test_a_store_of_the_first_version_goes_on(whole, tmp_path):
  """Version 1 had no checksums; it gets them, and what cannot be read in it is named."""
  source, results = whole
  path = tmp_path / 'first'
  shutil.copytree(source, path)
  with contextlib.closing(sqlite3.connect(path / STORE)) as connection:
    for table, column in (('trials', 'trial_crc'), ('trials', 'measurement_crc'), ('searcher', 'state_crc')):
      connection.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
    connection.execute('PRAGMA user_version = 1')
    connection.commit()
  for column, value, message in (
    ('trial', '{"id": 3}', 'trial 3 cannot be read'),
    ('measurement', '{"reward": "x"}', 'trial 3 cannot be read'),
    ('digest', 'x', 'trial 3 is another one'),
  ):
    other = tmp_path / column
    shutil.copytree(path, other)
    with contextlib.closing(sqlite3.connect(other / STORE)) as connection:
      connection.execute(f'UPDATE trials SET {column} = ? WHERE id = 3', [value])
      connection.commit()
    assert message in ends_well(other, results)
  assert ends_well(path, results) is None
  with contextlib.closing(sqlite3.connect(path / STORE)) as connection:
    assert connection.execute('PRAGMA user_version').fetchone() == (2,)
    connection.execute("UPDATE trials SET trial = replace(trial, 'tokens', 'toKens') WHERE id = 3")
    connection.commit()
  with pytest.raises(DamagedStore, match='trial 3 is not what was written'):
    go_on(path, NUM_TRIALS + 2)


def test_the_state_of_a_controller_is_checked(tmp_path):
  go_on(tmp_path, 2, PolicySearch(SPACE))
  with contextlib.closing(sqlite3.connect(tmp_path / STORE)) as connection:
    (state,) = connection.execute('SELECT state FROM searcher').fetchone()
    connection.execute('UPDATE searcher SET state = ?', [flipped(state, random.Random(0))])
    connection.commit()
  with pytest.raises(DamagedStore, match='the state of the searcher is not what was written'):
    go_on(tmp_path, 3, PolicySearch(SPACE))
  not_finite = state[:-4] + b'\xff\xff\xff\x7f'
  for damaged in (not_finite, state.replace(b'"num_steps": 0', b'"num_steps":"x"'), state.partition(b'\n')[0], b'null'):
    with pytest.raises(SearchError, match='This is not the state of a controller'):
      PolicySearch(SPACE).restore(damaged)


def test_another_database_is_not_touched(tmp_path):
  with contextlib.closing(sqlite3.connect(tmp_path / STORE)) as connection:
    connection.execute('CREATE TABLE t (x)')
  before = (tmp_path / STORE).read_bytes()
  with pytest.raises(SearchError, match='is not the store of a search; choose another search directory'):
    Store(str(tmp_path / STORE), IDENTITY)
  assert (tmp_path / STORE).read_bytes() == before and os.listdir(tmp_path) == [STORE]
