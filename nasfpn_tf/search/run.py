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

"""Runs a search from its configuration to its results; `scripts/search.py` calls it."""

from collections.abc import Callable

from nasfpn_tf.search import evaluators, executors, front, searchers, spaces, summary
from nasfpn_tf.search.config import SearchConfig
from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.loop import Search
from nasfpn_tf.search.progress import SearchProgress
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.storage.outputs import Outputs
from nasfpn_tf.search.storage.store import Store
from nasfpn_tf.search.trial import Results


def run(config: SearchConfig, search_dir: str) -> bool:
  """Starts the search in `search_dir`, or resumes it.

  Returns:
    Whether all trials are done; not if a signal has stopped the search.

  Raises:
    SearchError: the search cannot begin or cannot go on; the message says what to do.
  """
  evaluators.check(config.evaluator['name'])
  space = spaces.build(config.space)
  setup = Setup(config.evaluator['name'], config.evaluator_config(), config.space)
  options = dict(config.searcher)
  searcher = searchers.build(options.pop('name'), space, config.seed, options)
  with SearchDirectory(search_dir) as directory:
    store = Store(directory.store, config.identity(space.to_json()), config.reuse_rewards)
    progress = None
    try:
      outputs = Outputs(
        directory,
        store.finished(),
        _renderer(config, space),
        config.report_seconds,
        lambda results: front.write(directory, results, config.evaluator, space),
      )
      progress = SearchProgress(len(outputs.results), config.max_trials)
      search = Search(
        directory,
        store,
        searcher,
        executors.build(config.executor, setup, config.num_workers),
        config.max_trials,
        max_lost=config.max_lost,
        max_failed=config.max_failed,
        on_results=outputs.add,
        on_turn=lambda done, running: progress.update(done, running, outputs.best),
      )
      done = search.run(config.grace_seconds)
      outputs.report()
      return done
    finally:
      if progress is not None:
        progress.close()
      store.close()


def _renderer(config: SearchConfig, space: SearchSpace) -> Callable[[Results], str]:
  identity = config.identity(space.to_json())
  return lambda results: summary.render(results, space, identity, config.max_trials)
