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
"""The rules of a plan, on data sets that differ in one thing."""

import dataclasses
import math

import pytest

from nasfpn_tf.data.input.anchors import AnchorGrid
from nasfpn_tf.fit.plan import anchors, rules
from nasfpn_tf.fit.plan import start as start_lib
from tests.fit.plan import fingerprints

BUDGET = rules.Budget(minutes=30, pixels_per_second=2e6)
PRETRAINED = start_lib.start_from('weights.h5')


def chosen(fingerprint, budget=BUDGET, start=PRETRAINED):
  choices, _ = rules.choose(fingerprint, budget, start)
  return {choice.key: choice.value for choice in choices}


@pytest.mark.parametrize(
  'kwargs',
  [
    {},
    {'sides': (5, 12)},
    {'aspects': (0.05, 0.1)},
    {'aspects': (0.05, 20.0), 'sides': (30, 150)},
    {'sides': (60, 190), 'image_size': (200, 200)},
    {'image_size': (2000, 3000), 'sides': (40, 60)},
    {'names': [f'class {i}' for i in range(80)], 'num_images': 118000},
    {'num_images': 10, 'num_boxes': 30},
  ],
)
@pytest.mark.parametrize('start', [PRETRAINED, start_lib.start_from(None)])
def test_a_plan_fits_its_data(kwargs, start):
  fingerprint = fingerprints.make(**kwargs)
  choices, found = rules.choose(fingerprint, BUDGET, start)
  values = {choice.key: choice.value for choice in choices}
  height, width, _ = values['task.model.input_size']
  stride = 2 ** values['task.model.max_level']
  assert height % stride == width % stride == 0
  assert height / width == pytest.approx(fingerprint.image_size[0] / fingerprint.image_size[1], rel=0.35)
  own = anchors.rate(AnchorGrid((height, width)), fingerprint.boxes, fingerprint.sizes)
  assert found.coverage >= max(own.coverage, 0.9)
  steps = values['trainer.train_steps']
  seconds = steps * values['task.train_data.global_batch_size'] * height * width / BUDGET.pixels_per_second
  assert steps == 50 or seconds <= 60 * BUDGET.minutes
  assert all(choice.reason for choice in choices)
  again, _ = rules.choose(fingerprint, BUDGET, start)
  assert again == choices


def test_more_time_is_more_pixels_or_steps_never_fewer():
  plans = [chosen(fingerprints.make(), rules.Budget(minutes, 1e6)) for minutes in (3, 10, 30, 100)]
  work = [
    plan['trainer.train_steps'] * plan['task.model.input_size'][0] * plan['task.model.input_size'][1] for plan in plans
  ]
  assert work == sorted(work) and work[0] < work[-1]


def test_tiny_objects_are_enlarged_or_get_a_finer_level():
  values = chosen(fingerprints.make(sides=(4, 9), image_size=(512, 512)), rules.Budget(60, 1e7))
  assert values['task.model.input_size'][0] > 512 or values['task.model.min_level'] == 2


@pytest.mark.parametrize('aspects', [(15, 25), (1 / 25, 1 / 15)])
def test_boxes_of_extreme_proportions_are_covered(aspects):
  data = fingerprints.make(sides=(60, 110), aspects=aspects, image_size=(640, 640))
  chosen = anchors.choose((640, 640), 3, 6, data.boxes, data.sizes)
  assert chosen.coverage > 0.97 and chosen.grid.anchor_size in anchors.LONG_SIZES


def test_shapes_follow_the_boxes():
  tall = chosen(fingerprints.make(aspects=(0.1, 0.14)))['task.model.anchor']['aspect_ratios']
  assert len(tall) <= 3 and all(0.09 < ratio < 0.15 for ratio in tall)
  mixed = chosen(fingerprints.make(aspects=(0.1, 10.0)))['task.model.anchor']['aspect_ratios']
  assert min(mixed) < 0.4 and max(mixed) > 2.5


@pytest.mark.parametrize(
  ('names', 'up_and_down', 'flips'),
  [
    (('cell',), False, (True, True)),
    (('person', 'dog'), True, (True, False)),
    (('arrow left', 'arrow right'), False, (False, False)),
    (('0', '1', '7'), False, (False, False)),
    (('A', 'B'), False, (False, False)),
    (('upright piano',), True, (True, False)),
    (('c0', 'type 2'), True, (True, False)),
    (('speed 30', 'speed 50'), False, (False, False)),
  ],
)
def test_flips_only_where_labels_and_boxes_allow_it(names, up_and_down, flips):
  values = chosen(fingerprints.make(names=names, up_and_down=up_and_down))
  parser = 'task.train_data.parser'
  assert (values[f'{parser}.aug_rand_hflip'], values[f'{parser}.aug_rand_vflip']) == flips


def test_colors_stay_where_classes_are_named_for_them():
  assert chosen(fingerprints.make(names=('red light', 'green light')))['task.train_data.parser.aug_color'] == 0.0
  assert chosen(fingerprints.make(names=('shredder', 'dog')))['task.train_data.parser.aug_color'] > 0.0


def test_crowds_and_full_images():
  values = chosen(fingerprints.make(crowding=0.45, most_boxes=230))
  assert values['task.model.detection_generator.nms_iou_threshold'] == 0.6
  assert values['task.train_data.parser.max_num_instances'] == 300
  assert values['task.model.detection_generator.max_num_detections'] == 300
  assert 'task.train_data.parser.max_num_instances' not in chosen(fingerprints.make())


def test_the_batch_is_no_larger_than_the_data():
  values = chosen(fingerprints.make(num_images=3))
  assert values['task.train_data.global_batch_size'] == 3
  assert chosen(fingerprints.make(), rules.Budget(30, 1e8, 'tpu'))['task.train_data.global_batch_size'] == 64


def test_a_limit_of_pixels_goes_before_everything_else():
  fingerprint = fingerprints.make(sides=(8, 12))
  free = math.prod(chosen(fingerprint)['task.model.input_size'][:2])
  limited = chosen(fingerprint, dataclasses.replace(BUDGET, most_pixels=free / 3, most_repeats=1))
  assert math.prod(limited['task.model.input_size'][:2]) <= free / 3
  assert limited['task.model.decoder.feature_pyramid']['num_repeats'] == 1


@pytest.mark.parametrize(
  ('side', 'speed', 'size'),
  [
    (200, 2e6, [192, 256, 3]),
    (128, 2e6, [256, 320, 3]),
    (40, 7e5, [384, 512, 3]),
    (40, 2e6, [512, 640, 3]),
    (200, 1e8, [512, 640, 3]),
  ],
)
def test_large_objects_need_no_large_input_unless_there_is_time(side, speed, size):
  fingerprint = fingerprints.make(sides=(side, 1.2 * side), image_size=(480, 640))
  budget = dataclasses.replace(BUDGET, pixels_per_second=speed)
  assert chosen(fingerprint, budget)['task.model.input_size'] == size
