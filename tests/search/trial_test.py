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

"""Trials, measurements, rewards: values, one line of JSON each."""

import json

import numpy as np
import pytest

from nasfpn_tf import topology
from nasfpn_tf.search.evaluators.reward import Reward
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Measurement, Trial


def test_a_trial_carries_its_architecture_and_survives_json():
  space = PyramidSpace()
  trial = Trial.of(space, 3, np.array(space.encode(topology.NAS_FPN)), {'log_prob': -1.5})
  assert trial.digest == topology.NAS_FPN.digest
  assert topology.PyramidSpec.from_dict(trial.architecture).cells == topology.NAS_FPN.cells
  assert '\n' not in trial.to_json()
  assert Trial.from_json(trial.to_json()) == trial


def test_measurements_survive_json_whatever_made_their_numbers():
  measurement = Measurement(np.float32(0.5), ap=np.float64(0.25), cost=3, seconds=1)
  assert Measurement.from_json(measurement.to_json()) == measurement
  assert json.loads(measurement.to_json())['cost'] == 3.0
  failed = Measurement.failure('loss is not finite', seconds=2)
  assert (failed.reward, failed.status) == (0.0, 'failed')
  assert Measurement.from_json(failed.to_json()) == failed


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'reward': float('nan')}, 'it must be finite'),
    ({'reward': float('inf')}, 'it must be finite'),
    ({'reward': -0.1}, 'at least 0'),
    ({'reward': 0.1, 'status': 'done'}, "status 'done'"),
    ({'reward': 0.1, 'status': 'failed', 'reason': 'x'}, 'reward 0 and a reason'),
    ({'reward': 0.0, 'status': 'failed'}, 'reward 0 and a reason'),
  ],
)
def test_measurements_that_mean_nothing_are_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    Measurement(**fields)


def test_reward_is_ap_weighed_by_cost():
  assert Reward()(0.3) == 0.3
  assert Reward(target=100.0)(0.3, 400.0) == 0.3
  weighed = Reward(target=100.0, exponent=-0.5)
  assert weighed(0.3, 400.0) == pytest.approx(0.15)
  assert weighed(0.3, 100.0) == pytest.approx(0.3)
  with pytest.raises(ValueError, match='the cost must be positive'):
    weighed(0.3)
  for wrong in ({'exponent': -0.3}, {'target': 1.0, 'exponent': 0.3}, {'target': 0.0}):
    with pytest.raises(ValueError, match='reward: '):
      Reward(**wrong)
