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

"""The local executor, with real processes: every way in which a job can end."""

import os
import signal
import subprocess
import sys

import pytest

from nasfpn_tf.search import evaluators
from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.executor import Job
from nasfpn_tf.search.executors.local import LocalExecutor
from nasfpn_tf.search.problems import SearchError
from tests.search import samples
from tests.search.samples import is_gone, wait_for


@pytest.fixture(name='run')
def fixture_run(tmp_path):
  """Runs one job; returns its outcome and the log."""
  executors = []

  def run(evaluator, config=None, space=None, **options):
    if ':' not in evaluator:
      evaluator = f'tests.search.samples:{evaluator}'
    executor = LocalExecutor(Setup(evaluator, config or {}, space or {}), **options)
    executors.append(executor)
    (trial,) = samples.TouchySearcher().propose(0, 1)
    executor.submit(Job(7, trial, str(tmp_path / 'trial')))
    outcomes = []
    wait_for(lambda: outcomes.extend(executor.wait(1.0)) or outcomes)
    (outcome,) = outcomes
    assert outcome.attempt == 7
    return outcome, (tmp_path / 'trial' / 'log.txt').read_text()

  yield run
  for executor in executors:
    assert executor.close(1.0) == []


def test_a_measurement_comes_back(run):
  outcome, log = run('instant')
  (trial,) = samples.TouchySearcher().propose(0, 1)
  assert outcome.measurement.reward == samples.reward(trial)
  assert outcome.measurement.seconds > 0
  assert log == ''


def test_an_evaluator_that_asks_for_the_space_is_handed_it(run):
  outcome, _ = run('knows_space', space={'name': 'nasfpn'})
  assert outcome.measurement.cost == 1.0
  outcome, _ = run('knows_space', space={'name': 'nasfpn', 'num_cells': 4})
  assert '4 cells have no legal sequence' in outcome.unusable


def test_an_exception_fails_the_trial_and_is_in_its_log(run):
  outcome, log = run('fails', {'how': 'raises'})
  assert outcome.measurement.reason == 'ValueError: the loss is not finite'
  assert (outcome.measurement.reward, outcome.measurement.status) == (0.0, 'failed')
  assert log.startswith('about to fail') and 'Traceback' in log


def test_an_exit_fails_the_trial(run):
  assert run('fails', {'how': 'exits'})[0].measurement.reason == 'exited with 5'


def test_a_killed_worker_loses_the_trial(run):
  outcome, _ = run('fails', {'how': 'dies'})
  assert 'killed by SIGKILL, possibly because memory ran out' in outcome.lost
  assert outcome.measurement is None


def test_exit_code_42_is_a_preemption(run, tmp_path):
  outcome, _ = run('stops_once', {'trial': 0, 'how': 'preempted'})
  assert outcome.preempted and not outcome.lost


def test_a_trial_that_takes_too_long_fails(run):
  outcome, _ = run('fails', {'how': 'hangs'}, timeout_seconds=1.0)
  assert outcome.measurement.reason == 'took longer than 1 seconds'


@pytest.mark.parametrize(
  ('evaluator', 'message'),
  [
    ('fails', 'the data is missing'),
    ('tests.search.samples:nothing', "'tests.search.samples' has no 'nothing'"),
    ('tests.search.nowhere:instant', "module 'tests.search.nowhere' cannot be loaded"),
  ],
)
def test_what_makes_every_trial_fail_fails_none(run, evaluator, message):
  outcome, _ = run(evaluator, {'how': 'unusable'})
  assert outcome.measurement is None
  assert message in outcome.unusable


def test_an_evaluator_that_returns_no_measurement(run):
  assert 'returned 0.5, not a Measurement' in run('fails', {'how': 'returns'})[0].unusable


def test_workers_go_on_or_are_replaced(tmp_path):
  def pids(**options):
    executor = LocalExecutor(Setup('tests.search.samples:tells_pid'), **options)
    found = []
    for trial in samples.TouchySearcher().propose(0, 3):
      executor.submit(Job(trial.id, trial, str(tmp_path / str(trial.id))))
      outcomes = []
      wait_for(lambda outcomes=outcomes: outcomes.extend(executor.wait(1.0)) or outcomes)
      found.append(outcomes[0].measurement.cost)
    executor.close(5.0)
    wait_for(lambda: all(is_gone(int(pid)) for pid in found))
    return len(set(found))

  assert pids() == 1
  assert pids(trials_per_process=1) == 3


def test_workers_have_environments_of_their_own(tmp_path):
  environments = [{'SAMPLE': '3'}, {'SAMPLE': '4'}]
  executor = LocalExecutor(Setup('tests.search.samples:tells_variable'), 3, environments=environments)
  for trial in samples.TouchySearcher().propose(0, 3):
    executor.submit(Job(trial.id, trial, str(tmp_path / str(trial.id))))
  outcomes = []
  wait_for(lambda: outcomes.extend(executor.wait(1.0)) or len(outcomes) == 3)
  executor.close(5.0)
  assert sorted(outcome.measurement.cost for outcome in outcomes) == [3, 3, 4]


def test_closing_without_a_grace_ends_idle_workers(tmp_path):
  executor = LocalExecutor(Setup('tests.search.samples:tells_pid'))
  (trial,) = samples.TouchySearcher().propose(0, 1)
  executor.submit(Job(1, trial, str(tmp_path)))
  outcomes = []
  wait_for(lambda: outcomes.extend(executor.wait(1.0)) or outcomes)
  assert executor.close(0.0) == []
  assert is_gone(int(outcomes[0].measurement.cost))


def test_closing_preempts_what_runs(tmp_path):
  executor = LocalExecutor(Setup('tests.search.samples:pauses', {'trial': 0}))
  (trial,) = samples.TouchySearcher().propose(0, 1)
  executor.submit(Job(1, trial, str(tmp_path)))
  wait_for((tmp_path / 'begun').exists)
  (outcome,) = executor.close(30.0)
  assert outcome.preempted
  assert is_gone(int((tmp_path / 'begun').read_text()))


def test_a_worker_ends_with_its_owner(tmp_path):
  """The owner is killed in mid-trial: the worker that it leaves behind ends, too."""
  program = (
    'import sys\nfrom tests.search import samples\nfrom nasfpn_tf.search.executors.executor import Job\n'
    'from nasfpn_tf.search.evaluators.evaluator import Setup\n'
    'from nasfpn_tf.search.executors.local import LocalExecutor\n'
    "executor = LocalExecutor(Setup('tests.search.samples:pauses', {'trial': 0}))\n"
    'executor.submit(Job(1, samples.TouchySearcher().propose(0, 1)[0], sys.argv[1]))\nexecutor.wait(600)\n'
  )
  owner = subprocess.Popen([sys.executable, '-c', program, str(tmp_path)])
  wait_for((tmp_path / 'begun').exists)
  worker = int((tmp_path / 'begun').read_text())
  assert not is_gone(worker)
  os.kill(owner.pid, signal.SIGKILL)
  owner.wait()
  wait_for(lambda: is_gone(worker))


def test_names_of_evaluators():
  evaluators.check('tests.search.samples:instant')
  assert evaluators.load('tests.search.samples:instant') is samples.instant
  for name in ('no_such', 'module:', ':function', 'tests.search.samples'):
    with pytest.raises(SearchError, match='or module:function is expected'):
      evaluators.check(name)
  for name in ('no_such_module:evaluate', 'no_such.module:evaluate'):
    with pytest.raises(SearchError, match='there is no module'):
      evaluators.check(name)
