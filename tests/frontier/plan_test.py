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

"""The plan of a frontier: its points, what they change, and how they are chosen."""

import pytest

from nasfpn_tf import topology
from nasfpn_tf.frontier import plan
from nasfpn_tf.training import params as params_lib

BCCD = 'bccd_mobilenetv2_nasfpnlite_3x64_384x512'


def test_the_whole_plan():
  points = plan.all_points()
  names = [point.name for point in points]
  assert len(set(names)) == len(names) == 2 * 4 * 2 * 3 + 2 * 3
  assert names[:2] == ['fpnlite_1x64_320', 'nasfpnlite_1x64_320']
  models = [name for point in points for name in point.models(plan.FORMS)]
  assert len(set(models)) == len(models) == 2 * (48 + 6 * 4)
  assert {'fpnlite_3x48_256_int8', 'nasfpnlite_7x64_384_anytime_exit5'} < set(models)


def test_points_are_chosen_by_pattern_in_the_order_of_the_plan():
  names = [point.name for point in plan.choose(['nasfpnlite_[13]x64_320', 'fpnlite_3x64_320'])]
  assert names == ['nasfpnlite_1x64_320', 'fpnlite_3x64_320', 'nasfpnlite_3x64_320']
  assert plan.choose(['all']) == plan.all_points()
  small = plan.choose(['small'])
  assert len(small) == 13 and sum(point.anytime for point in small) == 1
  with pytest.raises(ValueError, match='--points=nasfpn_3x64: there is no such point; the points are fpnlite_1x64_320'):
    plan.choose(['small', 'nasfpn_3x64'])


def test_inputs_are_legal_and_anchors_keep_their_size():
  sizes = {width: plan.Point('fpnlite', 1, 64, width).input_size((384, 512)) for width in (224, *plan.WIDTHS)}
  assert sizes == {224: (192, 256), 256: (192, 256), 320: (256, 320), 384: (320, 384)}
  params = params_lib.load_params(None, BCCD)
  for width, wanted in ((256, 1.5), (320, 1.875), (384, 2.25)):
    changes = plan.Point('fpnlite', 1, 64, width).override(params.task.model)
    assert changes['anchor'] == {'anchor_size': pytest.approx(wanted)}


@pytest.mark.parametrize('name', ['fpnlite_7x48_384', 'nasfpnlite_1x64_256', 'nasfpnlite_7x48_320_anytime'])
def test_a_point_is_a_configuration(name):
  (point,) = plan.choose([name])
  params = params_lib.load_params(None, BCCD)
  changed = params_lib.load_params(None, BCCD, {'task': {'model': point.override(params.task.model)}}).task.model
  assert tuple(changed.input_size[:2]) == point.input_size((384, 512))
  assert not any(side % 2**changed.max_level for side in changed.input_size[:2])
  pyramid = changed.decoder.get()
  assert (pyramid.num_repeats, pyramid.num_filters) == (point.num_repeats, point.num_filters)
  spec = topology.resolve(pyramid.topology, changed.min_level, changed.max_level)
  assert (spec.min_level, spec.max_level) == (3, 6)
  assert changed.anytime.enabled == point.anytime and changed.backbone.type == 'applications'
