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

from nasfpn_tf.search.report import moving_average

FLAGS = flags.FLAGS
flags.DEFINE_list('searches', [], 'NAME=SEARCH_DIR of each.')
flags.DEFINE_integer('window', 20, 'Samples of the moving average.', lower_bound=1)
flags.DEFINE_string('output', None, 'Picture to write: .svg or .png.', required=True)


def rewards_of(search_dir):
  """The rewards of a search in the order of its samples."""
  with open(os.path.join(search_dir, 'trials.jsonl'), encoding='utf-8') as file:
    trials = sorted(map(json.loads, file), key=lambda trial: trial['id'])
  return [trial['measurement']['reward'] for trial in trials]


def draw(searches, window, path):
  """Writes the picture.

  Args:
    searches: rewards by the name of the search.
    window: of the moving average.
    path: of the picture.
  """
  import matplotlib
  from matplotlib import figure

  drawing = figure.Figure(figsize=(8, 3.2), layout='constrained')
  axes = drawing.subplots()
  for number, (name, rewards) in enumerate(searches.items()):
    color, samples = f'C{number}', range(1, len(rewards) + 1)
    axes.plot(samples, rewards, '.', markersize=3, color=color, alpha=0.35)
    axes.plot(samples, moving_average(rewards, window), color=color, label=f'{name}: mean of {window}')
    axes.plot(samples, list(itertools.accumulate(rewards, max)), color=color, linestyle=':', label=f'{name}: best')
  axes.set_xlabel('samples')
  axes.set_ylabel('reward')
  axes.set_ylim(bottom=0)
  axes.legend()
  with matplotlib.rc_context({'svg.fonttype': 'none'}):
    drawing.savefig(path, metadata={'Date': None} if path.endswith('.svg') else None)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; options begin with --.')
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
  app.run(main)
