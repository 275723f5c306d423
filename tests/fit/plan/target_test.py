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

import math

import pytest

from nasfpn_tf.fit.plan import rules, target
from nasfpn_tf.fit.plan import start as start_lib
from nasfpn_tf.fit.plan.plan import _params
from nasfpn_tf.modeling import latency
from tests.fit.plan import fingerprints

BUDGET = rules.Budget(minutes=30, pixels_per_second=2e6)


def _params_for(budget):
  choices, _ = rules.choose(fingerprints.make(), budget, start_lib.start_from('blood_cells'))
  return _params(choices, num_classes=4)


@pytest.fixture
def clock(monkeypatch):
  """A machine that takes a fixed time, and one for the pixels and each pyramid: no models are built."""
  asked = []

  def measure(model):
    assert model.backbone.applications.weights == 'none'
    pixels = math.prod(model.input_size[:2])
    asked.append((pixels, model.decoder.feature_pyramid.num_repeats))
    return 1.0 + pixels / 1e4 * (1 + 0.2 * asked[-1][1])

  monkeypatch.setattr(latency, 'measure_ms', measure)
  return asked


def test_a_fast_plan_stays_as_it_is(clock):
  budget, sentence = target.meet(1000.0, BUDGET, _params_for)
  assert budget == BUDGET and len(clock) == 1 and 'the target is 1000 ms' in sentence


def test_the_input_shrinks_until_the_target_is_met(clock):
  budget, sentence = target.meet(15.0, BUDGET, _params_for)
  pixels, repeats = clock[-1]
  assert repeats == 3 and 1.0 + pixels / 1e4 * 1.6 <= 15.0 and 'Latency: ' in sentence
  assert math.prod(_params_for(budget).task.model.input_size[:2]) == pixels
  assert pixels > 0.5 * 14.0 / 1.6 * 1e4  # Not much smaller than it has to be.


@pytest.mark.parametrize('load', [3.0, 10.0])
def test_a_measurement_that_was_slow_by_chance_does_not_leave_the_target_far_away(monkeypatch, load):
  calls = []

  def measure(model):
    calls.append(math.prod(model.input_size[:2]))
    return (load if len(calls) == 1 else 1.0) * calls[-1] / 1e4

  monkeypatch.setattr(latency, 'measure_ms', measure)
  budget, sentence = target.meet(15.0, BUDGET, _params_for)
  pixels = math.prod(_params_for(budget).task.model.input_size[:2])
  assert 0.6 * 15.0 <= pixels / 1e4 <= 15.0 and len(calls) <= 6 and f'{pixels / 1e4:.1f} ms' in sentence


def test_pyramids_go_last(clock):
  smallest = 64 * 64 / 1e4
  budget, _ = target.meet(1.0 + 1.4 * smallest, BUDGET, _params_for)
  assert budget.most_repeats == 1


def test_what_no_plan_meets_is_said_with_the_fastest(clock):
  with pytest.raises(ValueError, match=r'--target_latency_ms=0.5 cannot be met: the fastest plan takes 1\.\d ms'):
    target.meet(0.5, BUDGET, _params_for)
