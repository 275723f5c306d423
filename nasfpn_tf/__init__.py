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

"""NAS-FPN object detection for TensorFlow (arXiv 1904.07392).

Importing this package does not import TensorFlow; the public names below load on first use.
"""

import importlib
import os

# Model Garden and keras-cv are written for Keras 2; TensorFlow reads this when it is first imported.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

__version__ = '0.1.0'

_LAZY = {
  'topology': 'nasfpn_tf.topology',
  'FeaturePyramid': 'nasfpn_tf.layers.feature_pyramid',
  'MergingCell': 'nasfpn_tf.layers.merging_cell',
  'build_detector': 'nasfpn_tf.modeling.detector',
  'load_detector': 'nasfpn_tf.zoo',
}

__all__ = [
  'FeaturePyramid',
  'MergingCell',
  '__version__',
  'build_detector',
  'load_detector',
  'topology',
]


def __getattr__(name: str):
  if name not in _LAZY:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module = importlib.import_module(_LAZY[name])
  return module if _LAZY[name].endswith('.' + name) else getattr(module, name)


def __dir__():
  return sorted([*globals(), *_LAZY])
