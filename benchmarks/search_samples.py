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

"""Measures how many samples each searcher needs on a synthetic reward whose optimum is known.

python -m benchmarks.search_samples --num_cells=7 --num_seeds=10 --max_trials=2000

Prints, for random search, evolution and PPO with several numbers of passes over a batch: in how many of the seeds 95 %
of the best was found, after how many samples (median and most), and the best reward otherwise (mean).
"""

import statistics

from absl import app, flags

from nasfpn_tf.search import searchers
from nasfpn_tf.search.searchers.synthetic import Likeness
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Measurement

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_cells', 7, 'Merging cells of a pyramid.', lower_bound=2)
flags.DEFINE_integer('min_level', 3, 'Finest level.')
flags.DEFINE_integer('max_level', 7, 'Coarsest level.')
flags.DEFINE_integer('num_seeds', 10, 'Searches of each kind.', lower_bound=1)
flags.DEFINE_integer('max_trials', 2000, 'Maximum number of samples per search.', lower_bound=20)

SETTINGS = {
  'random': ('random', {}),
  'evolution': ('evolution', {}),
  'ppo, 1 pass': ('ppo', {'num_epochs': 1}),
  'ppo, 2 passes': ('ppo', {'num_epochs': 2}),
  'ppo, 4 passes': ('ppo', {'num_epochs': 4}),
  'ppo, 10 passes': ('ppo', {'num_epochs': 10}),
}
ENOUGH = 0.95


def search(searcher, reward, max_trials):
  """Searches; returns the number of samples until 95 % of the best, or None, and the best reward."""
  best = 0.0
  for trial_id in range(max_trials):
    (trial,) = searcher.propose(trial_id, 1)
    value = reward(trial.tokens)
    searcher.observe([(trial, Measurement(value))])
    best = max(best, value)
    if best >= ENOUGH:
      return trial_id + 1, best
  return None, best


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  space = PyramidSpace(FLAGS.num_cells, FLAGS.min_level, FLAGS.max_level)
  print(f'{space.size():.3g} pyramids, {FLAGS.num_seeds} seeds, at most {FLAGS.max_trials} samples')
  print('| searcher | found | samples: median | most | mean best |\n|---|---|---|---|---|')
  for name, (kind, options) in SETTINGS.items():
    results = [
      search(searchers.build(kind, space, seed, options), Likeness(space, seed), FLAGS.max_trials)
      for seed in range(FLAGS.num_seeds)
    ]
    needed = [samples for samples, _ in results if samples]
    shown = f'{statistics.median(needed):.0f} | {max(needed)}' if needed else '- | -'
    best = statistics.fmean(value for _, value in results)
    print(f'| {name} | {len(needed)} of {FLAGS.num_seeds} | {shown} | {best:.3f} |', flush=True)


if __name__ == '__main__':
  app.run(main)
