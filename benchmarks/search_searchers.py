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

"""Searches with different searchers on the same evaluator, with equal trials, and compares their rewards.

python -m benchmarks.search_searchers --search_config=digits_shared --searchers=ppo,random --max_trials=300
  --work_dir=runs/digits_searchers

With the evaluator `shared` all searches judge with one bank of weights, which is trained first and then left as it is,
so that an architecture has the same reward whoever proposes it and whenever. Each search is an ordinary search
directory with its report. results.md and results.json in the working directory are written after each search; the same
command goes on where it was stopped.
"""

import json
import os
import pathlib
import statistics
import sys

from absl import app, flags

from nasfpn_tf import failure
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import run as run_lib
from nasfpn_tf.search.trial import FAILED

FLAGS = flags.FLAGS
flags.DEFINE_string('search_config', 'digits_shared', 'As of search.py.')
flags.DEFINE_string('params_override', None, 'As of search.py.')
flags.DEFINE_list('searchers', ['ppo', 'random'], 'Who proposes.')
flags.DEFINE_list('seeds', ['0'], 'One search a searcher and seed.')
flags.DEFINE_integer('max_trials', 300, 'Of each search.', lower_bound=1)
flags.DEFINE_integer('num_workers', None, 'As of search.py.')
flags.DEFINE_string('work_dir', None, 'Directory for searches and results.', required=True)

PREEMPTED = 42


def configure(config, searcher, seed):
  """Returns the search of one searcher; the evaluator, its seed included, is the same for all."""
  evaluator = {'seed': config.seed, **config.evaluator}
  if evaluator['name'] == 'shared':
    bank_dir = os.path.abspath(os.path.join(FLAGS.work_dir, 'shared_weights'))
    evaluator = {'bank_dir': bank_dir, **evaluator, 'steps_per_trial': 0}
  changes = {'searcher': searcher, 'seed': seed, 'evaluator': evaluator, 'max_trials': FLAGS.max_trials}
  if FLAGS.num_workers:
    changes['num_workers'] = FLAGS.num_workers
  return config.replace(**changes)


def summarise(searcher, seed, search_dir):
  """Summarizes a search from its trials.jsonl."""
  with open(os.path.join(search_dir, 'trials.jsonl'), encoding='utf-8') as file:
    trials = sorted(map(json.loads, file), key=lambda trial: trial['id'])
  rewards = [trial['measurement']['reward'] for trial in trials]
  best = max(range(len(rewards)), key=rewards.__getitem__)
  return {
    'searcher': searcher,
    'seed': seed,
    'trials': len(trials),
    'architectures': len({trial['digest'] for trial in trials}),
    'failed': sum(trial['measurement']['status'] == FAILED for trial in trials),
    'mean': statistics.mean(rewards),
    'mean_of_last_quarter': statistics.mean(rewards[-max(1, len(rewards) // 4) :]),
    'best': rewards[best],
    'best_trial': trials[best]['id'],
    'seconds': sum(trial['measurement']['seconds'] for trial in trials),
    'rewards': rewards,
  }


def markdown(results):
  """Writes the table of the results so far."""
  lines = [
    '| searcher | seed | trials | architectures | failed | mean reward | of the last quarter | best | found in trial |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for found in results:
    lines.append(
      f'| {found["searcher"]} | {found["seed"]} | {found["trials"]} | {found["architectures"]} | {found["failed"]}'
      f' | {found["mean"]:.4f} | {found["mean_of_last_quarter"]:.4f} | {found["best"]:.4f} | {found["best_trial"]} |'
    )
  return '\n'.join(lines) + '\n'


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  results, work_dir = [], pathlib.Path(FLAGS.work_dir)
  with failure.told('search_searchers'):
    config = config_lib.load(FLAGS.search_config, FLAGS.params_override)
    for seed in FLAGS.seeds:
      for searcher in FLAGS.searchers:
        search_dir = str(work_dir / f'{searcher}_{seed}')
        if not run_lib.run(configure(config, searcher, int(seed)), search_dir):
          sys.exit(PREEMPTED)
        results.append(summarise(searcher, int(seed), search_dir))
        (work_dir / 'results.json').write_text(json.dumps(results) + '\n', encoding='utf-8')
        (work_dir / 'results.md').write_text(markdown(results), encoding='utf-8')
  print(f'\n{markdown(results)}')


if __name__ == '__main__':
  app.run(main)
