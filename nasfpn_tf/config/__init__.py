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

"""Defines the configuration of detectors, data and training, and reads its files and overrides.

The dataclasses below load on first use: `loading` and `checking` also serve programs that start without TensorFlow.
"""

import importlib

_LAZY = {
  'AmoebaNet': 'nasfpn_tf.config.model',
  'Anytime': 'nasfpn_tf.config.model',
  'Applications': 'nasfpn_tf.config.model',
  'Backbone': 'nasfpn_tf.config.model',
  'DataConfig': 'nasfpn_tf.config.data',
  'Decoder': 'nasfpn_tf.config.decoders',
  'DetectionGenerator': 'nasfpn_tf.config.model',
  'DetectionTask': 'nasfpn_tf.config.task',
  'Detector': 'nasfpn_tf.config.model',
  'FeaturePyramid': 'nasfpn_tf.config.decoders',
  'MnasFPN': 'nasfpn_tf.config.decoders',
  'Parser': 'nasfpn_tf.config.data',
  'RetinaNetHead': 'nasfpn_tf.config.model',
  'SSD': 'nasfpn_tf.config.decoders',
  'ScalePermuted': 'nasfpn_tf.config.model',
  'SmoothedFPN': 'nasfpn_tf.config.decoders',
  'TrainerConfig': 'nasfpn_tf.config.task',
  'add_backbone': 'nasfpn_tf.config.model',
  'aligned_level': 'nasfpn_tf.config.model',
}

__all__ = sorted(_LAZY)


def __getattr__(name: str):
  if name not in _LAZY:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__():
  return sorted([*globals(), *_LAZY])
