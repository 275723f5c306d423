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

"""The race to an AP: turns, what is timed, bounds where a side does not get there, and a small race of detectors."""

import json
import types

import numpy as np
import pytest

from benchmarks import time_to_accuracy
from benchmarks.time_to_accuracy import Point
from tests.training import rectangles


class _Clock:
  """A clock that stands still but for what is told to take time."""

  def __init__(self):
    self.now = 0.0

  def perf_counter(self):
    return self.now

  def process_time(self):
    return self.now / 2


class _Side:
  """Gains an AP each step, until its end, and takes a while for it."""

  def __init__(self, name, steps, seconds, gain, clock, calls):
    self.steps, self._name, self._seconds, self._gain = steps, name, seconds, gain
    self._clock, self._calls, self._done = clock, calls, 0

  def train(self, steps):
    self._done += steps
    self._clock.now += steps * self._seconds
    self._calls.append(f'{self._name}{self._done}')

  def evaluate(self):
    self._clock.now += 100.0
    return self._gain * self._done


def _race(monkeypatch, ours, theirs, interval=4):
  clock, calls = _Clock(), []
  monkeypatch.setattr(time_to_accuracy, 'time', clock)
  sides = {'ours': _Side('o', *ours, clock, calls), 'theirs': _Side('t', *theirs, clock, calls)}
  return time_to_accuracy.race(sides, interval), calls


def test_sides_take_turns_and_neither_evaluations_nor_the_first_step_are_timed(monkeypatch):
  points, calls = _race(monkeypatch, (8, 1.0, 0.05), (10, 2.0, 0.025))
  assert ' '.join(calls) == 'o1 t1 o4 t4 t8 o8 t10'
  assert points['ours'] == [Point(1, 0, 0, 0.05), Point(4, 3, 1.5, 0.2), Point(8, 7, 3.5, 0.4)]
  assert [(point.step, point.wall_s) for point in points['theirs']] == [(1, 0), (4, 6), (8, 14), (10, 18)]


def test_the_time_to_an_ap_is_that_of_the_first_evaluation_not_below_it():
  points = [Point(1, 0, 0, 0.0), Point(4, 3, 3, 0.5), Point(8, 7, 7, 0.4), Point(12, 9, 9, 0.6)]
  assert time_to_accuracy.reached(points, 0.5) == points[1]
  assert time_to_accuracy.reached(points, 0.55) == points[3]
  assert time_to_accuracy.reached(points, 0.61) is None


@pytest.mark.parametrize(
  ('ap', 'expected'),
  [
    (0.2, [('4 | 3.0 | 1.5', ' | '), ('8 | 14.0 | 7.0', '0.21 | 0.21')]),
    (0.4, [('8 | 7.0 | 3.5', ' | '), ('not reached | | ', '< 0.39 | < 0.39')]),
    (0.9, [('not reached | | ', ' | '), ('not reached | | ', ' | ')]),
  ],
  ids=['both', 'ours_alone', 'neither'],
)
def test_a_side_that_does_not_get_there_makes_the_ratio_a_bound(monkeypatch, ap, expected):
  points, _ = _race(monkeypatch, (8, 1.0, 0.05), (10, 2.0, 0.025))
  line = {'seed': 3, 'dtypes': {'ours': 'bfloat16', 'theirs': 'float32'}}
  line['points'] = {name: [vars(point) for point in of_side] for name, of_side in points.items()}
  (first, first_ratio), (second, second_ratio) = expected
  assert time_to_accuracy.table([line], ap).splitlines()[2:] == [
    f'| 3 | ours, bfloat16 | {first} | 40.0 (step 8) | 8 | 7.0 | {first_ratio} |',
    f'| 3 | theirs, float32 | {second} | 25.0 (step 10) | 10 | 18.0 | {second_ratio} |',
  ]


def test_a_peer_that_alone_gets_there_makes_it_a_bound_from_below(monkeypatch):
  points, _ = _race(monkeypatch, (8, 2.0, 0.01), (10, 1.0, 0.1))
  line = {'seed': 0, 'dtypes': {'ours': 'float32', 'theirs': 'float32'}}
  line['points'] = {name: [vars(point) for point in of_side] for name, of_side in points.items()}
  assert time_to_accuracy.table([line], 0.4).splitlines()[3].endswith('| > 4.67 | > 4.67 |')


def _settings(prefix, **changes):
  override = (
    'task.model.input_size=[128,128,3],task.model.backbone.applications.alpha=0.35,'
    'task.model.backbone.applications.weights=none,task.train_data.global_batch_size=2,'
    'task.model.decoder.feature_pyramid.num_filters=16,task.model.decoder.feature_pyramid.num_repeats=1,'
    'task.model.head.num_convs=1,runtime.mixed_precision_dtype=float32'
  )
  return {
    'train': prefix,
    'validation': prefix,
    'config_file': ['bccd_mobilenetv2_nasfpnlite_3x64_384x512'],
    'params_override': override,
    'peer_override': None,
    'steps': 3,
    'peer_steps': 2,
    'peer_dtype': 'float32',
    'interval': 2,
    **changes,
  }


def test_lines_of_other_settings_are_refused(tmp_path):
  path, settings = tmp_path / 'lines.jsonl', _settings('records')
  assert time_to_accuracy.read(str(path), settings) == {}
  path.write_text(json.dumps({'seed': 2, 'settings': settings}) + '\n')
  assert list(time_to_accuracy.read(str(path), settings)) == [2]
  with pytest.raises(ValueError, match=r'line 1 has other settings \(peer_dtype, steps\)'):
    time_to_accuracy.read(str(path), _settings('records', steps=4, peer_dtype='bfloat16'))
  path.write_text('{"seed": 2}\n')
  with pytest.raises(ValueError, match='line 1 is not of this benchmark'):
    time_to_accuracy.read(str(path), settings)


def test_the_peer_has_no_learning_rate_of_the_backbone(tmp_path):
  prefix = rectangles.write(tmp_path)
  settings = _settings(prefix, peer_override='task.backbone_lr_multiplier=0.5')
  with pytest.raises(ValueError, match=r'Model Garden has no task\.backbone_lr_multiplier'):
    time_to_accuracy.build_theirs(settings, 0, types.SimpleNamespace())


@pytest.mark.slow
def test_both_detectors_train_from_the_same_values(tmp_path):
  prefix = rectangles.write(tmp_path)
  settings = _settings(prefix)
  strategy = time_to_accuracy.strategy.build_strategy(
    time_to_accuracy.params_lib.load_params(None, settings['config_file']).runtime
  )
  with strategy.scope():
    ours = time_to_accuracy.build_ours(settings, 1)
    theirs = time_to_accuracy.build_theirs(settings, 1, ours.trainer.model)
  for part in ('backbone', 'head'):
    values = (getattr(side.trainer.model, part).get_weights() for side in (ours, theirs))
    for a, b in zip(*values, strict=True):
      np.testing.assert_array_equal(a, b)
  line = time_to_accuracy.measure(settings, 1)
  assert [point['step'] for point in line['points']['ours']] == [1, 2, 3]
  assert [point['step'] for point in line['points']['theirs']] == [1, 2]
  assert all(0 <= point['ap'] <= 1 for points in line['points'].values() for point in points)
