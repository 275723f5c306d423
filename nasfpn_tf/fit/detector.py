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
"""Lays out a trained detector in one directory, and lists the steps that export and evaluate it."""

import abc
import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from nasfpn_tf.chain import steps

PROJECT = pathlib.Path(__file__).resolve().parents[2]
NUM_SHOWN = 12  # Images that the report shows.
SCORE_THRESHOLD = 0.4  # Of the boxes in them.


@dataclasses.dataclass(frozen=True)
class Form:
  """One form of the trained model: its key, the name that people use, and where it lies."""

  key: str
  name: str
  path: pathlib.Path


class Detector(abc.ABC):
  """Files of a detector under one output directory, from its records to its report.

  A subclass says where its images come from and how it is trained.
  """

  title: str
  command: str  # Makes everything; shown in the report.
  judged_on = 'val'  # The split that the forms are evaluated on.

  def __init__(self, output_dir: pathlib.Path):
    """Names the files; nothing is written."""
    self.output_dir = output_dir
    self.records = output_dir / 'records'
    self.model_dir = output_dir / 'model'
    self.saved_model = output_dir / 'saved_model'
    self.evaluation = output_dir / 'evaluation'
    self.report = output_dir / 'report.html'
    self.forms = (
      Form('keras', 'Keras', self.model_dir),
      Form('saved_model', 'SavedModel', self.saved_model / '1'),
      Form('tflite_float', 'TFLite float', output_dir / 'detector_float.tflite'),
      Form('tflite_int8', 'TFLite int8', output_dir / 'detector_int8.tflite'),
    )

  @property
  @abc.abstractmethod
  def shown_images(self) -> list[pathlib.Path]:
    """Images for the report."""

  def image_name(self, path: pathlib.Path) -> str:
    """Returns the name that the annotations give an image."""
    return path.name

  @abc.abstractmethod
  def lead(self, metrics: dict[str, float]) -> str:
    """Returns the report's first sentences."""

  @property
  def validation_annotations(self) -> pathlib.Path:
    """The COCO JSON of the images that the forms are evaluated on, as they are in the records."""
    return self.records / f'{self.judged_on}.annotations.json'

  def result_file(self, form: Form) -> pathlib.Path:
    """Returns where `scripts/evaluate.py` puts the metrics of a form."""
    return self.evaluation / form.key / 'evaluation.json'

  def made_forms(self, results: Sequence[steps.Result]) -> list[Form]:
    """Returns the forms that were made and evaluated; an optional one may be missing."""
    left_out = {result.step.name for result in results if result.left_out}
    return [form for form in self.forms if f'evaluate_{form.key}' not in left_out]

  def export_steps(self) -> list[steps.Step]:
    """Lists the steps from a trained model to its exported forms."""
    _, saved_model, tflite_float, tflite_int8 = self.forms
    return [
      steps.Step(
        'saved_model',
        'Export a SavedModel for TensorFlow Serving',
        [script('export_saved_model', model=self.model_dir, export_dir=self.saved_model, version=1)],
        outputs=[self.saved_model],
        after=['train'],
        summary=lambda: size(saved_model.path),
        quiet=True,
        side_by_side=True,
        forked=True,
      ),
      steps.Step(
        'tflite_float',
        'Export TFLite, float',
        [script('export_tflite', saved_model_dir=saved_model.path, tflite_path=tflite_float.path, quant_type='none')],
        outputs=[tflite_float.path],
        after=['saved_model'],
        summary=lambda: size(tflite_float.path),
        quiet=True,
        side_by_side=True,
        forked=True,
      ),
      steps.Step(
        'tflite_int8',
        'Export TFLite, int8',
        [
          script(
            'export_tflite',
            saved_model_dir=saved_model.path,
            tflite_path=tflite_int8.path,
            quant_type='int8',
            # A small validation set alone could not calibrate.
            calibration_tfrecord=f'{self.records / "val-*"},{self.records / "train-*"}',
          )
        ],
        outputs=[tflite_int8.path],
        after=['saved_model', 'records'],
        summary=lambda: size(tflite_int8.path),
        quiet=True,
        side_by_side=True,
        forked=True,
        optional=True,  # Of a detector that finds nothing yet it cannot be made.
      ),
    ]

  def evaluation_steps(self, images: Any) -> list[steps.Step]:
    """Lists the steps that evaluate every form and draw its detections in `images`, given as for `evaluate.py`."""
    return [
      steps.Step(
        f'evaluate_{form.key}',
        f'Run {form.name} on the validation images',
        [
          script(
            'evaluate',
            model=form.path,
            input_path=self.records / f'{self.judged_on}-*',
            images=images,
            score_threshold=SCORE_THRESHOLD,
            output_dir=self.result_file(form).parent,
            verbosity=-1,
          )
        ],
        outputs=[self.result_file(form).parent],
        after=['records', made_by],
        summary=lambda form=form: accuracy(self.result_file(form)),
        forked=True,
      )
      for form, made_by in zip(self.forms, ('train', 'saved_model', 'tflite_float', 'tflite_int8'), strict=True)
    ]

  def records_step(
    self, sources: Mapping[str, tuple[pathlib.Path, pathlib.Path]], after: str, told: Callable[[], str], **flags: Any
  ) -> steps.Step:
    """Returns the step that writes records.

    Args:
      sources: {split: (COCO JSON, directory of the images)}.
      after: the step that makes these.
      told: gives the step's summary.
      **flags: of `create_tfrecord.py`, besides.
    """
    return steps.Step(
      'records',
      'Write them as TFRecords',
      [
        script(
          'create_tfrecord',
          format='coco',
          annotations=annotations,
          image_dir=images,
          output_prefix=self.records / split,
          num_shards=4,
          **flags,
        )
        for split, (annotations, images) in sources.items()
      ],
      outputs=[self.records],
      after=[after],
      summary=told,
      forked=True,
    )

  def training_summary(self) -> str:
    """Returns a short summary of the training's result."""
    return f'{read_json(self.model_dir / "eval.json")["step"]} steps, {accuracy(self.model_dir / "eval.json")}'

  @abc.abstractmethod
  def steps(self) -> list[steps.Step]:
    """Lists the steps of the chain, in order."""


def script(name: str, **flags: Any) -> list[str]:
  """Returns the command line of one of the project's scripts; a list gives its flag several times, None omits it."""
  words = [sys.executable, str(PROJECT / 'scripts' / f'{name}.py')]
  for key, value in flags.items():
    words += [f'--{key}={item}' for item in (value if isinstance(value, list) else [value]) if item is not None]
  return words


def run_chain(
  detector: Detector,
  stream: TextIO | None,
  report: Callable[[Sequence[steps.Result]], None],
  last_words: Callable[[Sequence[steps.Result]], str],
) -> None:
  """Runs a chain, writes its report, and prints what was made, where, and what to do next.

  Args:
    detector: whose steps are run; the directory is made.
    stream: where it is told; None: standard output.
    report: writes the report from what the steps gave.
    last_words: gives what was made and what to do next, as `summary` does.

  Raises:
    steps.StepError: a step failed; the next run goes on from it. If the step is optional, only after everything else
      was made and reported.
  """
  stream = stream or sys.stdout
  started = time.monotonic()
  detector.output_dir.mkdir(parents=True, exist_ok=True)
  results = steps.Chain(detector.steps(), detector.output_dir, stream).run()
  report(results)
  minutes, seconds = divmod(round(time.monotonic() - started), 60)
  stream.write(f'\n{last_words(results)}\nDone in {minutes} min {seconds:02d} s.\n')
  stream.flush()
  failed = [result.step.title for result in results if result.left_out]
  if failed:
    raise steps.StepError(f'Not made: {"; ".join(failed)}. Run the same command again to try it again.')


def summary(detector: Detector, results: Sequence[steps.Result], then: Sequence[str]) -> str:
  """Returns the summary at the end of a run: what was made, where, and what to do `then`."""
  shown = {result.step.name: result.summary for result in results}
  made = [
    (detector.report, 'the report: open it in a browser'),
    (detector.model_dir, f'checkpoints and curves ({shown["train"]})'),
    *((form.path, f'{form.name} ({shown[f"evaluate_{form.key}"]})') for form in detector.made_forms(results)[1:]),
  ]
  width = max(len(shown_path(path)) for path, _ in made)
  lines = ['Made:', *(f'  {shown_path(path):<{width}}  {what}' for path, what in made)]
  missing = [f'  {result.step.title}: {result.summary}' for result in results if result.left_out]
  return '\n'.join([*lines, *(['Not made:', *missing] if missing else []), '', *then])


def shown_path(path: pathlib.Path) -> str:
  """Returns a path as seen from the current directory where it lies below it, quoted for a shell where it must be."""
  if path.is_relative_to(pathlib.Path.cwd()):
    path = path.relative_to(pathlib.Path.cwd())
  return steps.quote([str(path)])


def accuracy(path: pathlib.Path) -> str:
  """Returns AP and AP50 of a file of metrics."""
  metrics = read_json(path)
  return f'AP {100 * metrics["AP"]:.1f}, AP50 {100 * metrics["AP50"]:.1f}'


def read_json(path: pathlib.Path) -> Any:
  """Reads a JSON file."""
  return json.loads(path.read_text(encoding='utf-8'))


def size(path: pathlib.Path) -> str:
  """Returns the size of a file, or of all files in a directory."""
  files = [path] if path.is_file() else [file for file in path.rglob('*') if file.is_file()]
  return f'{sum(file.stat().st_size for file in files) / 1e6:.2f} MB'
