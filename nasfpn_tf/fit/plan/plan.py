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
"""Makes a plan: reads the records, measures the device, applies the rules, writes the YAML file."""

import dataclasses
import json
import math
import pathlib

from official.core import config_definitions as cfg

from nasfpn_tf import whole_file
from nasfpn_tf.config import safe_yaml
from nasfpn_tf.data.input.anchors import AnchorGrid
from nasfpn_tf.data.records import check, framing
from nasfpn_tf.data.records.manifest import find_manifest, match_shards
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.plan import anchors, document, fingerprint, rules, target
from nasfpn_tf.fit.plan import start as start_lib
from nasfpn_tf.training import params as params_lib

EXPERIMENT = 'nasfpn_retinanet'
FEW_IMAGES, FEW_BOXES, FEW_STEPS = 50, 20, 200
_BETTER = (
  'for better ones give --backbone_weights=FILE, the Keras file of MobileNetV2 without the top'
  ' (tf_keras.applications.MobileNetV2(include_top=False) downloads it to ~/.keras/models).'
)
_LONG_MINUTES = 10.0  # Budgets that a second measurement of half a minute hardly matters to.
_OTHER_SIZE = 1.5  # Ratio of the pixels from which throughput is measured anew.
_PILOT_SPEED = 1e6  # Pixels a second for the size of the training that is timed; the figure that counts is measured.


@dataclasses.dataclass(frozen=True)
class Plan:
  """A plan with the data that it is based on.

  Attributes:
    text: the YAML file.
    fingerprint: of the training records.
    before: coverage of the boxes by RetinaNet's own anchors, at the same input size.
    after: by those of the plan.
    warnings: sentences that a user should read before training.
  """

  text: str
  fingerprint: fingerprint.Fingerprint
  before: anchors.Anchors
  after: anchors.Anchors
  warnings: tuple[str, ...]


def make(
  input_path: str,
  minutes: float,
  weights: str | None = None,
  device: str = 'cpu',
  bfloat16: bool = False,
  pixels_per_second: float | None = None,
  validation_path: str | None = None,
  progress: bool = True,
  target_latency_ms: float | None = None,
) -> Plan:
  """Plans the training of a detector on records.

  Args:
    input_path: of the training records, as in a configuration.
    minutes: budget of the whole.
    weights: as `start.find_weights`; None: the best that can be had.
    device: 'cpu', 'gpu' or 'tpu'.
    bfloat16: whether the device computes it faster than float32.
    pixels_per_second: training throughput; None: measured here, which takes about a minute.
    validation_path: of the validation records; None: the user fills them in.
    progress: tell on stderr how far reading is.
    target_latency_ms: what an image may take, as `target.meet` measures it; None: no limit.

  Raises:
    DataError: the records cannot be used, or hold no box.
    FileNotFoundError: there are no validation records.
    ValueError: budget, speed or latency is not a positive number, no plan is as fast as the target, or a file of
      weights does not exist.
  """
  rules.check_minutes(minutes)
  rules.check_positive(target_latency_ms=target_latency_ms, images_per_second=pixels_per_second)
  start = start_lib.start_from(start_lib.find_weights(weights))
  split = check.check_records(input_path, progress=progress)
  _refuse_broken(split, validation_path)
  taken = fingerprint.take(split)
  described = find_manifest(input_path)
  num_classes = described.num_classes if described else 1 + max(label['label'] for label in split.labels)
  if pixels_per_second is None:
    pixels_per_second = _measure(taken, minutes, start, device, bfloat16, num_classes)
  budget = rules.Budget(minutes, pixels_per_second, device, bfloat16)
  met = None
  if target_latency_ms is not None:
    budget, met = target.meet(
      target_latency_ms, budget, lambda limited: _params(rules.choose(taken, limited, start)[0], num_classes)
    )
  choices, after = rules.choose(taken, budget, start)
  if described is None:
    reason = f'there is no manifest beside the records; labels are up to {num_classes - 1}, and 0 is the background'
    choices.append(rules.Choice('task.model.num_classes', num_classes, reason))
  if validation_path:
    choices.append(rules.Choice('task.validation_data.input_path', validation_path, 'what AP is reported on'))
  before = anchors.rate(AnchorGrid(after.grid.input_size), taken.boxes, taken.sizes)
  warnings = tuple(_warnings(taken, choices, start))
  text = document.render(choices, _header(taken, budget, before, after, warnings, met), EXPERIMENT)
  return Plan(text, taken, before, after, warnings)


def _refuse_broken(split: check.RecordSet, validation_path: str | None) -> None:
  """Refuses records that training would: files that are missing, damaged or not the ones that a manifest describes."""
  for problem in split.problems:
    if problem.kind == 'broken_file':
      raise DataError(f'{problem.where}: {problem.message}')
  if validation_path:
    framing.check_files(match_shards(validation_path))


def write(plan: Plan, path: str) -> None:
  """Writes the plan, which must load, and its fingerprint as `<path without .yaml>.fingerprint.json`.

  Raises:
    ValueError: the file exists and is another one: it may have been edited.
  """
  target = pathlib.Path(path)
  if target.exists() and target.read_text(encoding='utf-8') != plan.text:
    raise ValueError(f'{path} exists and is another plan, perhaps an edited one; give another --output or remove it.')
  target.parent.mkdir(parents=True, exist_ok=True)
  partial = target.with_name(f'.{target.name}.partial.yaml')
  whole_file.write_text(partial, plan.text)
  params_lib.load_params(config_files=str(partial))
  partial.replace(target)
  summary = json.dumps(plan.fingerprint.summary(), indent=1)
  whole_file.write_text(target.with_suffix('.fingerprint.json'), summary + '\n')


def _measure(
  taken: fingerprint.Fingerprint,
  minutes: float,
  start: start_lib.Start,
  device: str,
  bfloat16: bool,
  num_classes: int,
) -> float:
  """Measures the throughput at the size of a pilot, and again at the planned one if that is quite another."""
  from nasfpn_tf.fit.plan import throughput

  pilot = _params(rules.choose(taken, rules.Budget(10.0, _PILOT_SPEED, device, bfloat16), start)[0], num_classes)
  speed = throughput.measure(pilot)
  if minutes < _LONG_MINUTES:
    return speed
  planned = _params(rules.choose(taken, rules.Budget(minutes, speed, device, bfloat16), start)[0], num_classes)
  # Decoding an image takes as long at every size, so pixels a second are not quite the same.
  areas = [math.prod(params.task.model.input_size[:2]) for params in (pilot, planned)]
  return throughput.measure(planned) if max(areas) > _OTHER_SIZE * min(areas) else speed


def _params(choices: list[rules.Choice], num_classes: int) -> cfg.ExperimentConfig:
  overrides = safe_yaml.load(document.render(choices, [], EXPERIMENT))
  params = params_lib.load_params(overrides.pop('experiment'), None, overrides)
  params.task.model.num_classes = params.task.model.num_classes or num_classes
  return params


def _header(taken, budget, before, after, warnings, met) -> list[str]:
  size = f'{after.grid.input_size[0]} x {after.grid.input_size[1]}'
  return [
    *(f'Note: {warning}' for warning in warnings),
    f'Plan for {taken.input_path}: {taken.num_images} images, {taken.num_boxes} boxes, {len(taken.names)} classes.',
    f'Budget: {budget.minutes:g} minutes on this {budget.device.upper()}.',
    f"Anchors: {100 * after.coverage:.1f} % of the boxes are covered at {size}; RetinaNet's own would cover"
    f' {100 * before.coverage:.1f} %.',
    *([met] if met else []),
    'Every value can be changed; the reasons are those of the rules in docs/plan.md.',
  ]


def _warnings(taken, choices, start):
  if start.is_shipped:
    yield (
      'training starts from the backbone of the blood-cell detector, which comes with the package, not from ImageNet'
      f' weights; {_BETTER}'
    )
  elif not start.weights:
    yield (f'no pretrained weights. From random values the same accuracy takes several times the images; {_BETTER}')
  if taken.num_images < FEW_IMAGES:
    yield f'{taken.num_images} images are few; AP on new images will vary a lot from run to run.'
  name, count = taken.fewest
  if count < FEW_BOXES:
    yield f'class {name!r} has {count} boxes; a detector hardly learns a class from fewer than {FEW_BOXES}.'
  chosen = {choice.key: choice.value for choice in choices}
  if chosen['trainer.train_steps'] < FEW_STEPS:
    yield f'{chosen["trainer.train_steps"]} steps are few: the detector may find nothing yet. Give more --minutes.'
  epochs = chosen['trainer.train_steps'] * chosen['task.train_data.global_batch_size'] / taken.num_images
  if epochs < start.epochs / 4 and epochs * taken.num_images < start.most_images:
    yield f'the budget is short: {epochs:.1f} passes over the images; {start.epochs} are usual. Give more --minutes.'
