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

"""The Ray executor, on a cluster of two nodes in processes of this machine. Needs the extra [ray]."""

import os
import signal

import pytest

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors import ray_cluster
from nasfpn_tf.search.executors.executor import Job
from nasfpn_tf.search.executors.ray_cluster import RayExecutor
from nasfpn_tf.search.loop import Search
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.store import Store
from tests import testing
from tests.search import samples

if ray_cluster.ray is not None:
  from ray import cluster_utils

NODE = 'trial_slot'  # A resource that only the second node has.


def test_without_ray_the_extra_is_named(monkeypatch):
  monkeypatch.setattr(ray_cluster, 'ray', None)
  with pytest.raises(SearchError, match=r"Ray is not installed; pip install 'nasfpn_tf\[ray\]'"):
    RayExecutor(Setup('tests.search.samples:instant'))


@pytest.fixture(name='cluster', scope='module')
def fixture_cluster():
  if ray_cluster.ray is None:
    pytest.skip("Ray is not installed: pip install 'nasfpn_tf[ray]'")
  path = os.pathsep.join([str(testing.repo_root()), os.environ.get('PYTHONPATH', '')])  # Where Ray may be, too.
  os.environ.update(PYTHONPATH=path, RAY_raylet_start_wait_time_s='300', RAY_agent_register_timeout_ms='300000')
  os.environ.update(RAY_health_check_period_ms='500')
  cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={'num_cpus': 0, 'include_dashboard': False})
  cluster.node = cluster.add_node(num_cpus=1, resources={NODE: 1})
  yield cluster
  cluster.shutdown()


def search(cluster, path, evaluator, config, max_trials=4, disturb=None):
  """A whole search with one worker; `disturb` is called once a turn."""
  executor = RayExecutor(Setup(f'tests.search.samples:{evaluator}', config), 1, cluster.address, resources={NODE: 1})
  with SearchDirectory(str(path)) as directory:
    store = Store(directory.store, samples.IDENTITY)
    turn = (lambda done, running: None) if disturb is None else (lambda done, running: disturb())
    options = {'retry_seconds': 0.0, 'on_turn': turn}
    assert Search(directory, store, samples.TouchySearcher(), executor, max_trials, **options).run(grace_seconds=20.0)
    return store


def expected(num_trials):
  found, searcher = {}, samples.TouchySearcher()
  for trial_id in range(num_trials):
    (trial,) = searcher.propose(trial_id, 1)
    found[trial_id] = (trial.tokens, trial.info['memory'])
    searcher.observe([(trial, samples.instant(trial, '', {}))])
  return found


def once(path, action):
  """Calls `action` with the worker's process, once there is one."""
  begun = SearchDirectory(str(path)).work_dir(1) + '/begun'

  def disturb():
    if not once.done and os.path.exists(begun):
      with open(begun) as f:
        once.worker = int(f.read())
      action(once.worker)
      once.done = True

  once.done = False
  return disturb


def parent(pid):
  with open(f'/proc/{pid}/stat') as f:
    return int(f.read().rpartition(')')[2].split()[1])


@pytest.mark.slow
def test_a_killed_ray_worker_loses_no_trial(cluster, tmp_path):
  disturb = once(tmp_path, lambda pid: os.kill(parent(pid), signal.SIGKILL))
  store = search(cluster, tmp_path, 'pauses', {'trial': 1}, disturb=disturb)
  assert store.attempts() == {'measured': 4, 'lost': 1}
  assert samples.proposals(store) == expected(4)
  samples.wait_for(lambda: samples.is_gone(once.worker))


@pytest.mark.slow
@pytest.mark.parametrize('how', ['preempted', 'killed'])
def test_a_worker_that_ends_in_mid_trial(cluster, tmp_path, how):
  store = search(cluster, tmp_path, 'stops_once', {'trial': 1, 'how': how})
  assert store.attempts() == {'measured': 4, {'killed': 'lost'}.get(how, how): 1}
  assert samples.proposals(store) == expected(4)


@pytest.mark.slow
def test_closing_preempts_what_runs(cluster, tmp_path):
  executor = RayExecutor(Setup('tests.search.samples:pauses', {'trial': 0}), 1, cluster.address, resources={NODE: 1})
  (trial,) = samples.TouchySearcher().propose(0, 1)
  executor.submit(Job(5, trial, str(tmp_path)))
  samples.wait_for((tmp_path / 'begun').exists, 120)
  (outcome,) = executor.close(60.0)
  assert (outcome.attempt, outcome.preempted) == (5, True)
  assert samples.is_gone(int((tmp_path / 'begun').read_text()))


@pytest.mark.slow
def test_a_killed_node_loses_no_trial(cluster, tmp_path):
  """The node goes with everything on it; another one comes."""

  def replace_node(unused_pid):
    cluster.remove_node(cluster.node, allow_graceful=False)
    cluster.node = cluster.add_node(num_cpus=1, resources={NODE: 1})

  store = search(cluster, tmp_path, 'pauses', {'trial': 1}, disturb=once(tmp_path, replace_node))
  attempts = store.attempts()
  assert attempts.pop('measured') == 4
  assert sum(attempts.values()) == 1
  assert samples.proposals(store) == expected(4)
  samples.wait_for(lambda: samples.is_gone(once.worker))
