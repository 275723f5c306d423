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

"""Analyzes how much of the AP is explained by the topology, and how much by the seed.

python -m benchmarks.search_variance --table=docs/search_table/digits_residual.jsonl
python -m benchmarks.search_variance --table=docs/search_table/digits_residual.jsonl \
  --topologies=nas_fpn,fpn,panet,bifpn --work_dir=runs/variance

A one-way analysis of variance over the architectures of a table of recorded rewards (benchmarks/search_table.py) that
every seed has: the standard deviation between topologies without what the seeds contribute to it, the one between
seeds, the share of the variance that topologies explain, and the agreement of the rankings of two seeds. With
--topologies, pyramids of the catalogue are trained as the table's are, with the same seeds, and placed among them; a
training that is done is not repeated.
"""

import dataclasses
import itertools
import json
import os
import statistics
import sys

import numpy as np
from absl import app, flags
from scipy import stats

from nasfpn_tf import failure, topology
from nasfpn_tf.search import table
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Trial


@dataclasses.dataclass(frozen=True)
class Variance:
  """What an analysis of variance finds.

  Attributes:
    num_topologies: that have all seeds.
    num_seeds: trainings of each.
    between: standard deviation of the expected AP of topologies.
    within: standard deviation of the AP over the seeds of a topology.
    p: probability of such a difference between topologies if all had the same expected AP.
    tau: mean of Kendall's tau over the pairs of seeds.
  """

  num_topologies: int
  num_seeds: int
  between: float
  within: float
  p: float
  tau: float

  @property
  def explained(self) -> float:
    """Share of the variance of a single training that the topology explains."""
    total = self.between**2 + self.within**2
    return self.between**2 / total if total else 0.0


def analyze(aps):
  """Analyzes an array `[topologies, seeds]` of APs; see `Variance`.

  Raises:
    SearchError: it has fewer than two topologies or seeds.
  """
  aps = np.asarray(aps, dtype=np.float64)
  if aps.ndim != 2 or min(aps.shape) < 2:
    raise SearchError(f'an analysis of variance needs at least 2 topologies with 2 seeds each, not {aps.shape}.')
  num_seeds = aps.shape[1]
  within = aps.var(axis=1, ddof=1).mean()
  between = max(0.0, aps.mean(axis=1).var(ddof=1) - within / num_seeds)
  pairs = itertools.combinations(range(num_seeds), 2)
  tau = statistics.fmean(stats.kendalltau(aps[:, a], aps[:, b]).statistic for a, b in pairs)
  return Variance(*aps.shape, float(between**0.5), float(within**0.5), float(stats.f_oneway(*aps).pvalue), tau)


def train(name, recorded, seed, work_dir):
  """Returns the AP of a pyramid of the catalogue, trained as the table's, from `work_dir` if it is there."""
  from nasfpn_tf.search.evaluators import proxy

  path = os.path.join(work_dir, f'{name}_seed_{seed}', 'measurement.json')
  if not os.path.exists(path):
    spec = topology.get(name, recorded.space.min_level, recorded.space.max_level)
    trial = Trial(0, (), spec.to_dict(), spec.digest)
    config = {**recorded.evaluator, 'seed': seed}
    for key in ('name', 'rebuild'):  # The catalogue's pyramids have other numbers of cells.
      config.pop(key, None)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    measurement = proxy.evaluate(trial, os.path.dirname(path), config, recorded.space)
    if measurement.status != 'ok':
      raise SearchError(f'{name}, seed {seed}: {measurement.reason}')
    with open(path, 'w', encoding='utf-8') as file:
      file.write(measurement.to_json() + '\n')
  with open(path, encoding='utf-8') as file:
    return json.load(file)['ap']


def report(path, topologies, work_dir):
  """Prints the analysis and the places of the pyramids of the catalogue."""
  recorded = table.Table(path)
  found = recorded.complete()
  seeds = list(next(iter(found.values()), ()))
  complete = [[measurement.ap for measurement in by_seed.values()] for by_seed in found.values()]
  variance = analyze(complete)
  print(f'| | {variance.num_topologies} topologies, {variance.num_seeds} seeds |\n|---|---|')
  print(f'| AP: mean | {100 * np.mean(complete):.2f} |')
  print(f'| standard deviation between topologies | {100 * variance.between:.2f} |')
  print(f'| standard deviation between seeds | {100 * variance.within:.2f} |')
  print(f'| share of the variance explained by the topology | {variance.explained:.2f} (p = {variance.p:.2g}) |')
  print(f"| Kendall's tau of two seeds | {variance.tau:.2f} |")
  if topologies:
    print('\n| pyramid | AP of each seed | mean | share of the drawn pyramids below it |\n|---|---|---|---|')
  means = np.mean(complete, axis=1)
  for name in topologies:
    aps = [train(name, recorded, seed, work_dir) for seed in seeds]
    each = ', '.join(f'{100 * ap:.1f}' for ap in aps)
    print(f'| {name} | {each} | {100 * np.mean(aps):.1f} | {np.mean(means < np.mean(aps)):.2f} |', flush=True)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  options = flags.FLAGS
  if options.topologies and not options.work_dir:
    sys.exit('search_variance: --topologies are trained: --work_dir is needed.')
  with failure.told('search_variance'):
    report(options.table, options.topologies, options.work_dir)


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('table', None, 'Table of recorded rewards with at least two seeds.', required=True)
  flags.DEFINE_list('topologies', [], 'Pyramids of the catalogue to train and place among those of the table.')
  flags.DEFINE_string('work_dir', None, 'Where their trainings go.')


if __name__ == '__main__':
  define_flags()
  app.run(main)
