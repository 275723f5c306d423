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

"""Tests of check_dataset.py as a user runs it."""

import json

import pytest
from PIL import Image

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.data.sources import coco
from tests import commands
from tests.data import samples


@pytest.fixture(name='records', scope='module')
def _records(tmp_path_factory):
  """A directory with two splits that share image 10."""
  directory = tmp_path_factory.mktemp('records')
  value = samples.coco_value()
  images = samples.write_images(directory / 'images', value)
  dataset = coco.check_coco(value)
  for name, ids in (('train', (10, 20, 30, 40)), ('val', (10, 50)), ('test', (60,))):
    tfrecord.write_tfrecords(dataset.subset(ids), images, directory / name, 2, progress=False)
  (directory / 'model.yaml').write_text(
    'task:\n  model:\n    input_size: [64, 96, 3]\n    max_level: 5\n    anchor:\n      anchor_size: 3\n'
  )
  (directory / 'typo.yaml').write_text('task:\n  model:\n    anchor:\n      anchor_siz: 3\n')
  return directory


def _run(*flags):
  return commands.run('check_dataset.py', *flags)


def test_sound_splits(records):
  result = _run(
    f'--input_path={records}/train-*',
    f'--input_path={records}/test-*',
    f'--config_file={records}/model.yaml',
    f'--output={records}/report.json',
    f'--augmented={records}/augmented.jpg',
  )
  assert result.returncode == 0, result.stderr
  assert 'boxes with an anchor at 64x96' in result.stdout
  assert 'No problem was found.' in result.stdout
  report = json.loads((records / 'report.json').read_text())
  assert [split['images']['count'] for split in report['splits']] == [4, 1]
  assert report['problems'] == []
  with Image.open(records / 'augmented.jpg') as sheet:
    assert sheet.width > 4 * 96 and sheet.height > 3 * 64


def test_a_leak_is_told_and_fails(records):
  result = _run(f'--input_path={records}/train-*', f'--input_path={records}/val-*', f'--output={records}/report.html')
  assert result.returncode == 1
  assert '1 leak' in result.stdout
  assert 'check_dataset: 1 problems, see above.' in result.stderr
  assert 'Traceback' not in result.stderr
  assert 'leak' in (records / 'report.html').read_text()


def test_a_typo_in_the_configuration_is_named(records):
  result = _run(f'--input_path={records}/train-*', f'--config_file={records}/typo.yaml')
  assert result.returncode == 1
  assert 'anchor_siz' in result.stderr
  assert 'Traceback' not in result.stderr
