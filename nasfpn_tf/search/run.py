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

"""A search from its configuration to its results: what `scripts/search.py` calls."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nasfpn_tf.search import evaluators, report, searchers, spaces
from nasfpn_tf.search.config import SearchConfig
from nasfpn_tf.search.directory import SearchDirectory
from nasfpn_tf.search.executor import Executor
from nasfpn_tf.search.local_executor import LocalExecutor
from nasfpn_tf.search.loop import Search
from nasfpn_tf.search.outputs import Outputs, Results
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.progress import SearchProgress
from nasfpn_tf.search.store import Store


def run(config: SearchConfig, search_dir: str) -> bool:
  """Starts the search in `search_dir`, or goes on with it.

  Returns:
    Whether all trials are done; not if a signal has stopped the search.

  Raises:
    SearchError: the search cannot begin or cannot go on; the message says what to do.
  """
  evaluators.check(config.evaluator['name'])
  space = spaces.build(config.space)
  options = dict(config.searcher)
  searcher = searchers.build(options.pop('name'), space, config.seed, options)
  with SearchDirectory(search_dir) as directory:
    store = Store(directory.store, config.identity(space.to_json()), config.reuse_rewards)
    progress = None
    try:
      outputs = Outputs(directory, store.finished(), _renderer(config, space), config.report_seconds)
      progress = SearchProgress(len(outputs.results), config.max_trials)
      search = Search(
        directory,
        store,
        searcher,
        _executor(config),
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


def _renderer(config: SearchConfig, space: spaces.SearchSpace) -> Callable[[Results], str]:
  identity = config.identity(space.to_json())
  return lambda results: report.render(results, space, identity, config.max_trials)


def _executor(config: SearchConfig) -> Executor:
  options = dict(config.executor)
  name = options.pop('name')
  if name == 'local':
    kind = LocalExecutor
  elif name == 'ray':
    from nasfpn_tf.search.ray_executor import RayExecutor as kind  # Ray is an extra.
  else:
    raise SearchError(f'executor {name!r} is unknown; choose local or ray.')
  _check_options(name, kind, options)
  return kind(config.evaluator['name'], config.evaluator_config(), config.num_workers, **options)


def _check_options(name: str, kind: type, options: Mapping[str, Any]) -> None:
  known = list(inspect.signature(kind).parameters)[3:]
  for key in options:
    if key not in known:
      raise SearchError(f'executor {name}: option {key!r} is unknown; known are {", ".join(known)}.')
