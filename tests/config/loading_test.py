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
    ("a='k,b=c',d='it''s, e=f'", {'a': 'k,b=c', 'd': "it's, e=f"}),
    (r'a="x \" y, z",b=1', {'a': 'x " y, z', 'b': 1}),
    ("a=/data/don't,b=it's", {'a': "/data/don't", 'b': "it's"}),
    ('a=x],b=1', {'a': 'x]', 'b': 1}),
    ('a=part[0,1]-*,b=file[2', {'a': 'part[0,1]-*', 'b': 'file[2'}),
  ],
)
def test_override_text(text, expected):
  assert loading.parse_override(text) == expected


@pytest.mark.parametrize(
  ('reference', 'message'),
  [
    ('r50_nasfpn_7x256_64', "name in configs/.*did you mean 'r50_nasfpn_7x256_640'"),
    ('/nowhere/x.yaml', '/nowhere/x.yaml'),
  ],
)
def test_an_unknown_reference_is_named(reference, message):
  with pytest.raises(FileNotFoundError, match=message):
    loading.find_config(reference)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('a=part[0,b=1', 'a bracket is not closed'),
    ('a="x,b=1', 'is not understood'),
    ('a=2026-11-28', 'is a date'),
    ('a=' + '[' * 5000, 'nested deeper'),
    ('.'.join('a' * 5000) + '=1', 'nested deeper'),
    ('{[a, b]: 1}', 'a key must be text'),
  ],
)
def test_an_override_that_would_become_something_else_is_refused(text, message):
  with pytest.raises(ValueError, match=message) as error:
    loading.parse_override(text)
  assert str(error.value).startswith('params_override: ')


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'a: \xff', r'UTF-8 text .byte 3.'),
    (b'a: ' + b'[' * 5000, 'nested deeper.*line 1'),
    (b'a: &a [*a]', 'an alias that contains itself'),
    (b'a: 2026-11-28', 'is a date'),
    (b'? [a, b]\n: 1', 'a key must be text'),
    (b'a: !!bool x', 'is no bool'),
    (b'- a', 'a mapping of keys is needed'),
  ],
)
def test_a_bad_file_is_one_error_that_names_it(tmp_path, content, message):
  path = tmp_path / 'bad.yaml'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=message) as error:
    loading.read_yaml(path)
  assert str(error.value).startswith(str(path))
  assert '\n' not in str(error.value)


def test_an_empty_file_is_told_from_one_that_changes_nothing(tmp_path):
  path = tmp_path / 'c.yaml'
  path.write_text('# nothing\n')
  assert loading.read_yaml(path) == {}
  path.write_text(' \n')
  with pytest.raises(ValueError, match=r'c\.yaml: the file is empty'):
    loading.read_yaml(path)


def test_searches_are_found_apart_from_trainings():
  assert loading.find_search_config('digits_proxy') == loading.find_search_config('digits_proxy.yaml')
  assert not loading.search_config_names().keys() & loading.config_names().keys()
  with pytest.raises(FileNotFoundError, match="did you mean 'digits_proxy'"):
    loading.find_search_config('digit_proxy')
