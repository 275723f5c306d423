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

"""Makes a frontier: trains, exports and measures its points one by one, and updates the report after each."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import yaml

from nasfpn_tf import safe_json, whole_file
from nasfpn_tf.chain import steps
from nasfpn_tf.config import loading
from nasfpn_tf.frontier import documents, plan, published, record
from nasfpn_tf.frontier.plan import FORMS, Point
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import schedule

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SPLITS = ('train', 'val', 'test')


@dataclasses.dataclass(frozen=True)
class Settings:
  """What all points share; a directory belongs to one `Settings`.

  Attributes:
    config_file: the configuration that the points change.
    params_override: further changes, as of train.py.
    train: records to train on, also to calibrate with.
    validation: records whose AP is reported; nothing is chosen by them.
    steps: of every training.
    seed: of every training.
  """

  config_file: str
  params_override: str | None
  train: str
  validation: str
  steps: int
  seed: int


@dataclasses.dataclass(frozen=True)
class Measuring:
  """How finished models are measured; this may change between runs.

  Attributes:
    forms: keys of `plan.FORMS`.
    threads: of LiteRT.
    runs: that count.
  """

  forms: Sequence[str] = tuple(FORMS)
  threads: int = 1
  runs: int = 50

  def __post_init__(self):
    if not self.forms or set(self.forms) - set(FORMS):
      raise ValueError(f'forms {", ".join(self.forms) or "none"}: choose from {", ".join(FORMS)}.')


class Production:
  """A frontier in a directory: points/NAME for each point, records/, and the report."""

  def __init__(self, directory: str, settings: Settings, measuring: Measuring, stream: TextIO | None = None):
    """Takes the place.

    Raises:
      ValueError: another frontier is there, or the configuration is wrong.
    """
    self.directory = pathlib.Path(directory).resolve()
    self._settings, self._measuring, self._stream = settings, measuring, stream or sys.stdout
    self._params = params_lib.load_params(None, settings.config_file, settings.params_override)
    file = self.directory / 'settings.json'
    given = dataclasses.asdict(settings)
    try:
      before = safe_json.load(file) if file.exists() else given
    except ValueError as error:
      raise ValueError(
        f'{error}. It says how the points beside it were made: restore a copy, or give another --output_dir.'
      ) from error
    if before != given:
      raise ValueError(f'{self.directory} has a frontier with other settings ({file}): give another --output_dir.')
    self.directory.mkdir(parents=True, exist_ok=True)
    whole_file.write_json(file, given)

  @property
  def records(self) -> pathlib.Path:
    """One file for each model."""
    return self.directory / 'records'

  def run(
    self, points: Sequence[Point], measure_again: bool = False, title: str = 'Accuracy against cost'
  ) -> list[str]:
    """Runs the steps that are not finished, and reports.

    Args:
      points: which.
      measure_again: measure also what has been measured, e.g. once the machine has nothing else to do.
      title: of the report.

    Returns:
      What has failed; the others are done all the same.
    """
    if measure_again:
      for point in points:
        for name in point.models(self._measuring.forms):
          (self.records / f'{name}.jsonl').unlink(missing_ok=True)
    failures = []
    for number, point in enumerate(points, start=1):
      self._stream.write(f'{point.name} ({number} of {len(points)})\n')
      try:
        steps.Chain([self._training(point)], self._path(point), self._stream).run()
      except steps.StepError as error:
        failures.append(f'{point.name}: {error}')
        continue
      # Models are chains of their own: one that cannot be exported does not keep the others away.
      for name, (form, exit_stage) in point.models(self._measuring.forms).items():
        chain = [self._export(point, name, form, exit_stage), self._measurement(point, name, exit_stage)]
        try:
          steps.Chain(chain, self._path(point) / name, self._stream).run()
        except steps.StepError as error:
          failures.append(f'{name}: {error}')
      self.report(title)
    return failures

  def report(self, title: str) -> None:
    """Writes the report of all existing records, including points that were not requested this time."""
    if not self.records.is_dir() or not any(self.records.iterdir()):
      return
    found = record.load([str(self.records)])
    # In the order of the plan, whatever the files are called.
    order = {name: place for place, point in enumerate(plan.all_points()) for name in point.models(FORMS)}
    found.sort(key=lambda entry: order.get(entry.name, len(order)))
    documents.write(str(self.directory), found, published.load('mobile', loading.config_names()), title)
    whole_file.write_text(self.directory / 'records.jsonl', ''.join(entry.to_json() + '\n' for entry in found))

  def overrides(self, point: Point) -> dict[str, Any]:
    """Returns the changes of a point to the configuration."""
    task = {
      'model': point.override(self._params.task.model),
      'train_data': {'input_path': self._settings.train, 'seed': self._settings.seed},
      'validation_data': {'input_path': self._settings.validation},
    }
    return {'task': task, **schedule.shortened(self._params.trainer, self._settings.steps)}

  def _path(self, point: Point) -> pathlib.Path:
    return self.directory / 'points' / point.name

  def _training(self, point: Point) -> steps.Step:
    path = self._path(point)
    path.mkdir(parents=True, exist_ok=True)
    changes = path / 'point.yaml'
    whole_file.write_text(changes, yaml.safe_dump(self.overrides(point)))
    words = {'mode': 'train', 'model_dir': path / 'model', 'verbosity': -1}
    command = _script('train', words)
    # What the point decides is on top of what was given for all of them, but for the configuration's own file.
    files = [self._settings.config_file, *self._common_file(), changes]
    command += [f'--config_file={file}' for file in files]
    return steps.Step(
      'train',
      f'Train {point.name}',
      [command],
      outputs=[path / 'model'],
      inputs=[changes],
      summary=lambda: f'{self._settings.steps} steps',
      continues=True,
      quiet=True,
    )

  def _common_file(self) -> list[pathlib.Path]:
    if not self._settings.params_override:
      return []
    file = self.directory / 'common.yaml'
    given = loading.nested(loading.parse_override(self._settings.params_override))
    whole_file.write_text(file, yaml.safe_dump(given))
    return [file]

  def _export(self, point: Point, name: str, form: str, exit_stage: int | None) -> steps.Step:
    path = self._path(point)
    target = path / name / f'{name}.tflite'
    words = {'model': path / 'model', 'tflite_path': target, 'quant_type': FORMS[form]}
    if form == 'int8':
      words['calibration_tfrecord'] = self._settings.train
    if exit_stage is not None:
      words['exit_stage'] = exit_stage
    return steps.Step(
      'export',
      f'Export {name}',
      [_script('export_tflite', words)],
      outputs=[target, target.with_suffix('.json')],
      inputs=[path / '.steps' / 'train.json'],
      summary=lambda: f'{target.stat().st_size / 1e6:.2f} MB',
      quiet=True,
    )

  def _measurement(self, point: Point, name: str, exit_stage: int | None) -> steps.Step:
    target = self.records / f'{name}.jsonl'
    facts = {
      'train_steps': self._settings.steps,
      'batch_size': self._params.task.train_data.global_batch_size,
      'seed': self._settings.seed,
      'repeats': exit_stage or point.num_repeats,
      'filters': point.num_filters,
    }
    words = {
      'model': self._path(point) / name / f'{name}.tflite',
      'input_path': self._settings.validation,
      'records': target,
      'name': name,
      'family': point.family,
      'facts': ','.join(f'{key}={value}' for key, value in facts.items()),
      'threads': self._measuring.threads,
      'runs': self._measuring.runs,
    }
    return steps.Step(
      'measure',
      f'Measure {name}',
      [_script('benchmark', words)],
      outputs=[target],
      after=['export'],
      summary=lambda: _summary(target),
      quiet=True,
    )


def make_records(data_dir: str, output_dir: str, stream: TextIO | None = None) -> tuple[str, str]:
  """Writes a data set's three splits as records; returns those to train on and those to validate on.

  Args:
    data_dir: has annotations/instances_train.json, _val and _test, COCO JSON, and the images in images/.
    output_dir: gets data/.
    stream: where progress is told.

  Raises:
    FileNotFoundError: a split is not there.
    steps.StepError: the data are broken.
  """
  data, target = pathlib.Path(data_dir).resolve(), pathlib.Path(output_dir).resolve() / 'data'
  commands, inputs = [], []
  for split in _SPLITS:
    annotations = data / 'annotations' / f'instances_{split}.json'
    if not annotations.is_file():
      raise FileNotFoundError(f'{annotations}: no such file; --data_dir has annotations/ and images/, or give records.')
    inputs.append(annotations)
    words = {'format': 'coco', 'annotations': annotations, 'image_dir': data / 'images'}
    prefix = target / f'{data.name}_{split}'
    commands.append(_script('create_tfrecord', {**words, 'output_prefix': prefix, 'num_shards': 2}))
  title = f'Write {data.name} as records'
  step = steps.Step('records', title, commands, outputs=[target], inputs=inputs, quiet=True)
  steps.Chain([step], output_dir, stream).run()
  train, val, test = (f'{target}/{data.name}_{split}' for split in _SPLITS)
  return f'{train},{val}', test


def _script(name: str, words: Mapping[str, Any]) -> list[str]:
  return [sys.executable, str(_ROOT / 'scripts' / f'{name}.py'), *(f'--{key}={value}' for key, value in words.items())]


def _summary(path: pathlib.Path) -> str:
  (found,) = record.load([str(path)])
  return f'AP {found.ap:.4f}, {found.latency_ms.typical:.2f} ms'
