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

"""A small searcher, evaluators that take no time, and a coordinator to kill: what the tests of the search share."""

import hashlib
import os
import signal
import sys
import time

import numpy as np

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.local import LocalExecutor
from nasfpn_tf.search.loop import Search
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.store import Store
from nasfpn_tf.search.trial import Measurement, Trial

SPACE = PyramidSpace()
IDENTITY = {'space': SPACE.to_json(), 'searcher': {'name': 'touchy'}, 'seed': 3}


class TouchySearcher:
  """Each proposal depends on every reward observed before it, and on their order."""

  def __init__(self, space=SPACE, seed=3):
    self._space, self._seed, self._memory = space, seed, b'nothing yet'

  def propose(self, first_id, count):
    return [
      Trial.of(self._space, i, self._space.sample(self._rng(i)), {'memory': self._memory.hex()[:8]})
      for i in range(first_id, first_id + count)
    ]

  def observe(self, results):
    for trial, measurement in results:
      text = f'{trial.id} {measurement.reward}'.encode()
      self._memory = hashlib.sha256(self._memory + text).digest()

  def state(self):
    return self._memory

  def restore(self, state):
    self._memory = state

  def _rng(self, trial_id):
    return np.random.default_rng((self._seed, trial_id, int.from_bytes(self._memory[:8], 'little')))


def reward(trial):
  """A reward that is a function of the architecture."""
  return int(trial.digest[:6], 16) / 16**6


def instant(trial, work_dir, config):
  """Takes no time."""
  return Measurement(reward(trial), ap=reward(trial), cost=float(sum(trial.tokens)))


def knows_space(trial, work_dir, config, space):
  """Its cost is 1 if the trial is of the space that it is handed."""
  return Measurement(0.5, cost=float(space.encode(space.read(trial.architecture)) == trial.tokens))


def tells_pid(trial, work_dir, config):
  """Its cost is the process it runs in."""
  return Measurement(0.5, cost=os.getpid())


def tells_variable(trial, work_dir, config):
  """Its cost is the variable SAMPLE; takes long enough for others to begin meanwhile."""
  time.sleep(0.2)
  return Measurement(0.5, cost=float(os.environ['SAMPLE']))


def fails(trial, work_dir, config):
  """Fails in the way the configuration says."""
  print('about to fail')
  how = config['how']
  if how == 'raises':
    raise ValueError('the loss is not finite')
  if how == 'exits':
    sys.exit(5)
  if how == 'dies':
    os.kill(os.getpid(), signal.SIGKILL)
  if how == 'hangs':
    time.sleep(600)
  if how == 'unusable':
    raise SearchError('the data is missing')
  return 0.5


def stops_once(trial, work_dir, config):
  """At the trial that the configuration names, the first attempt ends with a signal or an exit code."""
  path = os.path.join(work_dir, 'begun')
  if trial.id == config['trial'] and not os.path.exists(path):
    open(path, 'w').close()
    if config['how'] == 'preempted':
      sys.exit(42)
    os.kill(os.getpid(), signal.SIGKILL)
  return instant(trial, work_dir, config)


def pauses(trial, work_dir, config):
  """At the trial that the configuration names, says so and takes long, but only the first time."""
  path = os.path.join(work_dir, 'begun')
  if trial.id == config['trial'] and not os.path.exists(path):
    with open(path + '.partial', 'w') as f:
      f.write(str(os.getpid()))
    os.rename(path + '.partial', path)
    time.sleep(600)
  return instant(trial, work_dir, config)


def run(path, evaluator='instant', config=None, max_trials=10, num_workers=1, searcher=None, **options):
  """Runs a search in `path`; returns whether it is done, and its store."""
  with SearchDirectory(str(path)) as directory:
    store = Store(directory.store, IDENTITY)
    executor_options = {key: options.pop(key) for key in ('timeout_seconds', 'trials_per_process') if key in options}
    executor = LocalExecutor(Setup(f'{__name__}:{evaluator}', config or {}), num_workers, **executor_options)
    search = Search(
      directory, store, searcher or TouchySearcher(), executor, max_trials, **{'retry_seconds': 0.0, **options}
    )
    return search.run(grace_seconds=5.0), store


def wait_for(condition, seconds=30):
  """Waits until something holds."""
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, 'waited in vain'
    time.sleep(0.01)


def is_gone(pid):
  """Whether the process has ended, its entry in the table apart."""
  try:
    with open(f'/proc/{pid}/stat') as f:
      return f.read().rpartition(')')[2].split()[0] == 'Z'
  except FileNotFoundError:
    return True


def proposals(store):
  """What was proposed, by number, with what the searcher knew then."""
  return {trial.id: (trial.tokens, trial.info['memory']) for trial, _ in store.finished()}


if __name__ == '__main__':  # A coordinator in a process of its own: DIRECTORY EVALUATOR TRIAL MAX_TRIALS
  import tests.search.samples as samples

  done, _ = samples.run(sys.argv[1], sys.argv[2], {'trial': int(sys.argv[3])}, int(sys.argv[4]))
  sys.exit(0 if done else 42)
