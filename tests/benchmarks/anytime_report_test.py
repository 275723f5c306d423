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

"""Records, table and plot of the comparison of exits with detectors of their own, of made-up results."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import anytime_curve, anytime_report

FACTS = {'config_file': 'some_config', 'params_override': 'a.b=1', 'train_steps': 100}
COSTS = [
  {
    'exit_stage': k,
    'multiply_adds_g': 1.5 * k,
    'params_m': 2.0,
    'latency_ms': 10.0 * k,
    'refined_latency_ms': 10.5 * k,
    'separate_latency_ms': 9.0 * k,
  }
  for k in (1, 2)
]


def metrics(value):
  return {name: value for name in anytime_report.METRICS}


def results(seeds=(0, 1), weights=()):
  """Exit k of seed s reaches 0.1 k + 0.01 s, trained separately 0.02 more; with weights 0.03 more."""
  found = {}
  for run in anytime_curve.plan(2, seeds, weights):
    if run.loss_weights is None:
      found[run] = metrics(0.1 * run.num_pyramids + 0.01 * run.seed + 0.02)
    else:
      exits = [0.1 * k + 0.01 * run.seed + 0.03 * bool(run.loss_weights) for k in (1, 2)]
      found[run] = {f'exit_{k}/{name}': value for k, value in enumerate(exits, 1) for name in anytime_report.METRICS}
  return found


def test_records():
  rows = anytime_report.records(results((3,), [(1.0, 4.0)]), COSTS)
  assert [(row['model'], row['exit_stage']) for row in rows] == [
    ('anytime', 1),
    ('anytime', 2),
    ('anytime 1 : 4', 1),
    ('anytime 1 : 4', 2),
    ('separate', 1),
    ('separate', 2),
  ]
  assert rows[3]['loss_weights'] == [1.0, 4.0] and rows[5]['loss_weights'] is None
  assert rows[3]['AP'] == pytest.approx(0.26) and rows[3]['multiply_adds_g'] == 3.0 and rows[3]['seed'] == 3


def test_a_table():
  table = anytime_report.table(
    anytime_report.records(results((0, 1, 2), [(1.0, 4.0)]), COSTS), {**FACTS, 'threads': 1, 'runs': 5}
  ).splitlines()
  assert '`some_config` with `a.b=1`, 100 steps, seeds 0, 1, 2; AP' in table[0]
  assert '| 2 | 3.00 | 0.2100 ± 0.0100 | 0.2300 ± 0.0100 | -0.0200 (-0.0200 to -0.0200) |' in table
  assert '| equal | 0.1100 ± 0.0100 | 0.2100 ± 0.0100 |' in table
  assert '| 1 : 4 | 0.1400 ± 0.0100 | 0.2400 ± 0.0100 |' in table
  assert '| 1 | 2.00 | 10.00 | 10.50 | 9.00 |' in table
  assert any('costs 0.0200 AP on average over 3 seeds, which is more than two' in line for line in table)


def test_a_difference_that_may_be_chance():
  noisy = results((0, 1))
  for run, found in noisy.items():
    if run.loss_weights is None and run.seed == 1:
      found['AP'] -= 0.05
  assert 'gains 0.0050 AP on average over 2 seeds, which is no more than' in anytime_report.table(
    anytime_report.records(noisy), FACTS
  )
  assert 'do not allow a statement' in anytime_report.table(anytime_report.records(results((0,))), FACTS)


def test_files_of_what_has_finished_so_far(tmp_path):
  unfinished = dict(list(results().items())[:-1])
  anytime_report.write(str(tmp_path), anytime_report.records(unfinished), FACTS)
  assert {path.name for path in tmp_path.iterdir()} == {'records.json', 'table.md', 'curve.svg'}
  saved = json.loads((tmp_path / 'records.json').read_text())
  assert saved['config_file'] == 'some_config' and len(saved['records']) == 7
  assert ElementTree.parse(tmp_path / 'curve.svg').getroot().tag.endswith('svg')


def test_a_plot():
  rows = anytime_report.records(results(weights=[(1.0, 4.0)]), COSTS)
  drawing = anytime_report.plot(rows)
  for text in ('exits, weights 1 : 4', 'trained separately', 'multiply-adds (G)', 'milliseconds in LiteRT'):
    assert text in drawing
  assert anytime_report.plot(rows) == drawing
