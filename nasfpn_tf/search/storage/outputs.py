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

"""The files of a search directory that are made from its store, kept up to date while the search runs."""

import json
import time
from collections.abc import Callable

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
  """

  def __init__(
    self, directory: SearchDirectory, results: Results, render: Callable[[Results], str], report_seconds: float = 30.0
  ):
    self.results = list(results)
    self.best: tuple[Trial, Measurement] | None = None
    self._directory, self._render, self._report_seconds = directory, render, report_seconds
    self._next_report = float('-inf')
    directory.write(directory.trials, ''.join(map(_line, self.results)))
    self._keep_best(self.results)

  def add(self, news: Results) -> None:
    """Takes in what is new."""
    self.results += news
    self._directory.append(self._directory.trials, ''.join(map(_line, news)))
    self._keep_best(news)
    if time.monotonic() >= self._next_report:
      self.report()

  def report(self) -> None:
    """Writes the report now."""
    start = time.monotonic()
    self._directory.write(self._directory.report, self._render(self.results))
    self._next_report = time.monotonic() + max(self._report_seconds, 20 * (time.monotonic() - start))

  def _keep_best(self, news: Results) -> None:
    before = self.best
    for trial, measurement in news:
      if measurement.status != FAILED and (self.best is None or measurement.reward > self.best[1].reward):
        self.best = trial, measurement
    if self.best is not before:
      self._directory.write(self._directory.best, json.dumps(self.best[0].architecture, indent=2) + '\n')


def _line(result: tuple[Trial, Measurement]) -> str:
  """A trial and its measurement as one line of JSON."""
  trial, measurement = result
  return f'{trial.to_json()[:-1]},"measurement":{measurement.to_json()}}}\n'
