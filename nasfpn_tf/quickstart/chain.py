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

"""Defines the steps of the quickstart: images, records, training, exports, evaluation of every format."""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from nasfpn_tf import processor
from nasfpn_tf.chain import steps
from nasfpn_tf.data.records import manifest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = 'digits_resnet10_nasfpnlite_2x48_256'
NUM_SHOWN = 12  # Images that the report shows.
SCORE_THRESHOLD = 0.4  # Of the boxes in them.


@dataclasses.dataclass(frozen=True)
class Scale:
  """Sizes of the data set, and changes to the configuration.

  Attributes:
    train_images: images to train on.
    validation_images: images to evaluate on.
    override: changes to the configuration, as `--params_override` takes them.
  """

  train_images: int
  validation_images: int
  override: Mapping[str, Any] = dataclasses.field(default_factory=dict)


FULL = Scale(train_images=12000, validation_images=500)

# A few steps on a few images: checks that every part of the chain runs.
SMOKE = Scale(
  train_images=24,
  validation_images=10,
  override={
    'task': {
      'model': {'input_size': [128, 128, 3]},
      'train_data': {'global_batch_size': 4},
      'validation_data': {'global_batch_size': 4},
    },
    'trainer': {
      'train_steps': 6,
      'steps_per_loop': 2,
      'summary_interval': 2,
      'validation_interval': 6,
      'checkpoint_interval': 6,
      'optimizer_config': {
        'learning_rate': {'cosine': {'decay_steps': 6}},
        'warmup': {'linear': {'warmup_steps': 1}},
      },
    },
  },
)


@dataclasses.dataclass(frozen=True)
class Form:
  """One form of the trained model: what people call it, and where it lies."""

  key: str
  name: str
  path: pathlib.Path


class Quickstart:
  """Lays out the files of a quickstart in one directory, and lists the steps that make them."""

  def __init__(self, output_dir: pathlib.Path, scale: Scale = FULL):
    """Plans a run; nothing is written."""
    self.output_dir = output_dir
    self.scale = scale
    self.pictures = output_dir / 'pictures'
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
  def validation_annotations(self) -> pathlib.Path:
    """The COCO JSON of the validation images, as they are in the records."""
    return self.records / 'val.annotations.json'

  @property
  def shown_pictures(self) -> list[pathlib.Path]:
    """The first validation images, for the report; they are numbered after those for training."""
    first = self.scale.train_images + 1
    count = min(NUM_SHOWN, self.scale.validation_images)
    return [self.pictures / 'val' / f'{number:06d}.jpg' for number in range(first, first + count)]

  def settings(self) -> dict[str, Any]:
    """Returns the changes to the configuration: the records and, unless at full scale, the size."""
    task = dict(self.scale.override.get('task', {}))
    for name, prefix in (('train_data', 'train'), ('validation_data', 'val')):
      task[name] = {**task.get(name, {}), 'input_path': str(self.records / f'{prefix}-*')}
    settings = {**self.scale.override, 'task': task}
    if processor.computes_bfloat16():
      settings['runtime'] = {'mixed_precision_dtype': 'bfloat16'}
    return settings

  def result_file(self, form: Form) -> pathlib.Path:
    """Returns the path at which `scripts/evaluate.py` writes the metrics of a format."""
    return self.evaluation / form.key / 'evaluation.json'

  def steps(self) -> list[steps.Step]:
    """Returns the steps of the chain, in order."""
    _, saved_model, tflite_float, tflite_int8 = self.forms
    return [
      steps.Step(
        'pictures',
        'Draw the images: handwritten digits on photographs',
        [
          _script(
            'make_digits',
            output_dir=self.pictures,
            num_train=self.scale.train_images,
            num_val=self.scale.validation_images,
          )
        ],
        outputs=[self.pictures],
        summary=lambda: f'{self.scale.train_images} for training, {self.scale.validation_images} for validation',
      ),
      steps.Step(
        'records',
        'Write them as TFRecords',
        [
          _script(
            'create_tfrecord',
            format='coco',
            annotations=self.pictures / f'{split}.json',
            image_dir=self.pictures / split,
            output_prefix=self.records / split,
            num_shards=4,
          )
          for split in ('train', 'val')
        ],
        outputs=[self.records],
        after=['pictures'],
        summary=self._records_summary,
      ),
      steps.Step(
        'train',
        'Train',
        [
          _script(
            'train',
            config_file=CONFIG,
            params_override=json.dumps(self.settings()),
            mode='train_and_eval',
            model_dir=self.model_dir,
            verbosity=-1,  # Warnings alone; the progress says the rest.
          )
        ],
        outputs=[self.model_dir],
        inputs=[PROJECT / 'configs' / f'{CONFIG}.yaml'],
        after=['records'],
        summary=self._training_summary,
        continues=True,
      ),
      steps.Step(
        'saved_model',
        'Export a SavedModel for TensorFlow Serving',
        [_script('export_saved_model', model=self.model_dir, export_dir=self.saved_model, version=1)],
        outputs=[self.saved_model],
        after=['train'],
        summary=lambda: _size(saved_model.path),
        quiet=True,
      ),
      steps.Step(
        'tflite_float',
        'Export TFLite, float',
        [_script('export_tflite', saved_model_dir=saved_model.path, tflite_path=tflite_float.path, quant_type='none')],
        outputs=[tflite_float.path],
        after=['saved_model'],
        summary=lambda: _size(tflite_float.path),
        quiet=True,
      ),
      steps.Step(
        'tflite_int8',
        'Export TFLite, int8',
        [
          _script(
            'export_tflite',
            saved_model_dir=saved_model.path,
            tflite_path=tflite_int8.path,
            quant_type='int8',
            calibration_tfrecord=self.records / 'val-*',
          )
        ],
        outputs=[tflite_int8.path],
        after=['saved_model', 'records'],
        summary=lambda: _size(tflite_int8.path),
        quiet=True,
      ),
      *(
        steps.Step(
          f'evaluate_{form.key}',
          f'Run {form.name} on the validation images',
          [
            _script(
              'evaluate',
              model=form.path,
              input_path=self.records / 'val-*',
              images=self.shown_pictures,
              score_threshold=SCORE_THRESHOLD,
              output_dir=self.result_file(form).parent,
              verbosity=-1,
            )
          ],
          outputs=[self.result_file(form).parent],
          after=['records', made_by],
          summary=lambda form=form: _accuracy(self.result_file(form)),
        )
        for form, made_by in zip(self.forms, ('train', 'saved_model', 'tflite_float', 'tflite_int8'), strict=True)
      ),
    ]

  def _records_summary(self) -> str:
    sets = [manifest.Manifest.load(str(self.records / f'{split}.manifest.json')) for split in ('train', 'val')]
    num_bytes = sum(shard.num_bytes for records in sets for shard in records.shards)
    return f'{sum(records.num_records for records in sets)} records, {num_bytes / 1e6:.1f} MB'

  def _training_summary(self) -> str:
    return f'{_read(self.model_dir / "eval.json")["step"]} steps, {_accuracy(self.model_dir / "eval.json")}'


def _script(name: str, **flags: Any) -> list[str]:
  """Builds the command line of a script of the project; a list repeats its flag."""
  words = [sys.executable, str(PROJECT / 'scripts' / f'{name}.py')]
  for key, value in flags.items():
    words += [f'--{key}={item}' for item in (value if isinstance(value, list) else [value])]
  return words


def _accuracy(path: pathlib.Path) -> str:
  metrics = _read(path)
  return f'AP {100 * metrics["AP"]:.1f}, AP50 {100 * metrics["AP50"]:.1f}'


def _read(path: pathlib.Path) -> dict[str, Any]:
  return json.loads(path.read_text(encoding='utf-8'))


def _size(path: pathlib.Path) -> str:
  files = [path] if path.is_file() else [file for file in path.rglob('*') if file.is_file()]
  return f'{sum(file.stat().st_size for file in files) / 1e6:.2f} MB'
