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

r"""Searches for an architecture: docs/search.md.

search.py --search_config=NAME --search_dir=runs/search

The same command goes on with a search that was stopped, however it ended. best.json in the search directory is a
topology: train.py --params_override=task.model.decoder.feature_pyramid.topology=runs/search/best.json
"""

import os
import sys
from collections.abc import Sequence

from absl import app, flags

from nasfpn_tf import failure, startup
from nasfpn_tf.config import loading
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import run as run_lib
from nasfpn_tf.search import searchers, spaces
from nasfpn_tf.search.problems import SearchError

_STOPPED = 42  # As a training that is told to stop: start it again, it is no failure.

_SEARCH_CONFIG = flags.DEFINE_string(
  'search_config', None, f'YAML file, or a name in configs/search/: {", ".join(sorted(loading.search_config_names()))}.'
)
_SEARCH_DIR = flags.DEFINE_string('search_dir', None, 'Directory of the search and its results.')
_PARAMS_OVERRIDE = flags.DEFINE_string('params_override', None, 'key.of.field=value,... or a YAML mapping or file.')
_SEARCHER = flags.DEFINE_enum('searcher', None, list(searchers.SEARCHERS), 'Algorithm that proposes architectures.')
_EXECUTOR = flags.DEFINE_enum('executor', None, ['local', 'ray'], 'Where trials are evaluated.')
_NUM_WORKERS = flags.DEFINE_integer('num_workers', None, 'Number of trials to run in parallel.')
_MAX_TRIALS = flags.DEFINE_integer('max_trials', None, 'Total number of trials, including those of earlier runs.')


def main(argv: Sequence[str]) -> None:
  with failure.told('search', f'interrupted twice; the same command resumes {_SEARCH_DIR.value}.'):
    if len(argv) > 1:
      raise SearchError(f'unexpected argument {argv[1]!r}; flags begin with --.')
    config = config_lib.load(_SEARCH_CONFIG.value, _PARAMS_OVERRIDE.value)
    flag_values = {
      'searcher': _SEARCHER.value,
      'executor': _EXECUTOR.value,
      'num_workers': _NUM_WORKERS.value,
      'max_trials': _MAX_TRIALS.value,
    }
    config = config.replace(**{key: value for key, value in flag_values.items() if value is not None})
    space = spaces.build(config.space)
    print(f'Space {space.name}: {space.size():,} architectures of {space.num_steps} decisions ({space.size():.3g}).')
    done = run_lib.run(config, _SEARCH_DIR.value)
  if not done:
    print(f'search: stopped; the same command resumes {_SEARCH_DIR.value}.', file=sys.stderr)
    sys.exit(_STOPPED)
  print(f'Results: {os.path.abspath(_SEARCH_DIR.value)}')


def run() -> None:
  """Runs the command: console entry point."""
  startup.end_at_signals('search')
  flags.mark_flags_as_required(['search_config', 'search_dir'])
  app.run(main)


if __name__ == '__main__':
  run()
