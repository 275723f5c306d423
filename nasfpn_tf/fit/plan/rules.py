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
"""Applies the rules from a fingerprint, a budget and a device to a configuration; docs/plan.md has their sources.

Each rule is a function that gives `Choice`s. A rule reads the fingerprint, the budget and what rules before it chose,
so the same input always gives the same plan.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

from nasfpn_tf.fit.plan import anchors as anchors_lib
from nasfpn_tf.fit.plan.fingerprint import Fingerprint
from nasfpn_tf.fit.plan.start import Start

# Levels in the order of their cost, and what the sides of the input are multiples of.
LEVELS = ((3, 6), (3, 7), (2, 6))
FINER = 0.1  # Coverage that P2 has to add: pyramid and head on it are four times those on P3.
SHORTEST_SIDE = 192
SMALL_OBJECT = 16  # Pixels of the network's input: two positions of P3.
VISIBLE = 8  # Pixels: one position of P3.
ENOUGH = 64  # Pixels: where nine objects in ten are larger, time goes into passes first. A judgement, not measured.
TRAINING_SHARE = 0.75  # Of the minutes; the rest is evaluation, export, and starting up.
OTHER_MINUTES = 3.0  # Evaluation, export and starting up take that much, however short the training.
LEAST_SHARE = 0.4  # Of the minutes that training has in any case.
LEAST_MINUTES = 3.0
BATCHES = {'cpu': 8, 'gpu': 16, 'tpu': 64}

# A mirrored sign is another sign, and what is named by its side changes it.
_SIDED = re.compile(r'(?i)(?<![a-z])(left|right|number|digit|letter|arrow|sign|speed|limit)(?![a-z])|^([a-z]|\d+)$')
_COLORS = re.compile(r'(?i)(?<![a-z])(red|green|blue|yellow|orange|white|black|brown|purple|pink|gr[ae]y)(?![a-z])')


@dataclasses.dataclass(frozen=True)
class Budget:
  """Limits of the training.

  Attributes:
    minutes: of the whole, from records to exports.
    pixels_per_second: training throughput, images/s times pixels of the input, measured.
    device: 'cpu', 'gpu' or 'tpu'.
    bfloat16: whether the device computes bfloat16 faster than float32.
    most_pixels: of the input, for a target latency; None: no limit.
    most_repeats: pyramids, for a target latency; None: no limit.
  """

  minutes: float
  pixels_per_second: float
  device: str = 'cpu'
  bfloat16: bool = False
  most_pixels: float | None = None
  most_repeats: int | None = None

  def images(self, height: int, width: int) -> float:
    """Returns how many images of that size training can process in its share of the minutes."""
    return self.training_seconds * self.pixels_per_second / (height * width)

  @property
  def training_seconds(self) -> float:
    """Returns the seconds that training has of the minutes."""
    minutes = min(TRAINING_SHARE * self.minutes, self.minutes - OTHER_MINUTES)
    return 60 * max(LEAST_SHARE * self.minutes, minutes)


@dataclasses.dataclass(frozen=True)
class Choice:
  """One line of the plan: a key of the experiment, its value, and why."""

  key: str
  value: Any
  reason: str


def check_minutes(minutes: float) -> None:
  """Raises a ValueError for a budget in which nothing can be trained.

  Raises:
    ValueError: the minutes are fewer than `LEAST_MINUTES`, or no finite number.
  """
  check_positive(minutes=minutes)
  if minutes < LEAST_MINUTES:
    raise ValueError(
      f'--minutes={minutes:g} is too short: measuring, evaluation and export alone take {OTHER_MINUTES:g} minutes.'
      f' --minutes={LEAST_MINUTES:g} tries every step, --minutes=30 is where detectors become useful on a CPU.'
    )


def check_positive(**values: float | None) -> None:
  """Raises a ValueError for a flag that is given and is not a positive number.

  Raises:
    ValueError: one is not.
  """
  for name, value in values.items():
    if value is not None and not (math.isfinite(value) and value > 0):
      raise ValueError(f'--{name}={value:g}: a positive number is needed.')


def choose(fingerprint: Fingerprint, budget: Budget, start: Start) -> tuple[list[Choice], anchors_lib.Anchors]:
  """Applies all rules.

  Returns:
    The choices, in the order of the file, and the anchors with their coverage.
  """
  input_size, anchors, why_levels = _levels(fingerprint, budget, start)
  batch = max(1, min(start.batch * BATCHES[budget.device] // BATCHES['cpu'], fingerprint.num_images))
  choices = [
    *_size(fingerprint, budget, input_size),
    *_anchors(anchors, why_levels),
    *_network(budget, start),
    *_post_processing(fingerprint),
    *_norms(batch),
    *_data(fingerprint, start, batch),
    *_schedule(fingerprint, budget, start, batch, input_size),
  ]
  return choices, anchors


def affordable_size(fingerprint: Fingerprint, budget: Budget, start: Start, stride: int) -> tuple[int, int]:
  """Finds the largest input (height, width) that the budget allows, in multiples of `stride`.

  It has the proportions of the images and is no larger than they are, unless objects are small, nor larger than what
  shows the smallest tenth of the objects with `ENOUGH` pixels, while there is time for more passes. However short the
  budget, they keep `VISIBLE` pixels if the images have them. `budget.most_pixels` limits all of that.
  """
  height, width = fingerprint.image_size
  shown = min(max(start.epochs * fingerprint.num_images, start.images), start.most_images)
  pixels = budget.training_seconds * budget.pixels_per_second / (height * width)
  scale = math.sqrt(pixels / shown)
  smallest = _smallest_side(fingerprint)
  shortest = SHORTEST_SIDE / min(height, width)
  at_most_passes = math.sqrt(pixels / (start.most_epochs * fingerprint.num_images))
  most = (
    min(1.0, max(shortest, ENOUGH / smallest, at_most_passes))
    if smallest >= SMALL_OBJECT
    else min(2.0, SMALL_OBJECT / smallest)
  )
  least = min(most, max(shortest, VISIBLE / smallest))
  scale = min(max(scale, least), most)
  size = tuple(max(stride, round(side * scale / stride) * stride) for side in (height, width))
  if budget.most_pixels is None or math.prod(size) <= budget.most_pixels:
    return size
  scale = math.sqrt(budget.most_pixels / (height * width))
  return tuple(max(stride, math.floor(side * scale / stride) * stride) for side in (height, width))


def _smallest_side(fingerprint: Fingerprint) -> float:
  """Returns the side, in pixels of the images, below which a tenth of the objects are."""
  sides = sorted(fingerprint.scaled_sides())
  return float(sides[len(sides) // 10])


def _levels(fingerprint, budget, start) -> tuple[tuple[int, int], anchors_lib.Anchors, str]:
  """Finds the cheapest levels whose anchors cover the boxes as well as any."""
  found = []
  for min_level, max_level in LEVELS:
    size = affordable_size(fingerprint, budget, start, 2**max_level)
    found.append((size, anchors_lib.choose(size, min_level, max_level, fingerprint.boxes, fingerprint.sizes)))
  if budget.most_pixels is not None:
    found = [entry for entry in found if math.prod(entry[0]) <= budget.most_pixels] or found[:1]
  coarser = [entry for entry in found if entry[1].grid.min_level > 2]
  best = max(anchors.coverage for _, anchors in coarser)
  if max(anchors.coverage for _, anchors in found) < best + FINER:
    size, anchors = next(entry for entry in coarser if entry[1].coverage >= best - anchors_lib.ENOUGH)
  else:
    size, anchors = found[-1]
  others = ', '.join(
    f'P{other.grid.min_level}..P{other.grid.max_level} {other.coverage:.3f}' for _, other in found if other != anchors
  )
  return size, anchors, f'the cheapest levels that cover the boxes: {anchors.coverage:.3f}; {others}'


def _size(fingerprint, budget, input_size) -> Iterator[Choice]:
  height, width = input_size
  scale = min(height / fingerprint.image_size[0], width / fingerprint.image_size[1])
  yield Choice(
    'task.model.input_size',
    [height, width, 3],
    f'images are {fingerprint.image_size[0]} x {fingerprint.image_size[1]}; a tenth of the objects are smaller than'
    f' {_smallest_side(fingerprint) * scale:.0f} px at this size; {budget.pixels_per_second / (height * width):.1f}'
    ' images/s, measured',
  )


def _anchors(anchors, why_levels) -> Iterator[Choice]:
  grid = anchors.grid
  yield Choice('task.model.min_level', grid.min_level, why_levels)
  yield Choice('task.model.max_level', grid.max_level, 'as min_level')
  reason = f'{100 * anchors.coverage:.1f} % of the boxes have an anchor of IoU {grid.match_threshold:g} or more'
  yield Choice(
    'task.model.anchor',
    {
      'num_scales': grid.num_scales,
      'aspect_ratios': list(grid.aspect_ratios),
      'anchor_size': grid.anchor_size,
    },
    reason,
  )


def _network(budget, start) -> Iterator[Choice]:
  if start.weights:
    applications = {'name': 'mobilenet_v2', 'weights': start.weights, 'norm_momentum': 0.97, 'frozen_level': 2}
    backbone = {'type': 'applications', 'applications': applications}
    source = "the blood-cell detector's weights" if start.is_shipped else 'ImageNet weights'
    yield Choice('task.model.backbone', backbone, f'{source}; the stem stays as loaded, which saves a third')
  else:
    backbone = {'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.25}}
    yield Choice('task.model.backbone', backbone, 'from scratch a small network sees more images in the same time')
  repeats, filters = (3, 64) if start.weights else (2, 48)
  repeats = min(repeats, budget.most_repeats or repeats)
  pyramid = {
    'topology': 'nas_fpn',
    'num_repeats': repeats,
    'num_filters': filters,
    'use_separable_conv': True,
    'residual': True,
  }
  yield Choice('task.model.decoder.type', 'feature_pyramid', 'NAS-FPNLite')
  yield Choice('task.model.decoder.feature_pyramid', pyramid, 'a residual stack starts no worse than one pyramid')
  head = {'num_convs': 3, 'use_separable_conv': True} if start.weights else {'num_convs': 2, 'num_filters': 48}
  yield Choice('task.model.head', head, 'as the recipe of the same backbone')


def _post_processing(fingerprint) -> Iterator[Choice]:
  crowded = fingerprint.crowding > 0.3
  yield Choice(
    'task.model.detection_generator.nms_iou_threshold',
    0.6 if crowded else 0.5,
    f'{"objects lie close together" if crowded else "objects lie apart"}: one box in twenty overlaps another of its'
    f' class by an IoU of {fingerprint.crowding:.2f} or more',
  )
  most = _room(fingerprint)
  if most > 100:
    reason = f'one image has {fingerprint.most_boxes} boxes'
    yield Choice('task.model.detection_generator.max_num_detections', most, reason)


def _room(fingerprint) -> int:
  """Returns the limit of boxes per image: a fifth above the maximum, rounded up to fifties, at least 100."""
  return max(100, math.ceil(1.2 * fingerprint.most_boxes / 50) * 50)


def _norms(batch) -> Iterator[Choice]:
  reason = f'batches of {batch}: statistics follow within a few dozen steps'
  yield Choice('task.model.norm_activation.norm_momentum', 0.97, reason)
  yield Choice('task.model.norm_activation.norm_epsilon', 0.001, 'as the recipe of the same backbone')
  yield Choice('task.model.norm_activation.use_sync_bn', False, 'one device')
  yield Choice('task.losses.l2_weight_decay', 0.0, 'Adam, and a short training')


def _data(fingerprint, start, batch) -> Iterator[Choice]:
  prefix = 'task.train_data'
  yield Choice(f'{prefix}.input_path', fingerprint.input_path, f'{fingerprint.num_images} images')
  yield Choice(f'{prefix}.global_batch_size', batch, 'that of the recipe; larger on a GPU or a TPU')
  pixels = fingerprint.num_images * fingerprint.image_size[0] * fingerprint.image_size[1]
  if pixels < 3e8:
    yield Choice(f'{prefix}.cache', True, 'the encoded images fit into memory')
  sided = sorted({name for name in fingerprint.names if _SIDED.search(name)})
  yield Choice(
    f'{prefix}.parser.aug_rand_hflip',
    not sided,
    f'class {sided[0]!r} may be another one mirrored' if sided else 'no class is named after a side or a sign',
  )
  vertical = not sided and not fingerprint.up_and_down
  reason = 'positions and sizes of the boxes differ above and below'
  if vertical:
    reason = 'positions and sizes of the boxes are the same above and below'
  elif sided:
    reason = 'as aug_rand_hflip'
  yield Choice(f'{prefix}.parser.aug_rand_vflip', vertical, reason)
  yield Choice(f'{prefix}.parser.aug_scale_min', 0.8, 'jitter of arXiv 1904.07392, sec. 4.1')
  yield Choice(f'{prefix}.parser.aug_scale_max', 1.25, 'as aug_scale_min')
  colored = sorted({name for name in fingerprint.names if _COLORS.search(name)})
  strength = 0.4 if start.weights and not colored else 0.0
  reason = f'class {colored[0]!r} is named after a color' if colored else 'as the recipe of the same backbone'
  yield Choice(f'{prefix}.parser.aug_color', strength, reason)
  if _room(fingerprint) > 100:
    reason = f'one image has {fingerprint.most_boxes} boxes'
    yield Choice(f'{prefix}.parser.max_num_instances', _room(fingerprint), reason)
    yield Choice('task.validation_data.parser.max_num_instances', _room(fingerprint), 'as in training')
  yield Choice('task.validation_data.global_batch_size', batch, 'as in training')


def _schedule(fingerprint, budget, start, batch, input_size) -> Iterator[Choice]:
  images = min(budget.images(*input_size), start.most_epochs * max(fingerprint.num_images, batch))
  steps = max(50, int(images / batch / 50) * 50)
  epochs = steps * batch / fingerprint.num_images
  if budget.bfloat16:
    yield Choice('runtime.mixed_precision_dtype', 'bfloat16', 'this device has instructions for it')
  yield Choice(
    'trainer.train_steps',
    steps,
    f'{epochs:.0f} passes over the images: {budget.training_seconds / 60:.1f} of {budget.minutes:g} minutes at'
    f' {budget.pixels_per_second / math.prod(input_size):.1f} images/s, at most {start.most_epochs} passes',
  )
  interval = max(50, math.ceil(steps / 4 / 50) * 50)
  yield Choice('trainer.steps_per_loop', 50, 'interval of progress reports and of reacting to a stop signal')
  yield Choice('trainer.summary_interval', 50, 'as steps_per_loop')
  yield Choice('trainer.checkpoint_interval', interval, 'four times')
  yield Choice('trainer.validation_interval', interval, 'as checkpoint_interval; the best checkpoint is kept')
  yield Choice('trainer.learning_rate_batch_size', start.batch, 'learning rates are scaled in proportion to the batch')
  optimizer = 'trainer.optimizer_config'
  yield Choice(
    f'{optimizer}.optimizer', {'type': 'adam', 'adam': {'global_clipnorm': 10.0}}, 'robust without tuning; clipping'
  )
  rate = 0.003 if start.weights else 0.006
  cosine = {'type': 'cosine', 'cosine': {'initial_learning_rate': rate, 'decay_steps': steps}}
  yield Choice(f'{optimizer}.learning_rate', cosine, 'of the recipe of the same backbone')
  warm_up = {'warmup_steps': max(1, round(0.03 * steps)), 'warmup_learning_rate': round(rate / 10, 6)}
  yield Choice(f'{optimizer}.warmup', {'type': 'linear', 'linear': warm_up}, '3 % of the steps')
  average = {'average_decay': 0.998, 'dynamic_decay': True, 'trainable_weights_only': False}
  if start.weights:
    yield Choice(f'{optimizer}.ema', average, 'evaluates the average of the last few hundred steps')
