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
from collections.abc import Mapping
from typing import Any

from nasfpn_tf import processor
from nasfpn_tf.chain import steps
from nasfpn_tf.data.records import manifest
from nasfpn_tf.fit import detector
from nasfpn_tf.fit.detector import NUM_SHOWN, PROJECT, script

CONFIG = 'digits_resnet10_nasfpnlite_2x48_256'


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


# Crowded training images teach more in the same time; without scale jitter, a short training ends at a higher AP.
MIN_TRAIN_DIGITS, MAX_TRAIN_DIGITS = 6, 12

FULL = Scale(
  train_images=6000,
  validation_images=500,
  override={
    'task': {'train_data': {'parser': {'aug_scale_min': 1.0, 'aug_scale_max': 1.0}}},
    'trainer': {
      'train_steps': 1000,
      'validation_interval': 1000,
      'optimizer_config': {'learning_rate': {'cosine': {'decay_steps': 1000}}},
    },
  },
)

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


class Quickstart(detector.Detector):
  """Lays out the files of a quickstart in one directory, and lists the steps that make them."""

  title = 'NAS-FPN from scratch: handwritten digits on photographs'
  command = './scripts/quickstart.sh'

  def __init__(self, output_dir: pathlib.Path, scale: Scale = FULL):
    """Plans a run; nothing is written."""
    super().__init__(output_dir)
    self.scale = scale
    self.images = output_dir / 'images'

  @property
  def shown_images(self) -> list[pathlib.Path]:
    """The first validation images, for the report; they are numbered after those for training."""
    first = self.scale.train_images + 1
    count = min(NUM_SHOWN, self.scale.validation_images)
    return [self.images / 'val' / f'{number:06d}.jpg' for number in range(first, first + count)]

  def settings(self) -> dict[str, Any]:
    """Returns the changes to the configuration: the records and, unless at full scale, the size."""
    task = dict(self.scale.override.get('task', {}))
    for name, prefix in (('train_data', 'train'), ('validation_data', 'val')):
      task[name] = {**task.get(name, {}), 'input_path': str(self.records / f'{prefix}-*')}
    settings = {**self.scale.override, 'task': task}
    if processor.computes_bfloat16():
      settings['runtime'] = {'mixed_precision_dtype': 'bfloat16'}
    return settings

  def lead(self, metrics: dict[str, float]) -> str:
    """Returns the report's first sentences."""
    return (
      f'A narrow ResNet-10 with NAS-FPNLite 2 @ 48, trained from scratch on {self.scale.train_images} images and '
      f'evaluated on {self.scale.validation_images} others. Images for training have {MIN_TRAIN_DIGITS} to'
      f' {MAX_TRAIN_DIGITS} digits, the others 1 to 6. The two sets have no handwritten sample and no part of'
      f" a photograph in common. AP {100 * metrics['AP']:.1f}, AP50 {100 * metrics['AP50']:.1f} by COCO's own metric."
    )

  def steps(self) -> list[steps.Step]:
    """Returns the steps of the chain, in order."""
    return [
      steps.Step(
        'images',
        'Draw the images: handwritten digits on photographs',
        [
          script(
            'make_digits',
            output_dir=self.images,
            num_train=self.scale.train_images,
            num_val=self.scale.validation_images,
            min_train_digits=MIN_TRAIN_DIGITS,
            max_train_digits=MAX_TRAIN_DIGITS,
          )
        ],
        outputs=[self.images],
        summary=lambda: f'{self.scale.train_images} for training, {self.scale.validation_images} for validation',
      ),
      self.records_step(
        {split: (self.images / f'{split}.json', self.images / split) for split in ('train', 'val')},
        after='images',
        told=self._records_summary,
      ),
      steps.Step(
        'train',
        'Train',
        [
          script(
            'train',
            config_file=CONFIG,
            params_override=json.dumps(self.settings()),
            mode='train_and_eval',
            model_dir=self.model_dir,
            # The operations are small: it is faster to run two of them at once than each in all threads.
            intra_op_threads=max(1, processor.num_cores() // 2),
            verbosity=-1,  # Warnings alone; the progress says the rest.
          )
        ],
        outputs=[self.model_dir],
        inputs=[PROJECT / 'configs' / f'{CONFIG}.yaml'],
        after=['records'],
        summary=self.training_summary,
        continues=True,
        forked=True,
      ),
      *self.export_steps(),
      *self.evaluation_steps(self.shown_images),
    ]

  def _records_summary(self) -> str:
    sets = [manifest.Manifest.load(str(self.records / f'{split}.manifest.json')) for split in ('train', 'val')]
    num_bytes = sum(shard.num_bytes for records in sets for shard in records.shards)
    return f'{sum(records.num_records for records in sets)} records, {num_bytes / 1e6:.1f} MB'
