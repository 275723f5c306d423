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

"""The store: fenced attempts, repeated rewards, many workers at once, and what it says when it cannot go on."""

import collections
import os
import sqlite3
import threading

import pytest

from nasfpn_tf.search.problems import SearchError, StorageFull
from nasfpn_tf.search.storage import store as store_lib
from nasfpn_tf.search.storage.store import Store
from nasfpn_tf.search.trial import Measurement
from tests.search.samples import IDENTITY, SPACE, TouchySearcher

HERE, THERE = 'here', 'there'


@pytest.fixture(name='path')
def fixture_path(tmp_path):
  return str(tmp_path / 'search.sqlite')


@pytest.fixture(name='store')
def fixture_store(path):
  store = Store(path, IDENTITY)
  yield store
  store.close()


def trials(count, first=0):
  return TouchySearcher().propose(first, count)


def twin(trial, trial_id):
  return type(trial).of(SPACE, trial_id, trial.tokens)


def test_a_trial_is_claimed_by_one_and_finished_once(store, path):
  store.add(trials(2))
  other = Store(path, IDENTITY)
  first, second = store.claim(HERE, 60), other.claim(THERE, 60)
  assert (first.trial.id, second.trial.id) == (0, 1)
  assert store.claim(HERE, 60) is None
  assert store.finish(first.attempt, Measurement(0.5))
  assert not other.finish(first.attempt, Measurement(0.75))
  assert not other.give_back(first.attempt, store_lib.LOST, 'late')
  ((trial, measurement),) = store.finished()
  assert (trial, measurement.reward) == (first.trial, 0.5)
  assert store.counts() == {'waiting': 0, 'running': 1, 'done': 1}


def test_trials_come_back_as_they_were(store):
  given = trials(3)
  store.add(given)
  assert [store.claim(HERE, 60).trial for _ in range(3)] == given
  assert store.next_id() == 3


def test_an_expired_lease_gives_the_trial_to_another(store):
  store.add(trials(1))
  late = store.claim(HERE, -1)
  assert store.take_over() == 1
  again = store.claim(THERE, 60)
  assert again.trial == late.trial
  assert store.take_over() == 0  # This lease has not run out.
  assert not store.finish(late.attempt, Measurement(0.1))
  assert store.finish(again.attempt, Measurement(0.2))
  assert [m.reward for _, m in store.finished()] == [0.2]


def test_a_renewed_lease_is_kept(store):
  store.add(trials(1))
  store.claim(HERE, -1)
  store.renew(HERE, 60)
  assert store.take_over() == 0


def test_who_holds_the_lock_takes_over_from_all_others(store):
  store.add(trials(2))
  mine, orphan = store.claim(HERE, 60), store.claim(THERE, 60)
  assert store.take_over(HERE) == 1
  assert store.claim(HERE, 60).trial == orphan.trial
  assert store.finish(mine.attempt, Measurement(0.5))


def test_a_lost_trial_is_given_up_at_last_and_a_preempted_one_never(store):
  store.add(trials(2))
  for _ in range(5):
    attempt = store.claim(HERE, 60).attempt
    assert store.give_back(attempt, store_lib.PREEMPTED, 'preempted', max_lost=2)
  assert store.preemptions(attempt) == 5
  for _ in range(2):
    assert store.claim(HERE, 60).trial.id == 0
    attempt += 1
    assert store.give_back(attempt, store_lib.LOST, 'killed', max_lost=2)
  ((trial, measurement),) = store.finished()
  assert (trial.id, measurement.reward, measurement.status) == (0, 0.0, 'failed')
  assert measurement.reason == 'killed (2 attempts)'
  assert store.claim(HERE, 60).trial.id == 1
  assert store.attempts() == {'preempted': 5, 'lost': 2, 'running': 1}


def test_a_trial_that_is_to_wait_lets_the_next_go_first(store):
  store.add(trials(2))
  store.give_back(store.claim(HERE, 60).attempt, store_lib.PREEMPTED, 'preempted', wait_seconds=600)
  assert store.claim(HERE, 60).trial.id == 1
  assert store.claim(HERE, 60) is None


def test_a_known_architecture_repeats_its_reward(store):
  (trial,) = trials(1)
  store.add([trial, twin(trial, 1)])
  claim = store.claim(HERE, 60)
  assert store.claim(HERE, 60) is None  # The twin waits for what comes of the first.
  store.finish(claim.attempt, Measurement(0.5, ap=0.6, seconds=9))
  store.add([twin(trial, 2)])
  statuses = [(t.id, m.reward, m.ap, m.seconds, m.status) for t, m in store.finished()]
  assert statuses == [(0, 0.5, 0.6, 9, 'ok'), (1, 0.5, 0.6, 0, 'reused'), (2, 0.5, 0.6, 0, 'reused')]


def test_a_failure_is_not_repeated(store):
  (trial,) = trials(1)
  store.add([trial, twin(trial, 1)])
  store.finish(store.claim(HERE, 60).attempt, Measurement.failure('out of memory'))
  assert store.claim(HERE, 60).trial.id == 1


def test_without_reuse_twins_are_evaluated(path):
  store = Store(path, IDENTITY, reuse=False)
  (trial,) = trials(1)
  store.add([trial, twin(trial, 1)])
  assert [store.claim(HERE, 60).trial.id for _ in range(2)] == [0, 1]


def test_what_is_observed_and_the_state_change_together(store, path):
  store.add(trials(3))
  for reward in (0.1, 0.2):
    store.finish(store.claim(HERE, 60).attempt, Measurement(reward))
  assert store.searcher_state() is None
  news = store.unobserved()
  assert [m.reward for _, m in news] == [0.1, 0.2]
  store.observed([trial for trial, _ in news[:1]], b'one')
  again = Store(path, IDENTITY)
  assert again.searcher_state() == b'one'
  assert again.unobserved() == news[1:]


def test_many_workers_at_once(path):
  """100 workers, each with a connection of its own; every seventh claim is never heard of again."""
  num_trials, num_workers = 200, 100
  Store(path, IDENTITY).add(trials(num_trials))
  finished, problems = collections.Counter(), []

  def work(worker):
    try:
      store = Store(path, IDENTITY)
      while sum(finished.values()) < num_trials:
        claim = store.claim(f'worker {worker}', 60)
        if claim is None:
          break
        if claim.attempt % 7 and store.finish(claim.attempt, Measurement(0.5)):
          finished[claim.trial.id] += 1
      store.close()
    except Exception as e:
      problems.append(e)

  for _ in range(10):
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(num_workers)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    assert not problems
    store = Store(path, IDENTITY)
    store.take_over('somebody new')
    if store.counts()['done'] == num_trials:
      break
  assert finished == {trial_id: 1 for trial_id in range(num_trials)}
  assert sorted(trial.id for trial, _ in store.finished()) == list(range(num_trials))
  assert store.attempts()['measured'] == num_trials


def fill(path, num_trials):
  """Runs that many trials through a store; its size in bytes, once closed."""
  store, step = Store(path, IDENTITY), 100
  for first in range(0, num_trials, step):
    store.add(trials(step, first))
    for _ in range(step):
      store.finish(store.claim(HERE, 60).attempt, Measurement(0.5, ap=0.5, cost=1e9, seconds=3600))
    news = store.unobserved()
    store.observed([trial for trial, _ in news], b'x' * 2**20)  # As large as a controller with its optimizer.
  store.close()
  assert not os.path.exists(path + '-wal')
  return os.path.getsize(path)


def test_a_trial_takes_little_room(path):
  small = fill(path, 100)
  assert fill(path + '2', 500) - small < 400 * 5000  # Bytes a trial: 50 MB for 10,000.


@pytest.mark.slow
def test_ten_thousand_trials_take_less_than_50_mb(path):
  assert fill(path, 10_000) < 50e6


def test_a_full_disk_loses_nothing(path):
  store = Store(path, IDENTITY)
  store.add(trials(1))
  claim = store.claim(HERE, 60)
  store._db.change('PRAGMA max_page_count = 1')  # sqlite keeps to the pages that there are.
  with pytest.raises(StorageFull, match=r'search\.sqlite: no space left to write\. Nothing that was written is lost'):
    for first in range(1, 1000, 50):
      store.add(trials(50, first))
  count = store.next_id()
  store.close()
  again = Store(path, IDENTITY)
  assert again.next_id() == count
  again.add(trials(1, count))
  assert again.finish(claim.attempt, Measurement(0.5))


@pytest.mark.parametrize('key', ['space', 'searcher', 'seed'])
def test_a_store_of_another_search_is_refused(store, path, key):
  with pytest.raises(SearchError, match=f'belongs to another search: {key} is .* there and "other" here'):
    Store(path, {**IDENTITY, key: 'other'})


def test_what_is_other_in_another_search_is_named_key_by_key(tmp_path):
  before = {'evaluator': {'name': 'shared', 'steps': 5, 'task': {'size': [1, 2], 'seed': 0}}, 'seed': 0}
  now = {'evaluator': {'name': 'shared', 'task': {'size': [1, 3], 'seed': 0}}, 'seed': 0, 'ops': None}
  path = str(tmp_path / 'keys.sqlite')
  store = Store(path, before)
  with pytest.raises(SearchError) as refused:
    Store(path, now)
  assert str(refused.value) == (
    f'{path} belongs to another search: evaluator.steps is 5 there and not set here; evaluator.task.size is [1, 2]'
    ' there and [1, 3] here; ops is not set there and null here. Use another search directory, or the original'
    ' configuration. No trial in it is finished: the directory can also be deleted.'
  )
  store.add(trials(1))
  store.finish(store.claim(HERE, 60).attempt, Measurement(0.5))
  with pytest.raises(SearchError, match=r'or the original configuration\.$'):
    Store(path, now)
  store.close()


def test_a_store_of_a_newer_version_is_refused(store, path):
  store._db.change('PRAGMA user_version = 7')
  with pytest.raises(
    SearchError, match='is a store of version 7, this program supports up to 2: use the newer program'
  ):
    Store(path, IDENTITY)


def test_files_that_are_no_store(path, tmp_path):
  with open(path, 'wb') as f:
    f.write(b'not a database ' * 100)
  with pytest.raises(SearchError, match='is damaged or not the store'):
    Store(path, IDENTITY)
  other = str(tmp_path / 'other.sqlite')
  with sqlite3.connect(other) as connection:
    connection.execute('CREATE TABLE t (x)')
  with pytest.raises(SearchError, match='is not the store of a search; choose another search directory'):
    Store(other, IDENTITY)
  with pytest.raises(SearchError, match='cannot be read or written'):
    Store(str(tmp_path / 'nowhere' / 'search.sqlite'), IDENTITY)


def test_two_coordinators_at_once_are_noticed(store, path):
  store.add(trials(1))
  with pytest.raises(SearchError, match='another process is running this search, too'):
    Store(path, IDENTITY).add(trials(1))
