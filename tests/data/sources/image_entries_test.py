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

"""COCO's list of images: ids, files and sizes as tools write them."""

import pytest

from nasfpn_tf.data.sources import coco
from tests.data import samples


def test_boxes_of_an_id_that_two_images_claim_go_to_neither():
  value = samples.coco_value()
  value['images'][1]['id'] = 10
  dataset = coco.check_coco(value)
  assert [image['id'] for image in dataset.images] == [30, 40, 50, 60]
  assert dataset.problems.counts == {'duplicate_image': 2, 'unknown_image': 4}
  messages = [str(problem) for problem in dataset.problems]
  assert messages[0].startswith('image 10 (p0.jpg): id 10 is also that of p1.jpg')
  assert any('annotation 1: image id 10 is that of several images (p0.jpg, p1.jpg)' in text for text in messages)


def test_an_image_listed_twice_is_taken_once():
  value = samples.coco_value()
  value['images'].append(dict(value['images'][1]))
  dataset = coco.check_coco(value)
  assert dataset.problems.counts == {'duplicate_image': 1}
  assert len(dataset.images) == 6 and dataset.num_annotations == len(value['annotations'])


def test_image_ids_that_are_text_are_numbered_and_kept():
  value = samples.coco_value()
  for image in value['images']:
    image['id'] = f'img_{image["id"]}'
  for item in value['annotations']:
    item['image_id'] = f'img_{item["image_id"]}'
  dataset = coco.check_coco(value)
  assert [(image['id'], image['original_id']) for image in dataset.images][:2] == [(1, 'img_10'), (2, 'img_20')]
  assert [item['id'] for item in dataset.annotations[2]] == [3, 4]
  assert dataset.num_annotations == len(value['annotations'])
  assert dataset.problems.counts == {'image_ids_numbered': 1}
  assert dataset.to_json()['images'][0]['original_id'] == 'img_10'


@pytest.mark.parametrize('size', [0, -1, 'wide', None])
def test_sizes_that_are_none_are_read_from_the_file(tmp_path, size):
  value = samples.coco_value()
  image_dir = samples.write_images(tmp_path / 'images', value)
  value['images'][1]['width'] = size
  dataset = coco.check_coco(value, image_dir=image_dir)
  assert (dataset.images[1]['width'], dataset.images[1]['height']) == (48, 32)
  assert dataset.problems.counts == {'image_size_filled': 1}


@pytest.mark.parametrize('prefix', ['images/', 'C:\\data\\', '/data/set/images/', './'])
def test_names_that_differ_in_prefix_or_slashes_alone_are_found(tmp_path, prefix):
  value = samples.coco_value()
  image_dir = samples.write_images(tmp_path / 'images', value)
  for image in value['images']:
    image['file_name'] = prefix + image['file_name']
  dataset = coco.check_coco(value, image_dir=image_dir)
  names = [image['file_name'] for image in dataset.images]
  if prefix != './':
    assert names == [f'p{index}.jpg' for index in range(6)]
    assert dataset.problems.counts == {'image_found': 6}
  assert all((image_dir / name).is_file() for name in names)
  assert dataset.problems.num_serious == 0


def test_no_file_stands_for_two_names(tmp_path):
  value = samples.coco_value()
  image_dir = samples.write_images(tmp_path / 'images', value)
  value['images'][0]['file_name'], value['images'][1]['file_name'] = 'a/p5.jpg', 'b/p5.jpg'
  dataset = coco.check_coco(value, image_dir=image_dir)
  assert [image['file_name'] for image in dataset.images][:2] == ['a/p5.jpg', 'b/p5.jpg']
  assert not dataset.problems.counts
