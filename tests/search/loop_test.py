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

"""Whole searches with real processes: whatever is killed, no trial is lost or counted twice."""

import json
import os
import signal
import subprocess
import sys

import pytest

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.storage.directory import SearchDirectory
from tests.search import samples
from tests.search.samples import is_gone, wait_for


@pytest.fixture(name='expected', scope='module')
def fixture_expected(tmp_path_factory):
  """What a search of 10 trials proposes that nothing has disturbed."""
  done, store = samples.run(tmp_path_factory.mktemp('undisturbed'))
  assert done and store.attempts() == {'measured': 10}
  return samples.proposals(store)


def work_dir(path, trial_id):
  return SearchDirectory(str(path)).work_dir(trial_id)


def begun(path, trial_id):
  """The worker's process, once it has begun the trial."""
  name = os.path.join(work_dir(path, trial_id), 'begun')
  wait_for(lambda: os.path.exists(name))
  with open(name) as f:
    return int(f.read())


def check_all_counted_once(store, num_trials=10):
  assert sorted(trial.id for trial, _ in store.finished()) == list(range(num_trials))
  assert store.counts() == {'waiting': 0, 'running': 0, 'done': num_trials}
  assert store.attempts()['measured'] == num_trials
  assert not store.unobserved()


def test_every_proposal_knows_all_rewards_before_it(expected):
  searcher = samples.TouchySearcher()
  for trial_id in range(10):
    (trial,) = searcher.propose(trial_id, 1)
    assert expected[trial_id] == (trial.tokens, trial.info['memory'])
    searcher.observe([(trial, samples.instant(trial, '', {}))])


def test_a_search_goes_on_where_it_ended(tmp_path, expected):
  for max_trials in (4, 4, 10):
    done, store = samples.run(tmp_path, max_trials=max_trials)
    assert done and store.counts()['done'] == max_trials
    store.close()
  assert samples.proposals(samples.Store(str(tmp_path / 'search.sqlite'), samples.IDENTITY)) == expected


@pytest.mark.parametrize('how', ['preempted', 'killed'])
def test_a_worker_that_ends_in_mid_trial(tmp_path, expected, how):
  done, store = samples.run(tmp_path, 'stops_once', {'trial': 4, 'how': how}, max_lost=2)
  assert done
  check_all_counted_once(store)
  assert store.attempts() == {'measured': 10, {'killed': 'lost'}.get(how, how): 1}
  assert samples.proposals(store) == expected


def test_the_coordinator_is_killed_in_mid_trial(tmp_path, expected):
  command = [sys.executable, '-m', 'tests.search.samples', str(tmp_path), 'pauses', '4', '10']
  coordinator = subprocess.Popen(command)
  worker = begun(tmp_path, 4)
  os.kill(coordinator.pid, signal.SIGKILL)
  coordinator.wait()
  wait_for(lambda: is_gone(worker))
  done, store = samples.run(tmp_path, 'pauses', {'trial': 4})
  assert done
  check_all_counted_once(store)
  assert store.attempts() == {'measured': 10, 'orphaned': 1}
  assert samples.proposals(store) == expected


def test_the_coordinator_is_told_to_stop(tmp_path, expected):
  command = [sys.executable, '-m', 'tests.search.samples', str(tmp_path), 'pauses', '4', '10']
  coordinator = subprocess.Popen(command)
  worker = begun(tmp_path, 4)
  with pytest.raises(SearchError, match='another process is running this search'):
    samples.run(tmp_path, 'pauses', {'trial': 4})
  os.kill(coordinator.pid, signal.SIGTERM)
  assert coordinator.wait() == 42
  assert is_gone(worker)
  done, store = samples.run(tmp_path, 'pauses', {'trial': 4})
  assert done
  check_all_counted_once(store)
  assert store.attempts() == {'measured': 10, 'preempted': 1}
  assert samples.proposals(store) == expected


def test_the_run_ends_between_a_measurement_and_its_observation(tmp_path, expected):
  class Interrupted(samples.TouchySearcher):
    def observe(self, results):
      if results[-1][0].id == 5:
        raise OSError('the end')
      super().observe(results)

  with pytest.raises(OSError, match='the end'):
    samples.run(tmp_path, searcher=Interrupted())
  done, store = samples.run(tmp_path)
  assert done
  check_all_counted_once(store)
  assert store.attempts() == {'measured': 10}  # The one that was not observed is not evaluated again.
  assert samples.proposals(store) == expected


def test_several_workers(tmp_path):
  done, store = samples.run(tmp_path, max_trials=60, num_workers=4)
  assert done
  check_all_counted_once(store, 60)


def test_a_trial_whose_worker_dies_every_time_fails(tmp_path):
  done, store = samples.run(tmp_path, 'fails', {'how': 'dies'}, max_trials=1, max_lost=2)
  assert done
  ((_, measurement),) = store.finished()
  assert measurement.reward == 0 and 'SIGKILL' in measurement.reason and '(2 attempts)' in measurement.reason


def test_when_all_fail_the_search_stops(tmp_path):
  with pytest.raises(SearchError, match=r'5 trials in a row have failed, the last, 4, because: ValueError: the loss'):
    samples.run(tmp_path, 'fails', {'how': 'raises'}, max_failed=5)


def test_when_none_can_be_evaluated_none_is_counted(tmp_path):
  with pytest.raises(SearchError, match='the data is missing'):
    samples.run(tmp_path, 'fails', {'how': 'unusable'})
  done, store = samples.run(tmp_path, max_trials=2)
  assert done and store.attempts() == {'measured': 2, 'orphaned': 1}


def test_repeated_architectures_are_evaluated_once(tmp_path):
  class Stubborn(samples.TouchySearcher):
    def propose(self, first_id, count):
      return [
        samples.Trial.of(samples.SPACE, i, samples.SPACE.sequence(i % 3)) for i in range(first_id, first_id + count)
      ]

  done, store = samples.run(tmp_path, max_trials=20, num_workers=2, searcher=Stubborn())
  assert done
  assert store.attempts() == {'measured': 3}
  assert len({measurement.reward for _, measurement in store.finished()}) == 3


def test_the_loop_tells_what_happens(tmp_path):
  told, turns = [], []
  samples.run(
    tmp_path, max_trials=5, on_results=told.extend, on_turn=lambda done, running: turns.append((done, running))
  )
  assert [trial.id for trial, _ in told] == list(range(5))
  assert turns[-1] == (5, 0)
  assert json.loads(told[0][0].to_json())['id'] == 0
