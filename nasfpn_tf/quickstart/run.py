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

"""Runs the quickstart, and lists the files that it made."""

import functools
from collections.abc import Sequence
from typing import TextIO

from nasfpn_tf.chain import steps
from nasfpn_tf.fit import detector, gather
from nasfpn_tf.quickstart import chain


def run(quickstart: chain.Quickstart, stream: TextIO | None = None) -> None:
  """Runs the chain, writes the report, and prints what was made, where, and what to do next.

  Raises:
    steps.StepError: a step failed; the next run goes on from it.
  """
  detector.run_chain(
    quickstart, stream, functools.partial(gather.write_report, quickstart), functools.partial(summary, quickstart)
  )


def summary(quickstart: chain.Quickstart, results: Sequence[steps.Result]) -> str:
  """Returns the summary: what was made, where, and the command for one's own data."""
  then = ['Next, on your own images with COCO, Pascal VOC or YOLO annotations (docs/fit.md):']
  return detector.summary(quickstart, results, [*then, *(f'  {command}' for command in own_data_commands())])


def own_data_commands() -> list[str]:
  """Returns the commands that train on one's own data."""
  scripts = detector.shown_path(chain.PROJECT / 'scripts')
  return [f'{scripts}/fit.sh my_images --minutes=30 --output_dir=my_detector']
