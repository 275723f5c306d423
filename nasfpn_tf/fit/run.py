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
"""Runs a fit, and lists the files that it made."""

import functools
from collections.abc import Sequence
from typing import TextIO

from nasfpn_tf.chain import steps
from nasfpn_tf.fit import chain, detector, gather


def run(fit: chain.Fit, stream: TextIO | None = None) -> None:
  """Runs the chain, writes the report, and prints what was made, where, and what to do next.

  Raises:
    steps.StepError: a step failed; the next run goes on from it.
  """
  fit.output_dir.mkdir(parents=True, exist_ok=True)
  fit.write_listing()

  def last_words(results: Sequence[steps.Result]) -> str:
    return detector.summary(fit, results, ['Next:', *(f'  {command}' for command in chain.next_commands(fit, results))])

  detector.run_chain(fit, stream, functools.partial(gather.write_report, fit), last_words)
