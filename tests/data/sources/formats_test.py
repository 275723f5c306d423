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

"""Tests of what all formats share."""

import json

import pytest

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.data.sources import coco, formats
from nasfpn_tf.data.sources.problems import DataError
from tests.data import samples


def test_a_split_with_fewer_categories_gets_the_labels_of_another(tmp_path):
  value = samples.coco_value()
  images = samples.write_images(tmp_path / 'images', value)
  tfrecord.write_tfrecords(value, images, tmp_path / 'train', progress=False)
  value['categories'] = [{'id': 8, 'name': 'dog'}]
  value['annotations'] = [item for item in value['annotations'] if item['category_id'] == 8]
  path = samples.write_json(tmp_path / 'val.json', value)
  assert formats.read_dataset('coco', path, images).labels()[0]['name'] == 'dog'
  dataset = formats.read_dataset('coco', path, images, tmp_path / 'train.manifest.json')
  assert [(label['label'], label['name']) for label in dataset.labels()] == [(1, 'cat'), (2, 'dog')]


@pytest.mark.parametrize('category', [{'id': 8, 'name': 'cow'}, {'id': 5, 'name': 'dog'}])
def test_categories_that_mean_something_else_are_refused(tmp_path, category):
  value = samples.coco_value()
  images = samples.write_images(tmp_path / 'images', value)
  tfrecord.write_tfrecords(value, images, tmp_path / 'train', progress=False)
  path = samples.write_json(tmp_path / 'val.json', {**value, 'categories': [category]})
  with pytest.raises(DataError, match=f'category {category["id"]} .* is not in .*manifest'):
    formats.read_dataset('coco', path, images, tmp_path / 'train.manifest.json')


def test_a_new_format_is_a_reader_and_a_line(tmp_path, monkeypatch):
  value = samples.coco_value()
  images = samples.write_images(tmp_path / 'images', value)

  def read(annotations, image_dir, categories, allow_empty):
    assert (annotations, categories, allow_empty) == ('rows.csv', None, True)
    return coco.check_coco(value, annotations, image_dir=image_dir)

  monkeypatch.setitem(formats.FORMATS, 'csv', read)
  dataset = formats.read_dataset('csv', 'rows.csv', images, allow_empty=True)
  manifest = tfrecord.write_tfrecords(dataset, images, tmp_path / 'out', progress=False)
  assert manifest.num_records == len(value['images'])


def test_shared_categories_cannot_be_dropped(tmp_path):
  with pytest.raises(DataError, match='not both'):
    formats.read_dataset('coco', 'x.json', tmp_path, 'names.txt', drop_unused_categories=True)


def test_an_unknown_format_is_an_error(tmp_path):
  with pytest.raises(ValueError, match=f"one of {', '.join(formats.FORMATS)}, got 'kitti'"):
    formats.read_dataset('kitti', 'x', tmp_path)


def test_names_that_no_file_can_have_are_reported(tmp_path):
  value = samples.coco_value()
  images = samples.write_images(tmp_path / 'images', value)
  value['images'][0]['file_name'] = 'half of a pair \ud800.jpg'
  value['images'][1]['file_name'] = 'null\0.jpg'
  value['categories'][0]['name'] = '\udfff'
  path = samples.write_json(tmp_path / 'x.json', value)
  manifest = tfrecord.write_tfrecords(path, images, tmp_path / 'out', progress=False)
  assert manifest.num_records == 4
  assert manifest.problems == {'bad_image_entry': 1, 'unknown_image': 2, 'image_missing': 1, 'category_name_filled': 1}
  assert [label['name'] for label in manifest.labels] == ['cat', '8']
  assert json.loads((tmp_path / 'out.annotations.json').read_text())['categories'][1]['name'] == '8'
