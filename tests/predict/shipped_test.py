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

"""The detectors that come with the package detect."""

import pathlib

import pytest

import nasfpn_tf
from nasfpn_tf.predict import shipped

IMAGES = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'images'


def test_every_name_lies_in_the_package():
  assert shipped.DETECTORS
  for name in shipped.DETECTORS:
    path = pathlib.Path(shipped.path_of(name))
    assert path.is_file() and path.with_suffix('.json').is_file(), name


@pytest.mark.parametrize('name', shipped.DETECTORS)
def test_every_detector_runs(name):
  detector = nasfpn_tf.load(name, score_threshold=0.0)
  found = detector(IMAGES / 'digits.jpg')
  assert len(found) and {*found.names} <= {label['name'] for label in detector.labels.values()}


def test_digits_are_found():
  found = nasfpn_tf.load('digits')(IMAGES / 'digits.jpg', score_threshold=0.5)
  assert sorted(found.names) == ['3', '3', '5', '6']  # A fifth digit, a 4, is fainter.


def test_an_unknown_name_lists_those_there_are():
  with pytest.raises(FileNotFoundError, match='digits'):
    nasfpn_tf.load('digit')
