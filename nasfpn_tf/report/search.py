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

"""Builds the report of a search: its samples, the best architectures, accuracy against cost, what failed."""

import dataclasses
from collections.abc import Mapping, Sequence

from nasfpn_tf.report import curves, page
from nasfpn_tf.report.templates import Raw, fill


@dataclasses.dataclass(frozen=True)
class Sample:
  """A finished trial, in the order of finishing.

  Attributes:
    trial: its number.
    digest: of its architecture.
    reward: None where it failed.
    ap: COCO's AP, 0 to 1, where it was measured.
    cost: in the unit of the evaluator.
  """

  trial: int
  digest: str
  reward: float | None
  ap: float | None = None
  cost: float | None = None

  @property
  def score(self) -> float:
    """What is compared with the cost: the AP where it was measured."""
    return self.reward if self.ap is None else self.ap


@dataclasses.dataclass(frozen=True)
class Architecture:
  """An architecture that was the best when it was found: words about it, its JSON, and its drawing as SVG or ''."""

  words: str
  json: str
  drawing: str


@dataclasses.dataclass(frozen=True)
class SearchReport:
  """Everything that the page shows, as plain data.

  Attributes:
    title: heading.
    lead: one or two sentences under it.
    headlines: what it is -> the figure.
    samples: of all finished trials.
    best: the best architecture, and before it those that were the best earlier, the newest first.
    front: numbers of the trials on the Pareto frontier of cost and score, the cheapest first; empty without costs.
    ranking: numbers of the trials of the best architectures, each once, the best first.
    failures: (reason, how many, the first trial), the most frequent first.
    identity: what is searched and how, as JSON.
  """

  title: str
  lead: str
  headlines: Mapping[str, str]
  samples: Sequence[Sample]
  best: Sequence[Architecture]
  front: Sequence[int]
  ranking: Sequence[int]
  failures: Sequence[tuple[str, int, int]]
  identity: str


def render(report: SearchReport) -> str:
  """Renders the report as one HTML file that needs no other."""
  body = [page.tiles(report.headlines)]
  if report.best:
    body += [_samples(report.samples), _best(report.best), _trade_off(report), _ranking(report)]
  if report.failures:
    body.append(page.section('Failures', page.table(('reason', 'trials', 'first'), report.failures)))
  body.append(page.section('Configuration', page.code(report.identity)))
  return page.page(report.title, report.lead, [block for block in body if block])


def _samples(samples: Sequence[Sample]) -> Raw:
  """Draws the reward of every sample, and how many of the samples are new (fig. 5)."""
  numbers = list(range(1, len(samples) + 1))
  good = [(number, sample.reward) for number, sample in zip(numbers, samples, strict=True) if sample.reward is not None]
  window = max(5, min(100, len(good) // 10))
  x, rewards = [number for number, _ in good], [reward for _, reward in good]
  chart = curves.line_chart(
    [
      curves.Series('one sample', x, rewards, dots=True),
      curves.Series(f'mean of the last {window}', x, curves.moving_average(rewards, window)),
      curves.Series('best so far', x, curves.best_so_far(rewards)),
    ],
    'samples',
    'reward',
    y_min=None,
  )
  seen, unique = set(), []
  for sample in samples:
    seen.add(sample.digest)
    unique.append(len(seen))
  fresh = curves.line_chart(
    [curves.Series('different architectures', numbers, unique), curves.Series('all different', numbers, numbers)],
    'samples',
    'different architectures',
  )
  note = 'In the order in which trials finished. Failed trials are not shown in the chart of rewards.'
  return page.section('Samples', fill('page.pair', blocks=[chart, fresh]), note=note)


def _best(best: Sequence[Architecture]) -> Raw:
  """Shows the best architecture, and those that were the best before it (fig. 7)."""
  newest, *earlier = best
  blocks = [fill('page.paragraph', text=newest.words), *_drawing(newest)]
  blocks.append(page.folded('As JSON', page.code(newest.json)))
  blocks += [page.folded(f'Before: {other.words}', *_drawing(other)) for other in earlier if other.drawing]
  return page.section(
    'Best architecture', *blocks, note='To train the best architecture, use best.yaml beside this report.'
  )


def _drawing(architecture: Architecture) -> list[Raw]:
  return [fill('page.drawing', svg=Raw(architecture.drawing))] if architecture.drawing else []


def _trade_off(report: SearchReport) -> Raw:
  """Draws the score over the cost, with what nothing dominates."""
  priced = [sample for sample in report.samples if sample.reward is not None and sample.cost is not None]
  if not report.front or not priced:
    return Raw()
  by_trial = {sample.trial: sample for sample in priced}
  front = [by_trial[trial] for trial in report.front]
  power = next((power for power in (9, 6) if max(sample.cost for sample in priced) >= 10**power), 0)
  unit, words = 10.0**power, f'cost in 10^{power}' if power else 'cost'
  score = 'AP' if all(sample.ap is not None for sample in priced) else 'Reward'
  chart = curves.line_chart(
    [
      curves.Series('one architecture', [s.cost / unit for s in priced], [s.score for s in priced], dots=True),
      curves.Series('Pareto frontier', [s.cost / unit for s in front], [s.score for s in front]),
    ],
    words,
    score,
    y_min=None,
  )
  rows = [(s.trial, s.digest, f'{s.cost:.5g}', f'{s.score:.4f}', f'{s.reward:.4f}') for s in front]
  table = page.table(('trial', 'architecture', 'cost', score, 'reward'), rows, text_columns=(1,))
  note = 'The cost is in the unit of the evaluator: multiply-adds, milliseconds or bytes; pareto.json has the frontier.'
  return page.section(f'{score} against cost', fill('page.pair', blocks=[chart, table]), note=note)


def _ranking(report: SearchReport) -> Raw:
  """Lists the best architectures, each once."""
  by_trial = {sample.trial: sample for sample in report.samples}
  rows = []
  for rank, trial in enumerate(report.ranking, start=1):
    sample = by_trial[trial]
    ap = page.ABSENT if sample.ap is None else f'{sample.ap:.4f}'
    cost = page.ABSENT if sample.cost is None else f'{sample.cost:.5g}'
    count = sum(other.digest == sample.digest and other.reward is not None for other in report.samples)
    rows.append((rank, sample.digest, f'{sample.reward:.4f}', ap, cost, trial, count))
  header = ('rank', 'architecture', 'reward', 'AP', 'cost', 'first trial', 'sampled')
  return page.section(f'The best {len(rows)}', page.table(header, rows, text_columns=(1,)))
