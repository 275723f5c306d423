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

import glob
import importlib
import os
import pathlib

from nasfpn_tf import former_names


def _has_gpu(root: str = '/') -> bool:
  """Tells whether the machine has an NVIDIA GPU, with or without an installed driver."""
  if glob.glob(f'{root}/dev/nvidia[0-9]*') or os.path.exists(f'{root}/dev/dxg'):  # /dev/dxg: a GPU under WSL 2.
    return True
  vendors = pathlib.Path(root, 'sys/bus/pci/devices').glob('*/vendor')
  return any(vendor.read_text().strip() == '0x10de' for vendor in vendors)


# TensorFlow reads these when it is first imported. Model Garden and keras-cv are written for Keras 2. Without a GPU
# TensorFlow logs as an error that it finds none, so errors are logged only where there is one; they are raised anyway.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2' if _has_gpu() else '3')

former_names.install()

__version__ = '0.1.0'

_LAZY = {
  'topology': 'nasfpn_tf.topology',
  'FeaturePyramid': 'nasfpn_tf.layers.feature_pyramid',
  'MergingCell': 'nasfpn_tf.layers.merging_cell',
  'build_detector': 'nasfpn_tf.modeling.detector',
  'load': 'nasfpn_tf.predict.detector',
  'load_detector': 'nasfpn_tf.zoo',
}

__all__ = [
  'FeaturePyramid',
  'MergingCell',
  '__version__',
  'build_detector',
  'load',
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
