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

"""Kills workers, nodes and the coordinator of a large search at random moments, and counts what it kept.

python -m tests.reliability.search_scale --trials=10000 --workers=100 --kills=20
python -m tests.reliability.search_scale --trials=1000 --workers=100 --kills=18 --executor=ray

A trial waits half a second instead of training. Every kill is SIGKILL. A coordinator that was killed is started again;
with Ray, which needs the extra [ray], the workers are spread over nodes in processes of this machine, and a killed node
is replaced. Fails unless every trial is there once, measured once, with the reward of its architecture, and observed by
the searcher.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.trial import Measurement, Trial
from tests import testing
from tests.search import samples

_SLEEP = 0.5
_NODES = 5


def evaluate(trial: Trial, work_dir: str, config: Mapping[str, Any]) -> Measurement:
  """Takes half a second and returns the reward of the architecture."""
  del work_dir, config
  time.sleep(_SLEEP)
  return Measurement(samples.reward(trial))


class Local:
  """Workers are child processes of the coordinator."""

  victims = ('worker', 'coordinator')

  def executor(self) -> dict[str, Any]:
    return {'name': 'local'}

  def workers(self, coordinator: int) -> list[int]:
    return [pid for pid in _descendants(coordinator) if 'worker' in _command(pid)]

  def close(self) -> None:
    pass


class Ray:
  """Workers are those of a cluster, whose nodes are processes of this machine."""

  victims = ('worker', 'coordinator', 'node')

  def __init__(self, num_workers: int):
    from ray import cluster_utils

    os.environ.update(RAY_raylet_start_wait_time_s='300', RAY_agent_register_timeout_ms='300000')
    self._cpus = -(-num_workers // _NODES)
    self._cluster = cluster_utils.Cluster(
      initialize_head=True, head_node_args={'num_cpus': 0, 'include_dashboard': False}
    )
    self._nodes = [self._cluster.add_node(num_cpus=self._cpus) for _ in range(_NODES)]

  def executor(self) -> dict[str, Any]:
    return {'name': 'ray', 'address': self._cluster.address, 'num_cpus': 1}

  def workers(self, coordinator: int) -> list[int]:
    del coordinator
    return [pid for pid in _descendants(os.getpid()) if _command(pid).startswith('ray::_supervise')]

  def replace_node(self, rng: random.Random) -> None:
    place = rng.randrange(len(self._nodes))
    self._cluster.remove_node(self._nodes[place], allow_graceful=False)
    self._nodes[place] = self._cluster.add_node(num_cpus=self._cpus)

  def close(self) -> None:
    self._cluster.shutdown()


def _command(pid: int) -> str:
  try:
    return pathlib.Path(f'/proc/{pid}/cmdline').read_text(errors='replace').replace('\0', ' ')
  except OSError:
    return ''


def _descendants(pid: int) -> Iterator[int]:
  children = collections.defaultdict(list)
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      children[int(path.read_text().rpartition(')')[2].split()[1])].append(int(path.parent.name))
    except OSError:  # It has ended meanwhile.
      continue
  waiting = [pid]
  while waiting:
    found = children[waiting.pop()]
    yield from found
    waiting += found


def _kill_one(workers: Sequence[int], rng: random.Random) -> bool:
  """Kills one of the workers; False if there is none yet, as after a start, or it has just ended."""
  try:
    os.kill(rng.choice(workers), signal.SIGKILL)
  except (IndexError, ProcessLookupError):
    return False
  return True


def _start(directory: pathlib.Path, num_workers: int) -> subprocess.Popen:
  path = os.pathsep.join([str(testing.repo_root()), os.environ.get('PYTHONPATH', '')])
  environment = {**os.environ, 'PYTHONPATH': path, 'TF_CPP_MIN_LOG_LEVEL': '3'}
  command = [sys.executable, str(testing.repo_root() / 'scripts' / 'search.py')]
  command += [f'--search_config={directory / "search.yaml"}', f'--search_dir={directory / "search"}']
  command += [f'--num_workers={num_workers}']
  with open(directory / 'log', 'ab') as log:
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _num_done(path: str) -> int:
  if not os.path.exists(path):
    return 0
  try:
    with sqlite3.connect(f'file:{path}?mode=ro', uri=True) as connection:
      return connection.execute("SELECT COUNT(*) FROM trials WHERE status = 'done'").fetchone()[0]
  except sqlite3.OperationalError:  # It is being made.
    return 0


def run(directory: pathlib.Path, cluster: Local | Ray, trials: int, workers: int, kills: int, seed: int) -> dict:
  """Runs the search to its end; returns {what: how often it was killed}."""
  rng = random.Random(seed)
  config = {
    'space': {'name': 'nasfpn'},
    'searcher': {'name': 'evolution'},
    'evaluator': {'name': 'tests.reliability.search_scale:evaluate'},
    'executor': cluster.executor(),
    'max_trials': trials,
  }
  (directory / 'search.yaml').write_text(yaml.safe_dump(config))
  store = str(directory / 'search' / 'search.sqlite')
  # A kill each time that so many trials are done.
  moments = sorted(rng.randrange(1, trials) for _ in range(kills))
  killed: collections.Counter = collections.Counter()
  search = _start(directory, workers)
  while (code := search.poll()) != 0:
    time.sleep(0.1)
    if code is not None:
      assert code == -signal.SIGKILL, f'the search ended with {code}: {directory / "log"}'
      search = _start(directory, workers)
    if not moments or _num_done(store) < moments[0]:
      continue
    victim = cluster.victims[sum(killed.values()) % len(cluster.victims)]
    if victim == 'coordinator':
      search.kill()
      search.wait()
    elif victim == 'node':
      cluster.replace_node(rng)
    elif not _kill_one(cluster.workers(search.pid), rng):
      continue
    moments.pop(0)
    killed[victim] += 1
  assert not moments, f'the search ended before {len(moments)} of the kills'
  return dict(killed)


def audit(directory: pathlib.Path, trials: int) -> dict[str, int]:
  """Checks that every trial is there, measured and observed once; returns {outcome: attempts}."""
  with SearchDirectory(str(directory / 'search')) as found, sqlite3.connect(found.store) as connection:
    rows = connection.execute('SELECT id, trial, status, observed, measurement FROM trials ORDER BY id').fetchall()
    measured = [row[0] for row in connection.execute("SELECT trial_id FROM attempts WHERE outcome = 'measured'")]
    outcomes = connection.execute('SELECT outcome, COUNT(*) FROM attempts GROUP BY outcome').fetchall()
    exported = [json.loads(line)['id'] for line in pathlib.Path(found.trials).read_text().splitlines()]
  assert [row[0] for row in rows] == list(range(trials)), f'{len(rows)} trials'
  assert all(row[2] == 'done' and row[3] == 1 for row in rows), 'a trial was not done or not observed'
  for _, trial, _, _, measurement in rows:
    assert Measurement.from_json(measurement).reward == samples.reward(Trial.from_json(trial)), trial
  assert len(measured) == len(set(measured)), 'a trial was measured twice'
  # A trial whose architecture has been measured before takes that measurement.
  digests = [Trial.from_json(row[1]).digest for row in rows]
  assert set(digests) == {digests[i] for i in measured}, 'an architecture was never measured'
  assert sorted(exported) == list(range(trials)), f'{len(exported)} trials are exported'
  return dict(outcomes)


def main(argv: list[str]) -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--trials', type=int, default=10000)
  parser.add_argument('--workers', type=int, default=100)
  parser.add_argument('--kills', type=int, default=20)
  parser.add_argument('--executor', choices=['local', 'ray'], default='local')
  parser.add_argument('--seed', type=int, default=0)
  arguments = parser.parse_args(argv)
  directory = pathlib.Path(tempfile.mkdtemp(prefix='search_scale_'))
  cluster = Local() if arguments.executor == 'local' else Ray(arguments.workers)
  started = time.monotonic()
  try:
    killed = run(directory, cluster, arguments.trials, arguments.workers, arguments.kills, arguments.seed)
  finally:
    cluster.close()
  seconds = round(time.monotonic() - started)
  outcomes = audit(directory, arguments.trials)
  print(json.dumps({'executor': arguments.executor, 'killed': killed, 'attempts': outcomes, 'seconds': seconds}))
  shutil.rmtree(directory)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
