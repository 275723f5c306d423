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

"""Draws the rewards of searches over their samples, each with its moving average and its best so far.

python -m benchmarks.search_curve --searches=PPO=runs/searchers/ppo_0,random=runs/searchers/random_0 --output=curve.svg
"""

import itertools
import json
import os
import sys

from absl import app, flags

from nasfpn_tf.report import charts, curves

FLAGS = flags.FLAGS


def rewards_of(search_dir):
  """Reads the rewards of a search, in the order of its samples."""
  with open(os.path.join(search_dir, 'trials.jsonl'), encoding='utf-8') as file:
    trials = sorted(map(json.loads, file), key=lambda trial: trial['id'])
  return [trial['measurement']['reward'] for trial in trials]


def draw(searches, window, path):
  """Draws the curves into a file.

  Args:
    searches: rewards by the name of the search.
    window: of the moving average.
    path: of the file.
  """
  chart = charts.Chart(1, 720, 300)
  (axes,) = chart.axes
  with charts.style():
    for (name, rewards), color in zip(searches.items(), itertools.cycle(charts.SERIES), strict=False):
      samples = range(1, len(rewards) + 1)
      curves.draw_dots(axes, samples, rewards, size=3, alpha=0.35, color=color)
      axes.plot(samples, curves.moving_average(rewards, window), color=color, label=f'{name}: mean of {window}')
      axes.plot(samples, curves.best_so_far(rewards), color=color, linestyle=':', label=f'{name}: best')
    axes.set(xlabel='samples', ylabel='reward')
  charts.round_limits(axes.yaxis, 0, max(max(rewards) for rewards in searches.values()))
  axes.set_xlim(0, max(map(len, searches.values())))
  chart.legend()
  chart.save(path)


def define_flags() -> None:
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_list('searches', [], 'NAME=SEARCH_DIR of each.')
  flags.DEFINE_integer('window', 20, 'Samples of the moving average.', lower_bound=1)
  flags.DEFINE_string('output', None, 'File to write: .svg or .png.', required=True)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  searches = {}
  for entry in FLAGS.searches:
    name, _, search_dir = entry.rpartition('=')
    try:
      searches[name or search_dir] = rewards_of(search_dir)
    except OSError as e:
      sys.exit(f'search_curve: {e.filename}: {e.strerror}; search.py writes it into its search directory.')
  if not searches:
    sys.exit('search_curve: --searches names no search.')
  draw(searches, FLAGS.window, FLAGS.output)


if __name__ == '__main__':
  define_flags()
  app.run(main)
