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
"""Configurations of models whose weights come from elsewhere."""

import pytest

from nasfpn_tf import config
from nasfpn_tf.modeling.weights import pretrained


def test_the_copy_reads_no_file():
  model = config.Detector(backbone={'type': 'applications', 'applications': {'alpha': 0.5, 'weights': 'w.h5'}})
  without = pretrained.without_pretrained_weights(model)
  assert without.backbone.applications.as_dict() == {**model.backbone.applications.as_dict(), 'weights': 'none'}
  assert model.backbone.applications.weights == 'w.h5'


@pytest.mark.parametrize('backbone', ['resnet', 'amoebanet', 'scale_permuted'])
def test_other_backbones_are_as_they_were(backbone):
  model = config.Detector(backbone={'type': backbone})
  without = pretrained.without_pretrained_weights(model)
  assert without is not model and without.as_dict() == model.as_dict()
