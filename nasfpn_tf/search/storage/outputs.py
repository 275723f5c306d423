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

"""Keeps the files that are derived from the store up to date while the search runs."""

import contextlib
import json
import os
import time
from collections.abc import Callable

from nasfpn_tf.search.problems import SearchError, explained
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.trial import FAILED, Measurement, Results, Trial


class Outputs:
  """`trials.jsonl`, one line a finished trial; `best.json`, the best architecture; `report.html`.

  All are made anew from the store when a run begins, so what a killed run has left half-done does not matter.

  Args:
    directory: where they go.
    results: what is finished so far.
    render: makes the report of all results.
    report_seconds: least time between two reports; more where one takes long to make.
    companion: called with all results whenever a report has been written, for files that keep up with it.

  Raises:
    SearchError: at construction, if `trials.jsonl` lists trials that are not among the results, which would be lost.
  """

  def __init__(
    self,
    directory: SearchDirectory,
    results: Results,
    render: Callable[[Results], str],
    report_seconds: float = 30.0,
    companion: Callable[[Results], None] = lambda results: None,
  ):
    self.results: list[tuple[Trial, Measurement]] = []
    self._ids: set[int] = set()
    self.best: tuple[Trial, Measurement] | None = None
    self._directory, self._render, self._report_seconds = directory, render, report_seconds
    self._companion = companion
    self._next_report = float('-inf')
    self._take_in(results)
    self._check_listed()
    directory.write(directory.trials, ''.join(map(_line, self.results)))
    self._keep_best(self.results)

  def add(self, news: Results) -> None:
    """Adds new trials; skips those that are already there, such as finished ones that were not yet observed."""
    news = self._take_in(news)
    self._directory.append(self._directory.trials, ''.join(map(_line, news)))
    self._keep_best(news)
    if time.monotonic() >= self._next_report:
      self.report()

  def report(self) -> None:
    """Writes the report now."""
    start = time.monotonic()
    self._directory.write(self._directory.report, self._render(self.results))
    self._companion(self.results)
    self._next_report = time.monotonic() + max(self._report_seconds, 20 * (time.monotonic() - start))

  def _take_in(self, results: Results) -> list[tuple[Trial, Measurement]]:
    """Adds each trial once; returns those that were added."""
    added = []
    for trial, measurement in results:
      if trial.id not in self._ids:
        self._ids.add(trial.id)
        added.append((trial, measurement))
    self.results += added
    return added

  def _check_listed(self) -> None:
    missing = sorted(_listed(self._directory.trials) - self._ids)
    if missing:
      raise SearchError(
        f'{self._directory.store} lacks {len(missing)} of the trials in {self._directory.trials}, the first is trial'
        f' {missing[0]}. Restore a copy of the store that has them; to continue without them, move trials.jsonl away.'
      )

  def _keep_best(self, news: Results) -> None:
    before = self.best
    for trial, measurement in news:
      if measurement.status != FAILED and (self.best is None or measurement.reward > self.best[1].reward):
        self.best = trial, measurement
    if self.best is not before:
      self._directory.write(self._directory.best, json.dumps(self.best[0].architecture, indent=2) + '\n')


def _line(result: tuple[Trial, Measurement]) -> str:
  """Formats a trial and its measurement as one line of JSON."""
  trial, measurement = result
  return f'{trial.to_json()[:-1]},"measurement":{measurement.to_json()}}}\n'


def _listed(path: str) -> set[int]:
  """Reads the numbers of the trials in a trials.jsonl; ignores an incomplete line of a killed run."""
  found = set()
  if os.path.exists(path):
    with explained(path), open(path, encoding='utf-8', errors='replace') as file:
      for line in file:
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
          found.add(int(json.loads(line)['id']))
  return found
