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

"""Modules that have moved are found under the names that they had."""

import pytest

from nasfpn_tf import modeling


@pytest.mark.parametrize(
  ('old', 'name', 'module'),
  [
    ('amoebanet', 'AmoebaNet', 'nasfpn_tf.modeling.backbones.amoebanet'),
    ('applications', 'ApplicationsBackbone', 'nasfpn_tf.modeling.backbones.applications'),
    ('scale_permuted', 'ScalePermutedNet', 'nasfpn_tf.modeling.backbones.scale_permuted'),
    ('decoder', 'build_feature_pyramid', 'nasfpn_tf.modeling.decoders.feature_pyramid'),
    ('decoder', 'build_ssd_layers', 'nasfpn_tf.modeling.decoders.ssd'),
    ('restore', 'restore', 'nasfpn_tf.modeling.weights.restore'),
    ('warm_start', 'start', 'nasfpn_tf.modeling.weights.warm_start'),
    ('load_report', 'LoadReport', 'nasfpn_tf.modeling.weights.load_report'),
  ],
)
def test_old_names_lead_to_the_new_modules(old, name, module):
  assert getattr(getattr(modeling, old), name).__module__ == module


def test_other_names_do_not_exist():
  with pytest.raises(ImportError, match='decodre'):
    from nasfpn_tf.modeling import decodre  # noqa: F401
