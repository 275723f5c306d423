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

"""Compares searchers on fixed rewards, with equal trials and several seeds.

python -m benchmarks.search_comparison --rewards=mixing:0,likeness:0 --seeds=0,1,2 --max_trials=300 --output=table.md

Rewards are synthetic functions of the architecture (nasfpn_tf/search/searchers/synthetic.py), each with the seed of
what it hides, or a table of recorded rewards (benchmarks/search_table.py), whose architectures alone are proposed then.
A comparison takes seconds to minutes and no training. Shown are the mean of all rewards, the
best, and the area under the curve of the best so far (its mean over the trials: how good and how early), each as the
mean over the seeds with its standard error. A searcher with options is written as a YAML mapping, separated by ';':
--searchers='random;{name: evolution, population_size: 30, tournament_size: 10}'.
"""

import collections
import math
import os
import statistics
import sys
import time

import numpy as np
import tqdm
import yaml
from absl import app, flags

from nasfpn_tf import failure
from nasfpn_tf.search import searchers, spaces, table
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers import synthetic
from nasfpn_tf.search.trial import Measurement

SYNTHETIC = {'likeness': synthetic.Likeness, 'mixing': synthetic.Mixing}
MEASURES = {'mean': 'mean reward', 'best': 'best', 'area': 'area under the best so far'}


def search(searcher, reward, max_trials):
  """Searches; returns the rewards in the order of the trials. An architecture that comes again costs a trial again."""
  rewards = []
  for trial_id in range(max_trials):
    (trial,) = searcher.propose(trial_id, 1)
    rewards.append(reward(trial.tokens))
    searcher.observe([(trial, Measurement(rewards[-1]))])
  return rewards


def measure(rewards):
  """Measures a search: mean reward, best, mean of the best so far."""
  curve = np.maximum.accumulate(rewards)
  return {'mean': float(np.mean(rewards)), 'best': float(curve[-1]), 'area': float(np.mean(curve))}


def with_error(values):
  """Formats the mean with its standard error, which a single value does not have."""
  mean = f'{statistics.mean(values):.4f}'
  return f'{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.4f}' if len(values) > 1 else mean


def markdown(results):
  """Writes one row for each searcher and what it was compared on.

  Args:
    results: dicts with 'rewards', 'searcher', and the keys of `MEASURES`, one a search.
  """
  rows = collections.defaultdict(list)
  for found in results:
    rows[found['rewards'], found['searcher']].append(found)
  lines = [
    f'| rewards | searcher | seeds | {" | ".join(MEASURES.values())} | CPU seconds |',
    '|---|---|---|---|---|---|---|',
  ]
  for (rewards, searcher), group in rows.items():
    cells = [with_error([found[key] for found in group]) for key in MEASURES]
    seconds = statistics.mean(found['seconds'] for found in group)
    lines.append(f'| {rewards} | {searcher} | {len(group)} | {" | ".join(cells)} | {seconds:.1f} |')
  return '\n'.join(lines) + '\n'


def problem_of(name, space=None):
  """Returns what is searched and its reward function, by the tokens.

  Args:
    name: 'likeness:SEED', 'mixing:SEED', or the path of a table of recorded rewards.
    space: the paper's by default, or that of the table, which must not be of another.
  """
  if os.path.exists(name):
    recorded = table.Table(name)
    if space is not None:
      recorded.check_space(space)
    rewards = recorded.rewards()
    return table.Recorded(recorded.space, list(rewards)), rewards.__getitem__
  kind, _, seed = name.partition(':')
  if kind not in SYNTHETIC or not (seed or '0').isdigit():
    raise SearchError(f'rewards {name!r}: likeness:SEED, mixing:SEED or the path of a table is needed.')
  space = space or spaces.build({'name': 'nasfpn'})
  return space, SYNTHETIC[kind](space, int(seed or 0))


def searcher_of(text):
  """Reads a searcher, a name or a YAML mapping with a name; returns what it is called in the table and both."""
  config = yaml.safe_load(text)
  options = dict(config) if isinstance(config, dict) else {'name': str(config)}
  name = str(options.pop('name', ''))
  words = ', '.join(f'{key} {value}' for key, value in options.items())
  return f'{name} ({words})' if words else name, name, options


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_list(
    'rewards', ['mixing:0', 'likeness:0'], 'Rewards to search: likeness:SEED, mixing:SEED or table.jsonl.'
  )
  flags.DEFINE_string('space', None, "YAML mapping, as in a search configuration; unset: the paper's or the table's.")
  flags.DEFINE_string('searchers', 'ppo;evolution;predictor;random', "Searchers to compare, separated by ';'.")
  flags.DEFINE_list('seeds', ['0', '1', '2'], 'Of the searchers.')
  flags.DEFINE_integer('max_trials', 300, 'Of each search.', lower_bound=2)
  flags.DEFINE_string('output', None, 'File for the table.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  results, options = [], flags.FLAGS
  with failure.told('search_comparison'):
    space = spaces.build(yaml.safe_load(options.space)) if options.space else None
    problems = {rewards: problem_of(rewards, space) for rewards in options.rewards}
    names = [searcher_of(text) for text in options.searchers.split(';')]
    plan = [(rewards, *name, int(seed)) for rewards in options.rewards for name in names for seed in options.seeds]
    for rewards, label, kind, settings, seed in tqdm.tqdm(plan, unit='search', disable=not sys.stderr.isatty()):
      started = time.process_time()
      searched, reward = problems[rewards]
      found = measure(search(searchers.build(kind, searched, seed, settings), reward, options.max_trials))
      found |= {'rewards': rewards, 'searcher': label, 'seed': seed, 'seconds': time.process_time() - started}
      results.append(found)
      if options.output:
        with open(options.output, 'w', encoding='utf-8') as file:
          file.write(markdown(results))
  print(markdown(results))


if __name__ == '__main__':
  define_flags()
  app.run(main)
