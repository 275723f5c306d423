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

"""A tiny detector, levels 3 to 5, for tests of exports that need no trained one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nasfpn_tf import zoo
from nasfpn_tf.export import source
from nasfpn_tf.modeling import detector
from tests.modeling.backbones import tiny  # noqa: F401  (registers the backbone)

NUM_EXITS = 2
SIZE = 64
TINY = {
  'num_classes': 3,
  'input_size': [SIZE, SIZE, 3],
  'min_level': 3,
  'max_level': 5,
  'backbone': {'type': 'tiny', 'tiny': {'num_filters': 8}},
  'decoder': {'feature_pyramid': {'num_repeats': NUM_EXITS, 'num_filters': 16}},
  'head': {'num_convs': 1},
  'anchor': {'num_scales': 1, 'aspect_ratios': [1.0]},
  'norm_activation': {'norm_momentum': 0.1, 'use_sync_bn': False},
  'detection_generator': {'max_num_detections': 10, 'pre_nms_top_k': 100},
}
ONE_PYRAMID = {**TINY, 'decoder': {'feature_pyramid': {'num_repeats': 1, 'num_filters': 16}}}


def make_source(anytime: bool = True, model: Mapping[str, Any] | None = None) -> source.Source:
  """A detector with random weights that finds something, with or without exits."""
  model = {**(model or TINY), 'anytime': {'enabled': anytime}}
  params = zoo.load_experiment('r50_nasfpn_7x256_640', {'task.model': model})
  built = detector.build_detector(params.task.model)
  rng = np.random.default_rng(0)
  for variable in built.variables:
    if 'scores/kernel' in variable.name or 'boxes/kernel' in variable.name:
      variable.assign(rng.normal(0, 0.05, variable.shape))
    elif 'scores/bias' in variable.name:
      variable.assign(tf.fill(variable.shape, -2.0))
  for _ in range(2):
    built(tf.random.stateless_normal([4, *params.task.model.input_size], [0, 1]), training=True)
  labels = [{'label': 1, 'id': 7, 'name': 'red'}, {'label': 2, 'id': 9, 'name': 'blue'}]
  return source.Source(built, params, labels, 'somewhere/ckpt-1')


def images(number: int, size: Sequence[int] = (SIZE, 48)) -> list[np.ndarray]:
  """Noise, uint8."""
  rng = np.random.default_rng(1)
  return [rng.integers(0, 255, [*size, 3]).astype(np.uint8) for _ in range(number)]
