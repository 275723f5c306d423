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

"""Files that are there as a whole or not at all."""

import json
import os

import pytest

from nasfpn_tf import whole_file


def test_a_file_is_made_with_its_directories_and_replaced(tmp_path):
  path = tmp_path / 'a' / 'b.txt'
  for text in ('é\n', 'other'):
    whole_file.write_text(path, text)
    assert path.read_text(encoding='utf-8') == text
  whole_file.write_json(path.with_name('c.json'), {'a': [1]})
  assert json.loads((tmp_path / 'a' / 'c.json').read_text()) == {'a': [1]}
  assert sorted(os.listdir(path.parent)) == ['b.txt', 'c.json']


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path, monkeypatch):
  path = tmp_path / 'a.txt'
  whole_file.write_text(path, 'old')

  def full(descriptor):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  with pytest.raises(OSError, match=r'No space left.*a\.txt'):
    whole_file.write_text(path, 'new')
  assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a.txt']


def test_places_are_checked_before_the_work(tmp_path):
  (tmp_path / 'file').write_text('x')
  (tmp_path / 'directory').mkdir()
  for name in ('new.txt', 'file', 'a/b/new.txt', 'directory/new.txt'):
    whole_file.check_place(tmp_path / name)
  for name in ('new', 'a/b', 'directory'):
    whole_file.check_place(tmp_path / name, is_directory=True)
  with pytest.raises(IsADirectoryError, match='directory'):
    whole_file.check_place(tmp_path / 'directory')
  for name in ('file/new', 'file/a/b'):
    for is_directory in (True, False):
      with pytest.raises(NotADirectoryError, match='file'):
        whole_file.check_place(tmp_path / name, is_directory)
  with pytest.raises(NotADirectoryError, match='file'):
    whole_file.check_place(tmp_path / 'file', is_directory=True)
  assert sorted(os.listdir(tmp_path)) == ['directory', 'file']


def test_a_place_that_may_not_be_written(tmp_path, monkeypatch):
  monkeypatch.setattr(os, 'access', lambda path, mode: False)  # Root may write everywhere.
  with pytest.raises(PermissionError, match=tmp_path.name):
    whole_file.check_place(tmp_path / 'a' / 'b')
