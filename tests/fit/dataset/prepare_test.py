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
"""From a directory to its splits on disk."""

import json
import shutil

import pytest

from nasfpn_tf.data.sources import coco
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.dataset import format as format_lib
from nasfpn_tf.fit.dataset import prepare
from tests.fit.dataset import layouts


def _prepare(root, earlier=None):
  return prepare.prepare(str(root), format_lib.find(root), earlier=earlier, progress=False)


def _voc(root, numbers):
  layouts.images(root / 'images', numbers)
  layouts.voc(root / 'Annotations', numbers)


def test_splits_are_made_written_and_found_again(tmp_path):
  root, out = tmp_path / 'data', tmp_path / 'out'
  _voc(root, range(20))
  prepared = _prepare(root)
  assert {name: len(images) for name, images in prepared.splits.items()} == {'train': 16, 'val': 4}
  assert 'no validation split' in prepared.notes[0] and 'seed 0' in prepared.notes[0]
  prepare.write(prepared, out / 'annotations')
  read = {name: coco.read_coco(out / 'annotations' / f'{name}.json', root) for name in ('train', 'val')}
  assert sum(dataset.num_annotations for dataset in read.values()) == 40
  assert not any(dataset.problems.num_serious for dataset in read.values())

  _voc(root, range(20, 40))
  earlier = prepare.load_earlier(out / 'splits.json')
  again = _prepare(root, earlier)
  assert set(earlier['val']) < set(again.splits['val'].names)
  assert set(earlier['train']) < set(again.splits['train'].names)
  assert len(again.splits['val']) == 8


def test_given_splits_are_kept_and_validation_is_drawn_from_training_alone(tmp_path):
  layouts.images(tmp_path / 'images', range(20))
  layouts.coco(tmp_path / 'train.json', range(10))
  layouts.coco(tmp_path / 'test.json', range(10, 15))
  prepared = _prepare(tmp_path)
  assert {name: len(images) for name, images in prepared.splits.items()} == {'train': 8, 'val': 2, 'test': 5}
  assert prepare.split_names(format_lib.find(tmp_path)) == ('train', 'val', 'test')
  layouts.coco(tmp_path / 'val.json', range(15, 20))
  assert {name: len(images) for name, images in _prepare(tmp_path).splits.items()} == {'train': 10, 'val': 5, 'test': 5}


def test_copies_stay_together(tmp_path):
  _voc(tmp_path, range(10))
  for number in range(10):
    shutil.copy(tmp_path / 'images' / f'p{number}.jpg', tmp_path / 'images' / f'p{number + 100}.jpg')
  layouts.voc(tmp_path / 'Annotations', range(100, 110))
  prepared = _prepare(tmp_path)
  numbers = [{int(name[8:-4]) % 100 for name in images.names} for images in prepared.splits.values()]
  assert not numbers[0] & numbers[1]
  assert '10 copies' in prepared.notes[0]


def test_classes_of_different_ids_are_joined_by_name(tmp_path):
  for split, numbers, names in (('train', [1, 2], ('dog', 'cat')), ('val', [3], ('cat', 'dog'))):
    layouts.images(tmp_path / split, numbers)
    layouts.coco(tmp_path / f'{split}.json', numbers)
    text = json.loads((tmp_path / f'{split}.json').read_text())
    text['categories'][1:] = [{'id': 1 + index, 'name': name} for index, name in enumerate(names)]
    (tmp_path / f'{split}.json').write_text(json.dumps(text))
  prepared = _prepare(tmp_path)
  names = {category['id']: category['name'] for category in prepared.dataset.categories}
  assert names == {1: 'cat', 2: 'dog'}
  of = {
    name: [names[item['category_id']] for item in items]
    for images in prepared.splits.values()
    for name, items in zip(images.names, images.annotations, strict=True)
  }
  assert of == {'train/p1.jpg': ['cat', 'cat'], 'train/p2.jpg': ['dog', 'cat'], 'val/p3.jpg': ['dog', 'dog']}


def test_a_test_split_without_annotations_is_left_out_everywhere(tmp_path):
  for split, numbers in (('train', range(10)), ('test', range(10, 13))):
    layouts.images(tmp_path / split, numbers)
    layouts.coco(tmp_path / split / '_annotations.coco.json', numbers)
  path = tmp_path / 'test' / '_annotations.coco.json'
  value = json.loads(path.read_text())
  path.write_text(json.dumps({**value, 'annotations': []}))
  prepared = _prepare(tmp_path)
  assert tuple(prepared.splits) == prepare.split_names(format_lib.find(tmp_path)) == ('train', 'val')
  assert 'its 3 images are left out' in prepared.notes[0]


def test_images_in_two_splits_are_not_trained_on(tmp_path):
  layouts.images(tmp_path / 'images', range(10))
  layouts.coco(tmp_path / 'train.json', range(10))
  layouts.coco(tmp_path / 'val.json', range(10))
  prepared = _prepare(tmp_path)
  assert {name: len(images) for name, images in prepared.splits.items()} == {'train': 8, 'val': 2}
  assert 'validation has the images of training' in prepared.notes[0]
  layouts.coco(tmp_path / 'val.json', range(7, 10))
  prepared = _prepare(tmp_path)
  assert {name: len(images) for name, images in prepared.splits.items()} == {'train': 7, 'val': 3}
  assert '3 images for training are in the val split' in prepared.notes[0]
  layouts.coco(tmp_path / 'test.json', range(10))
  with pytest.raises(DataError, match='all 7 images for training are in the test split'):
    _prepare(tmp_path)


def test_images_without_boxes_are_counted(tmp_path):
  layouts.images(tmp_path / 'images', range(10))
  layouts.yolo(tmp_path / 'labels', range(8))
  layouts.write(tmp_path / 'classes.txt', 'dog\ncat\n')
  assert any(note.startswith('2 of 10 images have no box') for note in _prepare(tmp_path).notes)


def test_what_cannot_be_divided_is_refused(tmp_path):
  _voc(tmp_path, [1])
  with pytest.raises(DataError, match='one image cannot be split'):
    format_lib.find(tmp_path)
  layouts.images(tmp_path / 'images', [2])  # Without annotation.
  with pytest.raises(DataError, match='one image cannot be split'):
    _prepare(tmp_path)
  shutil.copy(tmp_path / 'images' / 'p1.jpg', tmp_path / 'images' / 'p2.jpg')
  layouts.voc(tmp_path / 'Annotations', [1, 2])
  with pytest.raises(DataError, match='all 2 images are identical'):
    _prepare(tmp_path)
  (tmp_path / 'splits.json').write_text('{"train": [')
  with pytest.raises(DataError, match=r'splits\.json'):
    prepare.load_earlier(tmp_path / 'splits.json')


def test_a_class_with_two_boxes_is_named(tmp_path):
  _voc(tmp_path, range(1, 13))
  layouts.write(
    tmp_path / 'Annotations' / 'p1.xml',
    '<annotation><filename>p1.jpg</filename><size><width>48</width><height>32</height></size>'
    + '<object><name>owl</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>' * 2
    + '</annotation>',
  )
  assert any("'owl' has 2 boxes" in note for note in _prepare(tmp_path).notes)


def test_fewer_different_images_than_asked_for_are_refused(tmp_path):
  _voc(tmp_path, range(9))
  for number in (100, 101):
    shutil.copy(tmp_path / 'images' / 'p0.jpg', tmp_path / 'images' / f'p{number}.jpg')
  layouts.voc(tmp_path / 'Annotations', (100, 101))
  parts = format_lib.find(tmp_path)
  with pytest.raises(DataError, match=r'9 different images .* too few; annotate more, at least 10'):
    prepare.prepare(str(tmp_path), parts, progress=False, min_images=10)
  assert sum(map(len, prepare.prepare(str(tmp_path), parts, progress=False, min_images=9).splits.values())) == 11


def test_classes_that_occur_once_leave_nothing_to_validate(tmp_path):
  layouts.images(tmp_path / 'images', (0, 1))
  layouts.write(tmp_path / 'data.yaml', 'names: [dog, cat]')
  for number in (0, 1):
    layouts.write(tmp_path / 'labels' / f'p{number}.txt', f'{number} 0.5 0.5 0.25 0.25')
  with pytest.raises(DataError, match='every class occurs in a single image'):
    _prepare(tmp_path)
