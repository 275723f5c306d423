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

"""A detector that is refined until its time is up; time is a number here."""

import numpy as np
import pytest

from nasfpn_tf import predict

IMAGE = np.zeros([8, 8, 3], np.uint8)


class Slow(predict.Predictor):
  """Takes so many milliseconds a step; an exit is found in the score of the only object."""

  num_exits = 4

  def __init__(self, begin=10.0, refine=5.0, detect=2.0):
    super().__init__([{'label': 1, 'id': 40, 'name': 'top'}])
    self.now = 0.0
    self.steps = []
    self.begin_ms, self.refine_ms, self.detect_ms = begin, refine, detect

  def _spend(self, step, milliseconds):
    self.steps.append(step)
    self.now += milliseconds / 1000

  def _detect(self, image):
    return self._finish(self.num_exits, self.num_exits)

  def _begin(self, image):
    self._spend('begin', self.begin_ms)
    return 1

  def _refine(self, value, exit_stage):
    assert exit_stage == value + 1
    self._spend('refine', self.refine_ms)
    return exit_stage

  def _finish(self, value, exit_stage):
    assert value == exit_stage
    self._spend('detect', self.detect_ms)
    return np.array([[0, 0, 4, 4]]), np.array([exit_stage / 10]), np.array([1])


def deadline(predictor, milliseconds):
  stopped = predict.Deadline(predictor, milliseconds, clock=lambda: predictor.now)
  predictor.steps.clear()
  return stopped


@pytest.mark.parametrize(
  ('milliseconds', 'exit_stage'), [(1, 1), (12.5, 1), (16.9, 1), (17.1, 2), (22.1, 3), (27.1, 4), (1000, 4)]
)
def test_the_last_exit_that_fits_is_taken(milliseconds, exit_stage):
  predictor = Slow()
  stopped = deadline(predictor, milliseconds)
  found = stopped(IMAGE)
  assert found.exit_stage == exit_stage and found.scores[0] == pytest.approx(exit_stage / 10)
  assert found.above(0.05).exit_stage == exit_stage and found.names == ('top',)
  assert predictor.steps == ['begin', *['refine'] * (exit_stage - 1), 'detect']  # Nothing is computed twice.
  assert stopped.reached == {exit_stage: 1}
  assert stopped.milliseconds == [pytest.approx(12 + 5 * (exit_stage - 1))]


def test_slower_steps_are_noticed():
  predictor = Slow()
  stopped = deadline(predictor, 27.1)
  assert stopped(IMAGE).exit_stage == 4
  predictor.refine_ms = 18.0
  assert stopped(IMAGE).exit_stage == 2
  assert stopped.milliseconds[-1] == pytest.approx(30.0)  # This one could not know.
  assert stopped(IMAGE).exit_stage == 1
  assert stopped.milliseconds[-1] == pytest.approx(12.0)
  assert stopped.summary() == 'images: 1 at exit 1, 1 at exit 2, 1 at exit 4 of 4; slowest 30.0 ms, 1 late'


def test_a_summary_counts_what_came_late():
  stopped = deadline(Slow(), 5)
  assert stopped.summary() == 'images: none; 0 late'
  stopped(IMAGE)
  assert stopped.summary() == 'images: 1 at exit 1 of 4; slowest 12.0 ms, 1 late'


def test_there_must_be_time_and_exits():
  for milliseconds in (0, -1, float('nan')):
    with pytest.raises(ValueError, match='positive number of milliseconds'):
      predict.Deadline(Slow(), milliseconds)
  plain = Slow()
  plain.num_exits = 1
  with pytest.raises(ValueError, match=r'trained without task\.model\.anytime\.enabled'):
    predict.Deadline(plain, 10)


def test_steps_of_a_predictor():
  predictor = Slow()
  state = predictor.begin(IMAGE)
  for exit_stage in (2, 3, 4):
    state = predictor.refine(state)
    assert predictor.detect(state).exit_stage == exit_stage
  with pytest.raises(ValueError, match='last exit, 4'):
    predictor.refine(state)
  for use in (Slow().refine, Slow().detect):
    with pytest.raises(ValueError, match='belongs to another predictor'):
      use(predictor.begin(IMAGE))
  with pytest.raises(ValueError, match='An image must be uint8'):
    predictor.begin(IMAGE.astype(np.float32))


def test_an_exit_of_choice():
  predictor = Slow()
  found = predict.AtExit(predictor, 3)(IMAGE)
  assert found.exit_stage == 3 and predictor.steps == ['begin', 'refine', 'refine', 'detect']
  for exit_stage in (0, 5):
    with pytest.raises(ValueError, match=f'Exit {exit_stage}: the exits of this detector are 1 to 4'):
      predict.AtExit(predictor, exit_stage)
  predictor.num_exits = 1
  with pytest.raises(ValueError, match='no exits to choose from'):
    predict.AtExit(predictor, 1)
