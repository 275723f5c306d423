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

"""Sums up a search for its report: the samples, the best architectures, the Pareto frontier, what failed."""

import collections
import json
import time
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.report import pareto
from nasfpn_tf.report import search as report
from nasfpn_tf.search.space import SearchSpace
from nasfpn_tf.search.trial import FAILED, OK, REUSED, Measurement, Results, Trial

_NUM_BEST = 20
_NUM_RECORDS = 6  # Drawings of what was the best for a while; fig. 7 has five of them.


def render(results: Results, space: SearchSpace, identity: Mapping[str, Any], max_trials: int) -> str:
  """Renders the report of a search as one HTML file.

  Args:
    results: finished trials in the order in which they finished.
    space: what is searched.
    identity: what the search is, as its store keeps it.
    max_trials: how many trials there are to be.
  """
  return report.render(gather(results, space, identity, max_trials))


def gather(results: Results, space: SearchSpace, identity: Mapping[str, Any], max_trials: int) -> report.SearchReport:
  """Gathers what the report shows; see `render`."""
  state = 'Done' if len(results) >= max_trials else 'In progress'
  good = [(trial, measurement) for trial, measurement in results if measurement.status != FAILED]
  return report.SearchReport(
    title=f'Search in the space {space.name}',
    lead=f'{space.size():.3g} architectures, proposed by {identity["searcher"]["name"]}, evaluated by'
    f' {identity["evaluator"]["name"]}. {state}: {len(results):,} of {max_trials:,} trials,'
    f' {time.strftime("%Y-%m-%d %H:%M")}.',
    headlines=_headlines(results, max_trials),
    samples=[_sample(trial, measurement) for trial, measurement in results],
    best=[
      report.Architecture(
        _words(trial, measurement),
        json.dumps(trial.architecture),
        space.drawing(dict(trial.architecture)) or '',
      )
      for trial, measurement in reversed(records(good)[-_NUM_RECORDS:])
    ],
    front=frontier(good),
    ranking=[trial.id for trial, _ in _ranked(good)[:_NUM_BEST]],
    failures=_failures(results)[:_NUM_BEST],
    identity=json.dumps(identity, indent=2),
  )


def frontier(results: Results) -> list[int]:
  """Finds the architectures that no other dominates in cost and AP; returns their trials' numbers, cheapest first.

  Of the trials of one architecture the best one counts, and trials whose cost is not known do not.
  """
  found = [(trial, measurement) for trial, measurement in _ranked(results) if measurement.cost is not None]
  points = {trial.id: (measurement.cost, _score(measurement)) for trial, measurement in found}
  return pareto.front(points)


def records(results: Results) -> list[tuple[Trial, Measurement]]:
  """Finds the trials that were the best so far when they finished, in that order."""
  found = []
  for trial, measurement in results:
    if not found or measurement.reward > found[-1][1].reward:
      found.append((trial, measurement))
  return found


def _ranked(good: Results) -> list[tuple[Trial, Measurement]]:
  """Orders architectures by reward, each with the first of its best trials."""
  best: dict[str, tuple[Trial, Measurement]] = {}
  for trial, measurement in sorted(good, key=lambda result: (-result[1].reward, result[0].id)):
    best.setdefault(trial.digest, (trial, measurement))
  return list(best.values())


def _sample(trial: Trial, measurement: Measurement) -> report.Sample:
  reward = None if measurement.status == FAILED else measurement.reward
  return report.Sample(trial.id, trial.digest, reward, measurement.ap, measurement.cost)


def _headlines(results: Results, max_trials: int) -> dict[str, str]:
  by_status = collections.Counter(measurement.status for _, measurement in results)
  seconds = sum(measurement.seconds for _, measurement in results)
  rewards = [measurement.reward for _, measurement in results if measurement.status != FAILED]
  return {
    f'of {max_trials:,} trials done': f'{len(results):,}',
    'best reward': f'{max(rewards):.4f}' if rewards else '-',
    'different architectures': f'{len({trial.digest for trial, _ in results}):,}',
    'evaluated': f'{by_status[OK]:,}',
    'reward reused': f'{by_status[REUSED]:,}',
    'failed': f'{by_status[FAILED]:,}',
    'time of evaluations': _duration(seconds),
  }


def _failures(results: Results) -> list[tuple[str, int, int]]:
  """Counts the reasons of failed trials, the most frequent first: (reason, how many, the first trial)."""
  reasons: dict[str, list[int]] = {}
  for trial, measurement in results:
    if measurement.status == FAILED:
      reasons.setdefault(measurement.reason, []).append(trial.id)
  return sorted(((reason, len(ids), ids[0]) for reason, ids in reasons.items()), key=lambda row: -row[1])


def _score(measurement: Measurement) -> float:
  return measurement.reward if measurement.ap is None else measurement.ap


def _words(trial: Trial, measurement: Measurement) -> str:
  ap = '' if measurement.ap is None else f', AP {measurement.ap:.4f}'
  cost = '' if measurement.cost is None else f', cost {measurement.cost:.5g}'
  return f'{trial.architecture.get("name", trial.digest)}: trial {trial.id}, reward {measurement.reward:.4f}{ap}{cost}'


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours:,} h {minutes:02d} min'
  return f'{minutes} min {seconds:02d} s' if minutes else f'{seconds} s'
