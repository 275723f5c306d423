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

"""The report of a search as one HTML file: what was sampled, what came of it, the best architectures."""

import collections
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.report import charts, page
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import FAILED, OK, REUSED, Measurement, Results, Trial

_ABSENT = page.Raw('&ndash;')
_NUM_BEST = 20
_NUM_RECORDS = 6  # Drawings of what was the best for a while; fig. 7 has five of them.


def render(results: Results, space: SearchSpace, identity: Mapping[str, Any], max_trials: int) -> str:
  """The report.

  Args:
    results: finished trials in the order in which they finished.
    space: what is searched.
    identity: what the search is, as its store keeps it.
    max_trials: how many trials there are to be.
  """
  ended = 'Done' if len(results) >= max_trials else 'Under way'
  lead = (
    f'{space.size():.3g} architectures, proposed by {identity["searcher"]["name"]}, evaluated by'
    f' {identity["evaluator"]["name"]}. {ended}: {len(results):,} of {max_trials:,} trials,'
    f' {time.strftime("%Y-%m-%d %H:%M")}.'
  )
  body = [page.tiles(_headlines(results, max_trials))]
  good = [(trial, measurement) for trial, measurement in results if measurement.status != FAILED]
  if good:
    body += [_samples(results), _best(good, space), _trade_off(good), _ranking(good)]
  body += [_failures(results), page.section('What is searched', page.code(json.dumps(identity, indent=2)))]
  return page.page(f'Search in the space {space.name}', lead, [block for block in body if block])


def frontier(results: Results) -> list[tuple[Trial, Measurement]]:
  """Those that no other beats in both AP and cost, cheapest first."""
  best = []
  for trial, measurement in sorted(results, key=lambda result: (result[1].cost, -_score(result[1]))):
    if not best or _score(measurement) > _score(best[-1][1]):
      best.append((trial, measurement))
  return best


def records(results: Results) -> list[tuple[Trial, Measurement]]:
  """Those that were the best so far when they finished, in that order."""
  found = []
  for trial, measurement in results:
    if not found or measurement.reward > found[-1][1].reward:
      found.append((trial, measurement))
  return found


def moving_average(rewards: Sequence[float], window: int) -> list[float]:
  """Mean of the last `window` rewards up to each."""
  total, averages = 0.0, []
  for index, reward in enumerate(rewards):
    total += reward - (rewards[index - window] if index >= window else 0.0)
    averages.append(total / min(index + 1, window))
  return averages


def _headlines(results: Results, max_trials: int) -> dict[str, str]:
  by_status = collections.Counter(measurement.status for _, measurement in results)
  seconds = sum(measurement.seconds for _, measurement in results)
  rewards = [measurement.reward for _, measurement in results if measurement.status != FAILED]
  return {
    f'of {max_trials:,} trials done': f'{len(results):,}',
    'best reward': f'{max(rewards):.4f}' if rewards else '-',
    'different architectures': f'{len({trial.digest for trial, _ in results}):,}',
    'evaluated': f'{by_status[OK]:,}',
    'reward known before': f'{by_status[REUSED]:,}',
    'failed': f'{by_status[FAILED]:,}',
    'time of evaluations': _duration(seconds),
  }


def _samples(results: Results) -> str:
  """Reward of every sample, and how many of the samples are new (fig. 5)."""
  numbers = list(range(1, len(results) + 1))
  rewards = [measurement.reward if _is_good(measurement) else float('nan') for _, measurement in results]
  good = [(number, reward) for number, reward in zip(numbers, rewards, strict=True) if reward == reward]
  window = max(5, min(100, len(good) // 10))
  x = [number for number, _ in good]
  best, so_far = [], 0.0
  for _, reward in good:
    so_far = max(so_far, reward)
    best.append(so_far)
  averages = moving_average([reward for _, reward in good], window)
  chart = charts.line_chart(
    [
      charts.Series('one sample', x, [reward for _, reward in good], dots=True),
      charts.Series(f'mean of the last {window}', x, averages),
      charts.Series('best so far', x, best),
    ],
    'samples',
    'Reward',
    y_min=None,
  )
  seen, unique = set(), []
  for trial, _ in results:
    seen.add(trial.digest)
    unique.append(len(seen))
  fresh = charts.line_chart(
    [charts.Series('different architectures', numbers, unique), charts.Series('all different', numbers, numbers)],
    'samples',
    'Different architectures among the samples',
  )
  note = 'In the order in which trials finished. Failed trials are not drawn in the chart of rewards.'
  return page.section('Samples', f'<div class="pair">{chart}{fresh}</div>', note=note)


def _best(good: Results, space: SearchSpace) -> str:
  """The best architecture drawn, and those that were the best before it (fig. 7)."""
  found = records(good)
  trial, measurement = found[-1]
  drawing = space.picture(dict(trial.architecture))
  blocks = [f'<p>{page.escape(_words(trial, measurement))}</p>']
  blocks += [f'<div class="drawing">{drawing}</div>'] if drawing else []
  blocks.append(page.folded('As JSON', page.code(json.dumps(trial.architecture))))
  for trial, measurement in reversed(found[-_NUM_RECORDS:-1] if drawing else []):
    picture = f'<div class="drawing">{space.picture(dict(trial.architecture))}</div>'
    blocks.append(page.folded(f'Before: {_words(trial, measurement)}', picture))
  return page.section('Best architecture', *blocks, note='best.json beside this report is the topology to train.')


def _trade_off(good: Results) -> str:
  """AP against cost, with those that nothing beats in both."""
  priced = [(trial, measurement) for trial, measurement in good if measurement.cost is not None]
  if not priced:
    return ''
  front = frontier(priced)
  power = next((power for power in (9, 6) if max(m.cost for _, m in priced) >= 10**power), 0)
  unit, words = 10.0**power, f'cost in 10^{power}' if power else 'cost'
  chart = charts.line_chart(
    [
      charts.Series('one architecture', [m.cost / unit for _, m in priced], [_score(m) for _, m in priced], dots=True),
      charts.Series('Pareto frontier', [m.cost / unit for _, m in front], [_score(m) for _, m in front]),
    ],
    words,
    'AP' if all(m.ap is not None for _, m in priced) else 'Reward',
    y_min=None,
  )
  rows = [(trial.id, trial.digest, f'{m.cost:.5g}', f'{_score(m):.4f}', f'{m.reward:.4f}') for trial, m in front]
  table = page.table(('trial', 'architecture', 'cost', 'AP', 'reward'), rows, text_columns=(1,))
  note = 'The cost is what the evaluator reports: multiply-adds or milliseconds.'
  return page.section('AP against cost', f'<div class="pair">{chart}{table}</div>', note=note)


def _ranking(good: Results) -> str:
  """The best architectures, each once."""
  first, samples = {}, collections.Counter(trial.digest for trial, _ in good)
  for trial, measurement in sorted(good, key=lambda result: (-result[1].reward, result[0].id)):
    first.setdefault(trial.digest, (trial, measurement))
  rows = [
    (
      rank,
      digest,
      f'{m.reward:.4f}',
      _ABSENT if m.ap is None else f'{m.ap:.4f}',
      _ABSENT if m.cost is None else f'{m.cost:.5g}',
      trial.id,
      samples[digest],
    )
    for rank, (digest, (trial, m)) in enumerate(list(first.items())[:_NUM_BEST], start=1)
  ]
  header = ('rank', 'architecture', 'reward', 'AP', 'cost', 'first trial', 'sampled')
  return page.section(f'The best {len(rows)}', page.table(header, rows, text_columns=(1,)))


def _failures(results: Results) -> str:
  """Why trials have failed, most frequent first."""
  reasons = {}
  for trial, measurement in results:
    if measurement.status == FAILED:
      reasons.setdefault(measurement.reason, []).append(trial.id)
  if not reasons:
    return ''
  rows = sorted(((reason, len(ids), ids[0]) for reason, ids in reasons.items()), key=lambda row: -row[1])
  return page.section('Failures', page.table(('reason', 'trials', 'first'), rows[:_NUM_BEST]))


def _is_good(measurement: Measurement) -> bool:
  return measurement.status != FAILED


def _score(measurement: Measurement) -> float:
  return measurement.reward if measurement.ap is None else measurement.ap


def _words(trial: Trial, measurement: Measurement) -> str:
  ap = '' if measurement.ap is None else f', AP {measurement.ap:.4f}'
  cost = '' if measurement.cost is None else f', cost {measurement.cost:.5g}'
  return f'{trial.architecture.get("name", trial.digest)}: trial {trial.id}, reward {measurement.reward:.4f}{ap}{cost}'


def _duration(seconds: float) -> str:
  seconds = round(seconds)
  hours, minutes = seconds // 3600, seconds % 3600 // 60
  return (
    f'{hours:,} h {minutes:02d} min' if hours else f'{minutes} min {seconds % 60:02d} s' if minutes else f'{seconds} s'
  )
