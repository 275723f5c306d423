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

"""Measures what a trained detector of other classes is worth as a start: from digits 0 to 4 to digits 5 to 9.

python -m benchmarks.fine_tuning --output=runs/fine_tuning.jsonl

Of the images of make_digits.py those are taken that show digits of one group only. A detector is trained on the first
group once. On few images of the second group, whose classes it has never seen, detectors are then trained from random
values and from what fits of it (`init_checkpoint_modules: fitting`), all of them with the same steps and schedule, and
evaluated once, at the last step. A seed chooses the images as well as the order and the random values.

The output has a JSON line for each training; the same command skips those it has, and with other --seeds, --images or
--steps adds to them.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

from nasfpn_tf import failure, processor, whole_file
from nasfpn_tf.chain import process
from nasfpn_tf.data.records import manifest, tfrecord
from nasfpn_tf.data.sources import coco, digits
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import schedule

FLAGS = flags.FLAGS
CONFIG = 'digits_resnet10_nasfpnlite_2x48_256'
SOURCE = 'source'
GROUPS = {SOURCE: range(5), 'target': range(5, 10)}
ARMS = {
  'scratch': {},
  'fitting': {'init_checkpoint_modules': 'fitting'},
  'fitting, backbone frozen': {'init_checkpoint_modules': 'fitting', 'freeze_backbone': True},
}


@dataclasses.dataclass(frozen=True)
class Run:
  """One training; its fields are the first of its line.

  Attributes:
    arm: key of `ARMS`, or SOURCE for the detector that the others start from.
    images: how many it is trained on; 0: all.
    steps: of training.
    seed: of images, order and random values.
  """

  arm: str
  images: int
  steps: int
  seed: int

  @property
  def name(self) -> str:
    """The name of its directory."""
    return f'{self.arm.replace(", ", "_").replace(" ", "_")}_{self.images}images_{self.steps}steps_seed{self.seed}'


def plan(images: Sequence[int], steps: int, seeds: Sequence[int], source_steps: int) -> list[Run]:
  """Lists the trainings: the source first, then every arm with a seed before any with the next."""
  runs = [Run(arm, count, steps, seed) for seed in seeds for count in images for arm in ARMS]
  return [Run(SOURCE, 0, source_steps, 0), *runs]


def of_group(annotations: Mapping[str, Any], group: Sequence[int]) -> dict[str, Any]:
  """Returns the part of a COCO value that shows digits of a group and no others; category ids are digit + 1."""
  ids = {digit + 1 for digit in group}
  shown: dict[int, set[int]] = {}
  for box in annotations['annotations']:
    shown.setdefault(box['image_id'], set()).add(box['category_id'])
  kept = {image for image, classes in shown.items() if classes <= ids}
  return {
    'images': [image for image in annotations['images'] if image['id'] in kept],
    'annotations': [box for box in annotations['annotations'] if box['image_id'] in kept],
    'categories': [category for category in annotations['categories'] if category['id'] in ids],
  }


def first_images(annotations: Mapping[str, Any], count: int, seed: int) -> dict[str, Any]:
  """Returns a COCO value with `count` of its images, drawn by `seed`; more contain the fewer.

  Raises:
    ValueError: it has not so many.
  """
  if count > len(annotations['images']):
    raise ValueError(f'{count} images of digits 5 to 9 are wanted, there are {len(annotations["images"])}.')
  images = coco.shuffled(annotations['images'], seed)[:count]
  kept = {image['id'] for image in images}
  boxes = [box for box in annotations['annotations'] if box['image_id'] in kept]
  return {**annotations, 'images': images, 'annotations': boxes}


class Comparison:
  """Trains the runs of a comparison in one directory."""

  def __init__(self, directory: str, num_train: int, num_val: int):
    """Draws the images, where they are not there yet.

    Args:
      directory: of images, records and trainings.
      num_train: of make_digits.py; a sixth of the images shows digits of one group.
      num_val: the same for the evaluation.
    """
    self._directory = pathlib.Path(directory).absolute()
    self._paths = digits.make_digits(str(self._directory / 'images'), num_train, num_val)
    self._params = params_lib.load_params(config_files=CONFIG)

  def records(self, split: str, group: str, count: int = 0, seed: int = 0) -> str:
    """Returns the prefix of records of a group, which are written if they are not there."""
    name = f'{group}_{split}' + (f'_{count}_seed{seed}' if count else '')
    prefix = self._directory / 'records' / name
    if not prefix.with_name(name + manifest.SUFFIX).exists():
      file, images = {
        'train': (self._paths.train_annotations, self._paths.train_images),
        'val': (self._paths.val_annotations, self._paths.val_images),
      }[split]
      content = of_group(json.loads(pathlib.Path(file).read_text(encoding='utf-8')), GROUPS[group])
      content = first_images(content, count, seed) if count else content
      prefix.parent.mkdir(parents=True, exist_ok=True)
      # The ids as labels: the heads of the two groups have different last convolutions.
      tfrecord.write_tfrecords(content, images, str(prefix), 1, labels='category_id', progress=False)
    return str(prefix)

  def override(self, run: Run, source: Run) -> dict[str, Any]:
    """Returns the changes of a training to the configuration."""
    group = SOURCE if run.arm == SOURCE else 'target'
    task = {
      **ARMS.get(run.arm, {}),
      'train_data': {'input_path': f'{self.records("train", group, run.images, run.seed)}-*', 'seed': run.seed},
      'validation_data': {'input_path': f'{self.records("val", group)}-*'},
    }
    if 'init_checkpoint_modules' in task:
      task['init_checkpoint'] = str(self._directory / 'runs' / source.name)
    runtime = {'runtime': {'mixed_precision_dtype': 'bfloat16'}} if processor.computes_bfloat16() else {}
    return {'task': task, **runtime, **schedule.shortened(self._params.trainer, run.steps)}

  def execute(self, run: Run, source: Run) -> dict[str, Any]:
    """Trains and evaluates, or goes on with a training that was stopped; returns the line.

    Raises:
      failure.ExpectedError: the training failed.
    """
    model_dir = self._directory / 'runs' / run.name
    given = f'--params_override={json.dumps(self.override(run, source))}'
    log = self._directory / 'logs' / f'{run.name}.log'
    for mode in ('train_and_eval', 'eval'):  # The second where it was stopped between last step and evaluation.
      command = [sys.executable, '-m', 'scripts.train', f'--mode={mode}', f'--config_file={CONFIG}', given]
      if process.run([*command, f'--model_dir={model_dir}'], log, sys.stderr):
        raise failure.ExpectedError(f'{run.name} failed: {log} says why.')
      file = model_dir / 'eval.json'
      metrics = json.loads(file.read_text(encoding='utf-8')) if file.exists() else {}
      if metrics.get('step') == run.steps:
        return {**dataclasses.asdict(run), **{name: metrics[name] for name in ('AP', 'AP50', 'AP75')}}
    raise failure.ExpectedError(f'{run.name} was not evaluated at its last step: {log} says why.')


def read(path: str) -> dict[Run, dict[str, Any]]:
  """Reads the lines of earlier calls.

  Raises:
    ValueError: a line is not of this benchmark.
  """
  file = pathlib.Path(path)
  fields = [field.name for field in dataclasses.fields(Run)]
  found = {}
  for number, text in enumerate(file.read_text(encoding='utf-8').splitlines() if file.exists() else (), start=1):
    try:
      line = json.loads(text)
      found[Run(**{name: line[name] for name in fields})] = line
    except (ValueError, LookupError, TypeError) as error:
      raise ValueError(f'{path}, line {number} is not of this benchmark ({error}): remove it.') from error
  return found


def table(lines: Sequence[Mapping[str, Any]]) -> str:
  """Writes mean and standard deviation of AP for each number of images and steps."""
  rows = ['| images | steps | start | AP | standard deviation | of each seed | AP50 |', '|---|---|---|---|---|---|---|']
  groups: dict[tuple, list[Mapping[str, Any]]] = {}
  for line in lines:
    if line['arm'] in ARMS:
      groups.setdefault((line['images'], line['steps'], list(ARMS).index(line['arm'])), []).append(line)
  for (images, steps, _), runs in sorted(groups.items()):
    values = [100 * run['AP'] for run in sorted(runs, key=lambda run: run['seed'])]
    spread = f'{statistics.stdev(values):.1f}' if len(values) > 1 else ''
    fifty = statistics.mean(100 * run['AP50'] for run in runs)
    each = ', '.join(f'{value:.1f}' for value in values)
    rows.append(
      f'| {images} | {steps} | {runs[0]["arm"]} | {statistics.mean(values):.1f} | {spread} | {each} | {fifty:.1f} |'
    )
  return '\n'.join(rows) + '\n'


def define_flags() -> None:
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('output', None, 'The JSON lines.', required=True)
  flags.DEFINE_string('work_dir', None, 'Directory of images, records and trainings; unset: the output without .jsonl.')
  flags.DEFINE_list('images', ['50', '400'], 'Numbers of training images of digits 5 to 9.')
  flags.DEFINE_list('seeds', ['0', '1', '2'], 'Every arm is trained once with each.')
  flags.DEFINE_integer('steps', 200, 'Training steps of every arm.', lower_bound=1)
  flags.DEFINE_integer('source_steps', 1000, 'Training steps of the detector of digits 0 to 4.', lower_bound=1)
  flags.DEFINE_integer('num_train', 8000, 'Images to draw for training, as of make_digits.py.', lower_bound=1)
  flags.DEFINE_integer('num_val', 3000, 'Images to draw for the evaluation.', lower_bound=1)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  with failure.told('fine_tuning', f'interrupted; the same command resumes {FLAGS.output}.'):
    numbers = {name: [int(text) for text in FLAGS[name].value] for name in ('images', 'seeds')}
    runs = plan(numbers['images'], FLAGS.steps, numbers['seeds'], FLAGS.source_steps)
    lines = read(FLAGS.output)
    comparison = Comparison(
      FLAGS.work_dir or FLAGS.output.removesuffix('.jsonl') + '.runs', FLAGS.num_train, FLAGS.num_val
    )
    for number, run in enumerate(runs, start=1):
      if run not in lines:
        lines[run] = comparison.execute(run, runs[0])
        whole_file.write_text(FLAGS.output, ''.join(json.dumps(line) + '\n' for line in lines.values()))
      print(f'[{number}/{len(runs)}] {run.name}: AP {lines[run]["AP"]:.4f}', flush=True)
  print(table(list(lines.values())))


if __name__ == '__main__':
  define_flags()
  app.run(main)
