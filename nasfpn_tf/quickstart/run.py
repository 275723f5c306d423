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

import pathlib
import sys
import time
from typing import TextIO

from nasfpn_tf.chain import steps
from nasfpn_tf.quickstart import chain, gather


def run(quickstart: chain.Quickstart, stream: TextIO | None = None) -> None:
  """Runs the chain, writes the report, and tells what was made, where, and what to do next.

  Raises:
    steps.StepError: a step failed; the next run goes on from it.
  """
  stream = stream or sys.stdout
  started = time.monotonic()
  quickstart.output_dir.mkdir(parents=True, exist_ok=True)
  results = steps.Chain(quickstart.steps(), quickstart.output_dir, stream).run()
  gather.write_report(quickstart, results)
  minutes, seconds = divmod(round(time.monotonic() - started), 60)
  stream.write(f'\n{summary(quickstart, results)}\nDone in {minutes} min {seconds:02d} s.\n')
  stream.flush()


def summary(quickstart: chain.Quickstart, results: list[steps.Result]) -> str:
  """Summarizes the run: what was written where, and the three commands for one's own data."""
  shown = {result.step.name: result.summary for result in results}
  made = [
    (quickstart.report, 'the report: open it in a browser'),
    (quickstart.model_dir, f'checkpoints and curves ({shown["train"]})'),
    *((form.path, f'{form.name} ({shown[f"evaluate_{form.key}"]})') for form in quickstart.forms[1:]),
  ]
  width = max(len(_shown(path)) for path, _ in made)
  lines = ['Made:', *(f'  {_shown(path):<{width}}  {what}' for path, what in made), '']
  lines += ['Next, on your own images with COCO annotations (docs/training.md; VOC and YOLO: docs/data.md):']
  lines += [f'  {command}' for command in own_data_commands()]
  return '\n'.join(lines)


def own_data_commands() -> list[str]:
  """Returns the three commands from one's own data to a SavedModel."""
  python = _shown(pathlib.Path(sys.executable).parent / 'python')
  scripts = _shown(chain.PROJECT / 'scripts')
  return [
    f'for s in train val; do {python} {scripts}/create_tfrecord.py --annotations=my/$s.json --image_dir=my/images '
    '--output_prefix=my/records/$s; done',
    f'{python} {scripts}/train.py --config_file={chain.CONFIG} --model_dir=my/model '
    "--params_override='task.train_data.input_path=my/records/train-*,task.validation_data.input_path=my/records/val-*'",
    f'{python} {scripts}/export_saved_model.py --model=my/model --export_dir=my/saved_model',
  ]


def _shown(path: pathlib.Path) -> str:
  """Formats a path for a shell, relative to the current directory if it is below it."""
  if path.is_relative_to(pathlib.Path.cwd()):
    path = path.relative_to(pathlib.Path.cwd())
  return steps.quote([str(path)])
