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

"""Measures the trials per minute that store and local executor allow, with an evaluation that takes no time.

python -m benchmarks.search_throughput --num_trials=1000 --num_workers=2

Prints trials a minute, and the size of the store by trial. Random search, persistent workers, every change synced.
"""

import os
import tempfile
import time

from absl import app, flags

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.local import LocalExecutor
from nasfpn_tf.search.loop import Search
from nasfpn_tf.search.searchers import RandomSearch
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.store import Store
from nasfpn_tf.search.trial import Measurement, Trial

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_trials', 1000, 'How many trials.', lower_bound=1)
flags.DEFINE_integer('num_workers', 2, 'How many worker processes.', lower_bound=1)


def evaluate(trial: Trial, work_dir: str, config: dict) -> Measurement:
  """Returns a constant reward in no time."""
  del work_dir, config
  return Measurement(int(trial.digest[:4], 16) / 16**4)


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as path, SearchDirectory(path) as directory:
    store = Store(directory.store, {})
    executor = LocalExecutor(Setup('benchmarks.search_throughput:evaluate'), FLAGS.num_workers)
    start = time.monotonic()
    Search(directory, store, RandomSearch(PyramidSpace()), executor, FLAGS.num_trials).run()
    seconds = time.monotonic() - start
    store.close()
    size = os.path.getsize(directory.store)
  print(f'{FLAGS.num_trials} trials, {FLAGS.num_workers} workers: {60 * FLAGS.num_trials / seconds:.0f} a minute')
  print(f'{size / FLAGS.num_trials:.0f} bytes a trial in the store')


if __name__ == '__main__':
  app.run(main)
