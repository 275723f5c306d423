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

"""Finds the detectors that come with the package, by name."""

import importlib.resources

# Name -> file or directory in the package, as `load_predictor` takes it; it is also in pyproject.toml's package data.
DETECTORS: dict[str, str] = {
  'blood_cells': 'pretrained/blood_cells.tflite',
  'digits': 'pretrained/digits.tflite',
}


def path_of(reference: str) -> str:
  """Returns the path of the shipped detector `reference`, or `reference` itself if it is not such a name.

  A name comes before a file or directory of the same name, which is written './name'.
  """
  if reference not in DETECTORS:
    return reference
  return str(importlib.resources.files('nasfpn_tf') / DETECTORS[reference])


def described() -> str:
  """Returns the names for a message; nothing where there are none."""
  return f'; detectors by name: {", ".join(DETECTORS)}' if DETECTORS else ''
