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

"""Tests of reading class names."""

import json

import pytest

from nasfpn_tf.data.sources.categories import read_categories, read_keypoints
from nasfpn_tf.data.sources.problems import DataError


@pytest.mark.parametrize(
  ('name', 'text', 'first_id', 'expected'),
  [
    ('names.txt', 'cat\n\n big dog \n', 1, [(1, 'cat'), (2, 'big dog')]),
    ('data.yaml', 'names: [cat, dog]', 0, [(0, 'cat'), (1, 'dog')]),
    ('data.yaml', 'names: {1: dog, 0: cat}', 0, [(0, 'cat'), (1, 'dog')]),
    ('x.manifest.json', json.dumps({'labels': [{'label': 1, 'id': 7, 'name': 'cat'}]}), 1, [(7, 'cat')]),
    ('coco.json', json.dumps({'categories': [{'id': 9, 'name': 'cat', 'supercategory': 'x'}]}), 1, [(9, 'cat')]),
  ],
)
def test_names_from_every_kind_of_file(tmp_path, name, text, first_id, expected):
  (tmp_path / name).write_text(text)
  assert [(item['id'], item['name']) for item in read_categories(tmp_path / name, first_id)] == expected


@pytest.mark.parametrize(
  ('name', 'text', 'message'),
  [
    ('names.txt', None, 'No such file'),
    ('names.txt', '\n', 'no class names'),
    ('names.txt', 'cat\ndog\ncat', "'cat' occurs twice"),
    ('data.yaml', 'names: cat', 'no class names'),
    ('data.yaml', 'names: [', 'cannot be read'),
    ('data.yaml', '!!python/object/apply:os.getcwd []', 'cannot be read'),
    ('coco.json', '{', 'cannot be read'),
    ('coco.json', '{"categories": [{"id": 3}]}', 'no class names'),
  ],
)
def test_no_names_is_an_error_that_names_the_file(tmp_path, name, text, message):
  if text is not None:
    (tmp_path / name).write_text(text)
  with pytest.raises(DataError, match=message) as error:
    read_categories(tmp_path / name)
  assert str(tmp_path / name) in str(error.value)


def test_quoted_numbers_and_a_byte_order_mark(tmp_path):
  path = tmp_path / 'data.yaml'
  path.write_text("names:\n  0: cat\n  '1': dog\n")
  assert [(c['id'], c['name']) for c in read_categories(path)] == [(0, 'cat'), (1, 'dog')]
  path = tmp_path / 'classes.txt'
  path.write_bytes(b'\xef\xbb\xbfcat\r\ndog\r\n')
  assert [c['name'] for c in read_categories(path)] == ['cat', 'dog']


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('names: [2026-11-28]', "'2026-11-28' is a date"),
    ('names: &n [*n]', 'an alias that contains itself'),
    ('names: {x: cat}', "the class 'cat' has the id 'x', not a whole number"),
    ('names: {1: cat, "1": dog}', 'the class id 1 occurs twice'),
    ('names: [[cat]]', 'the class name of 1 must be text, not list'),
    ('a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b]', 'must be text, not list'),
    ('[' * 5000, 'cannot be read'),
  ],
)
def test_unusable_names_are_one_line(tmp_path, text, message):
  path = tmp_path / 'data.yaml'
  path.write_text(text)
  with pytest.raises(DataError, match=message) as error:
    read_categories(path)
  assert str(error.value).startswith(f'{path}: ') and len(str(error.value)) < 300


@pytest.mark.parametrize('shape', ['[3]', '[3, 4]', '[x, 3]', 'three'])
def test_keypoints(tmp_path, shape):
  path = tmp_path / 'data.yaml'
  path.write_text('names: [cat]\n')
  assert read_keypoints(path) is None
  path.write_text('names: [cat]\nkpt_shape: [17, 3]\n')
  assert read_keypoints(path) == (17, 3)
  path.write_text(f'names: [cat]\nkpt_shape: {shape}\n')
  with pytest.raises(DataError, match='kpt_shape must be'):
    read_keypoints(path)
