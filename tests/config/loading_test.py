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

"""Tests of finding and reading configuration files, and of the text of overrides."""

import pytest

from nasfpn_tf.config import loading


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('a=1', {'a': 1}),
    ('a.b = 1e-3 , c=x', {'a.b': 1e-3, 'c': 'x'}),
    ('a=[1,2],b="x, y",c={d: [1, 2], e: 3}', {'a': [1, 2], 'b': 'x, y', 'c': {'d': [1, 2], 'e': 3}}),
    (
      'a=/data/my run/train-*,b=*.tfrecord,c=gs://bucket/x',
      {'a': '/data/my run/train-*', 'b': '*.tfrecord', 'c': 'gs://bucket/x'},
    ),
    ('a=true,b=null,c=', {'a': True, 'b': None, 'c': None}),
    (
      'a={"format": 1, "cells": [{"level": 3}, {"level": 4}]}',
      {'a': {'format': 1, 'cells': [{'level': 3}, {'level': 4}]}},
    ),
    ('{a: {b: 1}}', {'a': {'b': 1}}),
    ('a:\n  b: 1\n', {'a': {'b': 1}}),
    ('', {}),
  ],
)
def test_override_text(text, expected):
  assert loading.parse_override(text) == expected


@pytest.mark.parametrize(
  ('reference', 'message'),
  [
    ('r50_nasfpn_7x256_64', "no name in configs/.*did you mean 'r50_nasfpn_7x256_640'"),
    ('/nowhere/x.yaml', '/nowhere/x.yaml'),
  ],
)
def test_an_unknown_reference_is_named(reference, message):
  with pytest.raises(FileNotFoundError, match=message):
    loading.find_config(reference)
