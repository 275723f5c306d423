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
"""Detectors and their parts. Modules that have moved into a package are still found under their old names."""

import importlib

_MOVED = {
  'amoebanet': 'backbones.amoebanet',
  'applications': 'backbones.applications',
  'decoder': 'decoders',
  'load_report': 'weights.load_report',
  'restore': 'weights.restore',
  'scale_permuted': 'backbones.scale_permuted',
  'warm_start': 'weights.warm_start',
}


def __getattr__(name: str):
  if name not in _MOVED:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return importlib.import_module(f'{__name__}.{_MOVED[name]}')
