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

"""Measures how far rewards by shared weights agree with rewards of separately trained children.

python -m benchmarks.search_agreement --shared=digits_shared --alone=digits_proxy --work_dir=runs/agreement

Draws architectures uniformly from the space, evaluates each both ways, and prints Kendall's tau with what both cost.
With --alone_seeds=2 the children are trained twice; the tau of one seed against the other is what the best evaluator
could reach. Evaluations are kept in the working directory: the same command goes on where it was stopped.

With --table, a table of recorded rewards (benchmarks/search_table.py), the separate trainings are taken from it: the
first --num_architectures that it has with every seed. Then other methods are compared, too: --cheaper names tables of
the same architectures by another evaluator, such as a shorter training, and --predictor_sizes predicts the rewards from
so many other architectures of the table.
"""

import collections
import itertools
import json
import os
import statistics
import time

import numpy as np
from absl import app, flags
from scipy import stats

from benchmarks import search_table
from nasfpn_tf import failure
from nasfpn_tf.search import config as search_config
from nasfpn_tf.search import evaluators, spaces, table
from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers import predictor
from nasfpn_tf.search.trial import Measurement, Trial

FLAGS = flags.FLAGS
NUM_TREES = predictor.Options().num_trees


def measure(name, config, trials, seed_offset=0):
  """Returns the measurements of all trials, and the seconds that this and earlier processes spent on them."""
  path = os.path.join(FLAGS.work_dir, f'{name}.jsonl')
  known = {}
  if os.path.exists(path):
    with open(path, encoding='utf-8') as file:
      known = {entry['digest']: entry for entry in map(json.loads, file)}
  settings = config.evaluator_config()
  settings['seed'] += seed_offset
  evaluate = evaluators.prepare(Setup(config.evaluator['name'], settings, config.space))
  for trial in trials:
    if trial.digest in known:
      continue
    started = time.monotonic()
    measurement = evaluate(trial, os.path.join(FLAGS.work_dir, name, 'trials', f'{trial.id:03d}'))
    seconds = time.monotonic() - started
    known[trial.digest] = {'digest': trial.digest, 'measurement': measurement.to_json(), 'seconds': seconds}
    with open(path, 'a', encoding='utf-8') as file:
      file.write(json.dumps(known[trial.digest]) + '\n')
    print(f'{name}: trial {trial.id}: AP {measurement.ap}, {seconds:.1f} s {measurement.reason}', flush=True)
  entries = [known[trial.digest] for trial in trials]
  return [Measurement.from_json(entry['measurement']) for entry in entries], [entry['seconds'] for entry in entries]


def recorded(path, space, count):
  """Returns trials of a table that every seed has, and their measurements as `measure` does, by seed."""
  known = table.Table(path)
  known.check_space(space)
  complete = dict(itertools.islice(known.complete().items(), count))
  if len(complete) < count:
    raise SearchError(f'{path}: {len(complete)} architectures have all seeds, not {count}.')
  trials = [Trial.of(space, i, tokens) for i, tokens in enumerate(complete)]
  measured = collections.defaultdict(lambda: ([], []))
  for by_seed in complete.values():
    for seed, measurement in by_seed.items():
      measurements, seconds = measured[f'alone_{seed}']
      measurements.append(measurement)
      seconds.append(measurement.seconds)
  return trials, measured


def cheaper(path, trials):
  """Returns the measurements of the trials in another table, of its first seed, and their seconds.

  Raises:
    SearchError: it lacks one.
  """
  known = {row.tokens: row.measurement for row in reversed(table.Table(path).rows)}
  missing = [trial.digest for trial in trials if trial.tokens not in known]
  if missing:
    raise SearchError(f'{path} lacks {len(missing)} of the architectures, {missing[0]} among them; record them.')
  found = [known[trial.tokens] for trial in trials]
  return found, [measurement.seconds for measurement in found]


def predicted(recorded_rewards, trials, count, seed=0):
  """Returns rewards of the trials, predicted from `count` other architectures of a table.

  Raises:
    SearchError: the table has fewer others.
  """
  ours = {trial.tokens for trial in trials}
  others = {tokens: reward for tokens, reward in recorded_rewards.rewards().items() if tokens not in ours}
  if len(others) < count:
    raise SearchError(f'{recorded_rewards.path} has {len(others)} other architectures, not {count}.')
  space = recorded_rewards.space
  chosen = list(others)[:count]
  features = np.stack([space.features(tokens) for tokens in chosen])
  ensemble = predictor.fit_ensemble(features, [others[tokens] for tokens in chosen], NUM_TREES, seed)
  return ensemble.predict(np.stack([space.features(trial.tokens) for trial in trials]))


def tau(name, a, b):
  """Prints Kendall's tau-b of two lists of rewards."""
  found = stats.kendalltau(a, b)
  print(f'| {name} | {found.statistic:.3f} | {found.pvalue:.3g} |')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  with failure.told('search_agreement', 'interrupted; the same command goes on.'):
    compare()


def compare():
  """Evaluates all in each way and prints the tables."""
  if FLAGS.predictor_sizes and not FLAGS.table:
    raise SearchError('--predictor_sizes needs --table, whose other architectures it learns from.')
  if any('=' not in given for given in FLAGS.cheaper):
    raise SearchError('--cheaper must be LABEL=TABLE.')
  os.makedirs(FLAGS.work_dir, exist_ok=True)
  shared = search_config.load(FLAGS.shared, FLAGS.shared_override)
  space = spaces.build(shared.space)
  if FLAGS.table:
    trials, alone = recorded(FLAGS.table, space, FLAGS.num_architectures)
  else:
    trials = search_table.draw(space, FLAGS.num_architectures, FLAGS.seed)
    config = search_config.load(FLAGS.alone, FLAGS.alone_override)
    alone = {f'alone_{i}': measure(f'alone_{i}', config, trials, seed_offset=i) for i in range(FLAGS.alone_seeds)}
  methods = {'shared': measure('shared', shared, trials)}
  for label, path in (given.split('=', 1) for given in FLAGS.cheaper):
    methods[label] = cheaper(path, trials)

  measured = {**methods, **alone}
  print(f'\n| architecture | {" | ".join(measured)} |\n|---|{"---|" * len(measured)}')
  for i, trial in enumerate(trials):
    print(f'| {trial.digest} | {" | ".join(f"{found[i].reward:.4f}" for found, _ in measured.values())} |')
  rewards = {name: [m.reward for m in found] for name, (found, _) in measured.items()}
  known = table.Table(FLAGS.table) if FLAGS.predictor_sizes else None
  for size in FLAGS.predictor_sizes:
    rewards[f'predictor, {size} others'] = predicted(known, trials, int(size), FLAGS.seed)
  print('\n| rewards compared | tau | p |\n|---|---|---|')
  for method in (name for name in rewards if name not in alone):
    for name in alone:
      tau(f'{method}, {name}', rewards[method], rewards[name])
    if len(alone) > 1:
      tau(f'{method}, mean of alone', rewards[method], np.mean([rewards[name] for name in alone], axis=0))
  for first, second in itertools.combinations(alone, 2):
    tau(f'{first}, {second}', rewards[first], rewards[second])
  print('\n| evaluator | seconds: all | first trial | median of the others |\n|---|---|---|---|')
  for name, (_, seconds) in measured.items():
    print(f'| {name} | {sum(seconds):.0f} | {seconds[0]:.0f} | {statistics.median(seconds[1:]):.1f} |')


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('shared', 'digits_shared', 'Search configuration with the evaluator "shared".')
  flags.DEFINE_string('alone', 'digits_proxy', 'Search configuration with the evaluator "proxy".')
  flags.DEFINE_string('shared_override', None, 'Overrides for --shared, e.g. evaluator.warm_up_steps=100.')
  flags.DEFINE_string('alone_override', None, 'Overrides for --alone.')
  flags.DEFINE_string('table', None, 'Table of recorded rewards that the separate trainings are taken from.')
  flags.DEFINE_string('work_dir', None, 'Directory for trainings and measurements.', required=True)
  flags.DEFINE_integer('num_architectures', 16, 'How many are compared.', lower_bound=3)
  flags.DEFINE_integer('alone_seeds', 1, 'Number of separate trainings per child.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'Seed for drawing the architectures.')
  flags.DEFINE_multi_string('cheaper', [], 'LABEL=TABLE: the same architectures evaluated in another way.')
  flags.DEFINE_list('predictor_sizes', [], 'Numbers of other architectures of --table to predict rewards from.')


if __name__ == '__main__':
  define_flags()
  app.run(main)
