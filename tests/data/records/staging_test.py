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

"""Tests of making files aside and giving them their names at once, whenever the program dies."""

import json
import os

import pytest

from nasfpn_tf.data.records import journal
from nasfpn_tf.data.records import manifest as manifest_lib
from nasfpn_tf.data.records.staging import Staging
from nasfpn_tf.data.sources.problems import DataError


def _make(staging, content, num_shards=2):
  """A set of records with the prefix 'x' in the staging directory."""
  names = [f'x-{i:05d}-of-{num_shards:05d}.tfrecord' for i in range(num_shards)]
  shards = [{'file': name, 'num_records': 1, 'num_bytes': len(content)} for name in names]
  manifest = {
    'format': 1,
    'num_records': num_shards,
    'num_classes': 2,
    'labels': [],
    'label_scheme': 'contiguous',
    'shards': shards,
  }
  for name in names:
    with open(staging.path(name), 'w') as file:
      file.write(content)
  with open(staging.path('x.manifest.json'), 'w') as file:
    json.dump(manifest, file)
  return {*names, 'x.manifest.json'}


def _write(prefix, content, num_shards=2):
  with Staging(prefix) as staging:
    staging.check_replaceable(prefix)
    names = _make(staging, content, num_shards)
    staging.commit([prefix])
  return names


def _names(directory):
  return {path.name for path in directory.iterdir()}


def test_commit_replaces_the_old_set_whole(tmp_path):
  prefix = str(tmp_path / 'x')
  _write(prefix, 'old', num_shards=5)
  (tmp_path / 'unrelated.txt').write_text('stays')
  names = _write(prefix, 'new')
  assert _names(tmp_path) == names | {'unrelated.txt'}
  assert (tmp_path / 'x-00000-of-00002.tfrecord').read_text() == 'new'


def test_an_exception_leaves_the_old_set_and_nothing_else(tmp_path):
  prefix = str(tmp_path / 'x')
  names = _write(prefix, 'old')
  with pytest.raises(RuntimeError), Staging(prefix) as staging:
    _make(staging, 'new')
    raise RuntimeError
  assert _names(tmp_path) == names
  assert (tmp_path / 'x-00000-of-00002.tfrecord').read_text() == 'old'


class Killed(BaseException):
  """The death of the process."""


class Disk:
  """Counts what changes names in a directory, and dies before change number `after`."""

  def __init__(self, monkeypatch, after):
    self.changes = 0
    for name in ('replace', 'remove'):
      monkeypatch.setattr(journal.os, name, self._counted(getattr(os, name), after))

  def _counted(self, function, after):
    def call(*arguments):
      if self.changes == after:
        raise Killed
      self.changes += 1
      return function(*arguments)

    return call


def _dies_while_replacing(prefix, after, num_shards):
  """Replaces the set by one of `num_shards` and dies before change number `after`; says whether it came so far."""
  with pytest.MonkeyPatch.context() as patch:
    staging = Staging(prefix).__enter__()
    _make(staging, 'new', num_shards)
    Disk(patch, after)
    try:
      staging.commit([prefix])
      return False
    except Killed:
      return True
    finally:
      staging._stack.close()  # As the death of the process would close the lock.


def _content(directory):
  """What the set 'x' holds by its manifest, None where there is no manifest."""
  manifest = directory / 'x.manifest.json'
  if not manifest.exists():
    return None
  return [(directory / shard['file']).read_text() for shard in json.loads(manifest.read_text())['shards']]


@pytest.mark.parametrize('num_shards', [2, 3, 5])
def test_a_death_at_any_change_of_a_name_loses_no_set(tmp_path, num_shards):
  """There is always a whole set: the old one, or the new one once whoever comes next has finished it."""
  for after in range(100):
    directory = tmp_path / str(after)
    directory.mkdir()
    prefix = str(directory / 'x')
    old = _write(prefix, 'old', num_shards=3)
    if not _dies_while_replacing(prefix, after, num_shards):
      break
    left = _content(directory)
    assert left in (None, ['old'] * 3, ['new'] * num_shards), f'a mixed set after {after} changes'
    found = manifest_lib.find_manifest(prefix)
    assert len(found.shards) == len(_content(directory)), after
    # Before its manifest goes, the old set is the one that readers find.
    assert _content(directory) == (['old'] * 3 if after <= 1 else ['new'] * num_shards), after
    if after > 1:
      assert len(_names(directory) - {'.x.partial'}) == num_shards + 1, 'nothing of the old set stays'
    else:
      assert old <= _names(directory)
    names = _write(prefix, 'newest')
    assert _names(directory) == names
  assert after >= num_shards + 3, 'the renames, the manifest that is removed, and the journal were all tried'


def test_a_second_death_while_finishing_loses_nothing_either(tmp_path):
  prefix = str(tmp_path / 'x')
  _write(prefix, 'old', num_shards=3)
  assert _dies_while_replacing(prefix, 2, 4)
  for _ in range(20):
    with pytest.MonkeyPatch.context() as patch:
      Disk(patch, 1)  # One step forward each time.
      try:
        Staging(prefix).__enter__()
      except Killed:
        continue
      break
  manifest_lib.find_manifest(prefix)
  assert _content(tmp_path) == ['new'] * 4


def test_an_error_while_names_are_given_is_made_good_at_once(tmp_path, monkeypatch):
  prefix = str(tmp_path / 'x')
  _write(prefix, 'old', num_shards=3)
  with pytest.raises(Killed), Staging(prefix) as staging:
    names = _make(staging, 'new')
    with pytest.MonkeyPatch.context() as patch:
      Disk(patch, 2)
      staging.commit([prefix])
  assert _names(tmp_path) == names and _content(tmp_path) == ['new', 'new']


def test_a_reader_leaves_the_replacement_to_the_process_that_lives(tmp_path):
  prefix = str(tmp_path / 'x')
  assert _dies_while_replacing(prefix, 2, 2)
  with journal.locked(str(tmp_path / '.x.partial')):
    assert manifest_lib.find_manifest(prefix) is None
  assert len(manifest_lib.find_manifest(prefix).shards) == 2


def test_a_journal_cannot_point_outside_its_directory(tmp_path):
  (tmp_path / 'victim').write_text('stays')
  staging = tmp_path / 'out' / '.x.partial'
  staging.mkdir(parents=True)
  value = {'format': 2, 'new': ['../victim'], 'last': [], 'old': ['../victim', '/victim']}
  (staging / 'commit.json').write_text(json.dumps(value))
  assert journal.finish_beside(str(tmp_path / 'out' / 'x'))
  assert (tmp_path / 'victim').read_text() == 'stays'


def test_leftovers_of_a_dead_run_are_cleared(tmp_path):
  leftover = tmp_path / '.x.partial'
  leftover.mkdir()
  (leftover / 'x-00000-of-00008.tfrecord').write_bytes(b'half a rec')
  (leftover / 'commit.json').write_text('{"torn')
  names = _write(str(tmp_path / 'x'), 'new')
  assert _names(tmp_path) == names


def test_two_writers_of_one_set_do_not_meet(tmp_path):
  prefix = str(tmp_path / 'x')
  with Staging(prefix), Staging(str(tmp_path / 'y')):
    with pytest.raises(DataError, match='another process is writing these records'), Staging(prefix):
      pass
    assert (tmp_path / '.x.partial').is_dir(), "the refused one does not clear the other's files"


def test_files_of_someone_else_are_refused(tmp_path):
  prefix = str(tmp_path / 'x')
  (tmp_path / 'x-00000-of-00009.tfrecord').write_bytes(b'')
  (tmp_path / 'x-y-00000-of-00009.tfrecord').write_bytes(b'')
  with Staging(prefix) as staging, pytest.raises(DataError, match=r'x-00000-of-00009\.tfrecord is in the way'):
    staging.check_replaceable(prefix)


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path):
  prefix = str(tmp_path / 'x')
  (tmp_path / 'x.manifest.json').write_text('?')
  (tmp_path / 'x-00000-of-00009.tfrecord').write_bytes(b'')
  with Staging(prefix) as staging, pytest.raises(DataError, match=r'x\.manifest\.json: not JSON'):
    staging.check_replaceable(prefix)


def test_a_manifest_cannot_point_outside_its_directory(tmp_path):
  (tmp_path / 'out').mkdir()
  (tmp_path / 'victim').write_text('stays')
  prefix = str(tmp_path / 'out' / 'x')
  _write(prefix, 'old')
  path = tmp_path / 'out' / 'x.manifest.json'
  value = json.loads(path.read_text())
  value['shards'][0]['file'] = '../victim'
  path.write_text(json.dumps(value))
  os.remove(tmp_path / 'out' / 'x-00000-of-00002.tfrecord')
  with pytest.raises(DataError, match='it does not list x-00000-of-00002'):
    _write(prefix, 'new')
  value['shards'] = [{'file': '../victim', 'num_records': 2, 'num_bytes': 5}]
  path.write_text(json.dumps(value))
  os.remove(tmp_path / 'out' / 'x-00001-of-00002.tfrecord')
  _write(prefix, 'new')
  assert (tmp_path / 'victim').read_text() == 'stays'


@pytest.mark.parametrize('prefix', ['gs://bucket/x', '/proc/nothing/x'])
def test_a_place_that_cannot_be_written_is_an_error(prefix):
  with pytest.raises(DataError, match=r'local disk|cannot be written'), Staging(prefix):
    pass


def test_a_directory_is_no_prefix(tmp_path):
  with pytest.raises(DataError, match='give a prefix'):
    Staging(f'{tmp_path}/')
