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

"""Records the rewards of architectures drawn uniformly, several seeds each, as a table to compare searchers on.

python -m benchmarks.search_table --search_config=digits_proxy --num_architectures=300 --seeds=0,1
  --output=runs/digits_table.jsonl --work_dir=runs/digits_table

Each architecture is evaluated as a trial of the search would be, once for each seed; all architectures have the first
seed before any has the second. The same command goes on where it was stopped, and with a larger --num_architectures or
more seeds. The format: nasfpn_tf/search/table.py. Comparison:

python -m benchmarks.search_comparison --rewards=runs/digits_table.jsonl --max_trials=100
"""

import os
import sys

import numpy as np
import tqdm
from absl import app, flags

from nasfpn_tf import failure
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import evaluators, spaces, table
from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.trial import Trial


def draw(space, count, seed):
  """Draws different architectures uniformly; a longer list begins with a shorter one."""
  rng, found = np.random.default_rng(seed), {}
  while len(found) < min(count, space.size()):
    trial = Trial.of(space, len(found), space.sample(rng))
    found.setdefault(trial.digest, trial)
  return list(found.values())


def record(config, path, count, seeds, work_dir, draw_seed=0):
  """Evaluates what the table at `path` does not have yet."""
  space = spaces.build(config.space)
  evaluator = {key: value for key, value in config.evaluator.items() if key != 'seed'}
  known = {(row.tokens, row.seed) for row in table.begin(path, space, evaluator).rows}
  missing = [
    (seed, trial) for seed in seeds for trial in draw(space, count, draw_seed) if (trial.tokens, seed) not in known
  ]
  for seed, trial in tqdm.tqdm(missing, unit='training', disable=not sys.stderr.isatty()):
    settings = {**config.evaluator_config(), 'seed': seed}
    evaluate = evaluators.prepare(Setup(config.evaluator['name'], settings, config.space))
    directory = os.path.join(work_dir, f'seed_{seed}', 'trials', f'{trial.id:06d}')
    os.makedirs(directory, exist_ok=True)
    table.add(path, space, table.Row(trial.tokens, seed, evaluate(trial, directory)))
  return len(missing)


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string(
    'search_config', 'digits_proxy', 'Search configuration, as in search.py: its space and its evaluator.'
  )
  flags.DEFINE_string('params_override', None, 'As of search.py.')
  flags.DEFINE_integer('num_architectures', 300, 'How many are drawn.', lower_bound=2)
  flags.DEFINE_list('seeds', ['0'], 'Seeds; each architecture is evaluated once per seed.')
  flags.DEFINE_integer('draw_seed', 0, 'Seed for drawing the architectures.')
  flags.DEFINE_string('output', None, 'The table.', required=True)
  flags.DEFINE_string('work_dir', None, 'Where trainings go.', required=True)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  options = flags.FLAGS
  with failure.told('search_table', f'interrupted; the same command resumes {options.output}.'):
    config = config_lib.load(options.search_config, options.params_override)
    seeds = [int(seed) for seed in options.seeds]
    added = record(config, options.output, options.num_architectures, seeds, options.work_dir, options.draw_seed)
  print(f'{options.output}: {added} evaluations added')


if __name__ == '__main__':
  define_flags()
  app.run(main)
