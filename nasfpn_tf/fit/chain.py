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
"""Defines the steps of a fit: format, splits, records, check, plan, training, exports, evaluation of every form."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence

import yaml

from nasfpn_tf import whole_file
from nasfpn_tf.chain import steps
from nasfpn_tf.data.records import manifest
from nasfpn_tf.fit import detector
from nasfpn_tf.fit.dataset import format as format_lib
from nasfpn_tf.fit.dataset import prepare
from nasfpn_tf.fit.detector import script
from nasfpn_tf.fit.plan import rules

MIN_IMAGES = 10  # What calibration for int8 needs; fewer are refused at the start, not after the training.
PLAN_SECONDS, EXPORT_SECONDS, EVALUATION_SECONDS = 60.0, 30.0, 15.0  # Most of each is TensorFlow's own start.


@dataclasses.dataclass(frozen=True)
class Request:
  """Holds the request of a user.

  Attributes:
    data: directory of images and annotations.
    minutes: what the whole may take.
    format: of the annotations; None: found.
    backbone_weights: as `plan.py` takes it.
    device: as `plan.py` takes it.
    seed: of the splits.
    images_per_second: throughput at 256 x 256 px; None: measured.
    target_latency_ms: as `plan.py` takes it.
  """

  data: pathlib.Path
  minutes: float
  format: str | None = None
  backbone_weights: str | None = None
  device: str = 'auto'
  seed: int = 0
  images_per_second: float | None = None
  target_latency_ms: float | None = None


class Fit(detector.Detector):
  """Lays out the files of a fit in one directory, and lists the steps that make them."""

  title = 'A NAS-FPN detector for your images'

  def __init__(self, request: Request, output_dir: pathlib.Path):
    """Finds the format of the data; nothing is written.

    Raises:
      DataError: the data has no annotations that can be read.
      ValueError: the output is to be written among the data, which the next run would read.
    """
    if output_dir.resolve().is_relative_to(request.data.resolve()):
      raise ValueError(f'--output_dir={output_dir} is in the directory of the data; name one outside of it.')
    super().__init__(output_dir)
    self.request = request
    self.annotations = output_dir / 'annotations'
    self.plan = output_dir / 'plan.yaml'
    self.check = output_dir / 'check.html'
    self.listing = output_dir / '.steps' / 'data.txt'
    self.parts = format_lib.find(request.data, request.format)
    self.splits = prepare.split_names(self.parts)
    self.judged_on = self.splits[-1]
    words = ['./scripts/fit.sh', str(request.data), f'--minutes={request.minutes:g}', f'--output_dir={output_dir}']
    self.command = steps.quote(words)

  @property
  def shown_images(self) -> list[pathlib.Path]:
    """Images for the report that are in the records."""
    listed = (self.annotations / prepare.SHOWN).read_text(encoding='utf-8').splitlines()
    known = {image['file_name'] for image in detector.read_json(self.validation_annotations)['images']}
    return [path for path in map(pathlib.Path, listed) if self.image_name(path) in known]

  @property
  def is_edited(self) -> bool:
    """Tells whether the plan is no longer the one that was made here."""
    try:
      made = self._plan_stamp.read_text(encoding='utf-8')
      return made != hashlib.sha256(self.plan.read_bytes()).hexdigest()
    except OSError:
      return False

  def image_name(self, path: pathlib.Path) -> str:
    """Returns the path of an image relative to the data, as the annotations have it."""
    name = os.path.relpath(path, self.request.data)
    return str(path) if name.startswith(os.pardir) else name.replace(os.sep, '/')

  def lead(self, metrics: dict[str, float]) -> str:
    """Returns the report's first sentences."""
    train, judged = (self._num_records(split) for split in ('train', self.judged_on))
    return (
      f'Trained on {train} images of {self.request.data.name} by the plan in plan.yaml, evaluated on {judged} others '
      f"({self.judged_on}). AP {100 * metrics['AP']:.1f}, AP50 {100 * metrics['AP50']:.1f} by COCO's own metric."
    )

  def write_listing(self) -> None:
    """Writes names, sizes and times of the data's files, so that changes to the data set are noticed."""
    lines = []
    for directory, folders, files in os.walk(self.request.data):
      folders.sort()
      for name in sorted(files):
        entry = os.stat(os.path.join(directory, name), follow_symlinks=False)
        lines.append(f'{os.path.join(directory, name)}\t{entry.st_size}\t{entry.st_mtime_ns}')
    self.listing.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write_text(self.listing, '\n'.join(lines) + '\n')

  def note_plan(self) -> str:
    """Records the plan as it was made; returns a short description."""
    whole_file.write_text(self._plan_stamp, hashlib.sha256(self.plan.read_bytes()).hexdigest())
    return self._plan_summary()

  def _plan_step(self) -> steps.Step:
    request = self.request
    return steps.Step(
      'plan',
      'Plan the training (measures this machine)',
      [
        script(
          'plan',
          input_path=self.records / 'train-*',
          validation_path=self.records / 'val-*',
          minutes=request.minutes,
          backbone_weights=request.backbone_weights,
          device=request.device,
          images_per_second=request.images_per_second,
          target_latency_ms=request.target_latency_ms,
          output=self.plan,
        )
      ],
      outputs=[self.plan],
      forked=True,
      after=['records'],
      summary=self.note_plan,
      expected=lambda: PLAN_SECONDS,
    )

  def steps(self) -> list[steps.Step]:
    """Lists the steps of the chain, in order; an edited plan is used unchanged."""
    request = self.request
    splits = ' and '.join(', '.join(self.splits).rsplit(', ', 1))
    made = [
      steps.Step(
        'split',
        f'Read {self.parts[0].format.upper()} annotations, divide the images into {splits}',
        [
          script(
            'split_dataset',
            data=request.data,
            format=request.format,
            output_dir=self.annotations,
            seed=request.seed,
            min_images=MIN_IMAGES,
          )
        ],
        outputs=[self.annotations],
        inputs=[self.listing],
        summary=lambda: f'written down in {prepare.SPLITS}',
      ),
      self.records_step(
        {split: (self.annotations / f'{split}.json', request.data) for split in self.splits},
        after='split',
        told=lambda: ', '.join(f'{self._num_records(split)} {split}' for split in self.splits),
        allow_empty='true',
      ),
      steps.Step(
        'check',
        'Check the records',
        [
          script(
            'check_dataset',
            input_path=[self.records / f'{split}-*' for split in self.splits],
            output=self.check,
            strict='false',
          )
        ],
        outputs=[self.check],
        after=['records'],
        summary=lambda: str(self.check.name),
        forked=True,
      ),
    ]
    if not self.is_edited:
      made.append(self._plan_step())
    made.append(
      steps.Step(
        'train',
        'Train by plan.yaml' + (', which was edited' if self.is_edited else ''),
        [script('train', config_file=self.plan, mode='train_and_eval', model_dir=self.model_dir, verbosity=-1)],
        outputs=[self.model_dir],
        inputs=[self.plan],
        after=['records'],
        summary=self.training_summary,
        continues=True,
        forked=True,
        expected=self._training_seconds,
      )
    )
    exports = [dataclasses.replace(step, expected=lambda: EXPORT_SECONDS) for step in self.export_steps()]
    evaluations = self.evaluation_steps(self.annotations / prepare.SHOWN)
    return [*made, *exports, *(dataclasses.replace(step, expected=lambda: EVALUATION_SECONDS) for step in evaluations)]

  @property
  def _plan_stamp(self) -> pathlib.Path:
    return self.output_dir / '.steps' / 'plan.sha256'

  def _plan_summary(self) -> str:
    plan = yaml.safe_load(self.plan.read_text(encoding='utf-8'))
    model, trainer = plan['task']['model'], plan['trainer']
    pyramid = model['decoder']['feature_pyramid']
    height, width, _ = model['input_size']
    return (
      f'{height} x {width} px, P{model["min_level"]} to P{model["max_level"]}, NAS-FPN {pyramid["num_repeats"]} @'
      f' {pyramid["num_filters"]}, {trainer["train_steps"]} steps; the reason for every line is in {self.plan.name}'
    )

  def _training_seconds(self) -> float:
    return rules.Budget(self.request.minutes, 1.0).training_seconds

  def _num_records(self, split: str) -> int:
    return manifest.Manifest.load(str(self.records / f'{split}.manifest.json')).num_records


def next_commands(fit: Fit, results: Sequence[steps.Result]) -> Sequence[str]:
  """Returns the three commands that a user runs next."""
  scripts = detector.shown_path(detector.PROJECT / 'scripts')
  python = detector.shown_path(detector.PROJECT / '.venv' / 'bin' / 'python')
  saved_model, smallest = fit.forms[1].path, fit.made_forms(results)[-1].path
  longer = detector.shown_path(fit.output_dir.with_name(f'{fit.output_dir.name}_longer'))
  return [
    f'{python} {scripts}/predict.py --model={detector.shown_path(smallest)}'
    f' --images={detector.shown_path(fit.request.data)} --recursive'
    f' --output_dir={detector.shown_path(fit.output_dir / "found")}',
    f'{python} {scripts}/benchmark.py --model={detector.shown_path(saved_model)}'
    f' --records={detector.shown_path(fit.output_dir / "latency.jsonl")}',
    f'{scripts}/fit.sh {detector.shown_path(fit.request.data)} --minutes={2 * fit.request.minutes:g}'
    f' --output_dir={longer}',
  ]
