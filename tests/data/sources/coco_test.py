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

"""Tests of reading and checking COCO JSON: every kind of bad input, what becomes of it and how it is named."""

import copy
import json
import math

import pytest

from nasfpn_tf.data.sources import coco
from nasfpn_tf.data.sources.problems import DataError
from tests import testing
from tests.data import samples


def _change(path, change):
  """A flawless value with one thing changed: `path` leads to it, `change` is its value, `...` deletes it."""
  value = samples.coco_value()
  *parents, last = path
  target = value
  for key in parents:
    target = target[key]
  if change is ...:
    del target[last]
  else:
    target[last] = change
  return value


def _all_boxes(dataset):
  return {item['id']: item for items in dataset.annotations.values() for item in items}


def test_a_flawless_value_stays_as_it_is():
  value = samples.coco_value()
  dataset = coco.check_coco(value)
  assert len(dataset.problems) == 0
  written = dataset.to_json()
  assert written['images'] == value['images']
  assert written['annotations'] == value['annotations']
  assert written['categories'] == sorted(value['categories'], key=lambda item: item['id'])
  assert dataset.annotations[30] == [], 'an image without objects stays'
  assert sum(item['iscrowd'] for item in written['annotations']) == 1


@pytest.mark.parametrize(
  ('path', 'change', 'kind', 'where'),
  [
    (('images', 1), 7, 'bad_image_entry', 'images[1]'),
    (('images', 1, 'id'), 'x', 'bad_image_entry', 'images[1]'),
    (('images', 1, 'id'), ..., 'bad_image_entry', 'images[1]'),
    (('images', 1, 'id'), True, 'bad_image_entry', 'images[1]'),
    (('images', 1, 'file_name'), ..., 'bad_image_entry', 'images[1]'),
    (('images', 1, 'width'), -48, 'bad_image_entry', 'image 20 (p1.jpg)'),
    (('images', 1, 'width'), math.nan, 'bad_image_entry', 'image 20 (p1.jpg)'),
    (('images', 1, 'height'), ..., 'bad_image_entry', 'image 20 (p1.jpg)'),
  ],
)
def test_a_bad_image_entry_is_left_out_with_its_boxes(path, change, kind, where):
  dataset = coco.check_coco(_change(path, change))
  first = next(iter(dataset.problems))
  assert (first.kind, first.where) == (kind, where)
  assert [image['id'] for image in dataset.images] == [10, 30, 40, 50, 60]
  assert 20 not in dataset.annotations
  assert dataset.problems.counts[kind] == 1
  assert dataset.problems.counts['unknown_image'] == 2


@pytest.mark.parametrize(
  ('key', 'change', 'kind'),
  [
    ('bbox', [4, 5, 0, 3], 'box_dropped'),
    ('bbox', [4, 5, 3, -1], 'box_dropped'),
    ('bbox', [math.nan, 5, 3, 3], 'box_dropped'),
    ('bbox', [4, 5, math.inf, 3], 'box_dropped'),
    ('bbox', [10**400, 5, 3, 3], 'box_dropped'),
    ('bbox', [48, 5, 3, 3], 'box_dropped'),
    ('bbox', [4, -9, 3, 9], 'box_dropped'),
    ('bbox', [47.5, 5, 30, 9], 'box_dropped'),
    ('bbox', [4, 5, 3], 'bad_annotation'),
    ('bbox', '4 5 3 3', 'bad_annotation'),
    ('bbox', [4, 5, '3', 3], 'bad_annotation'),
    ('bbox', ..., 'bad_annotation'),
    ('image_id', ..., 'bad_annotation'),
    ('image_id', None, 'bad_annotation'),
    ('image_id', 99, 'unknown_image'),
    ('category_id', 1, 'unknown_category'),
    ('category_id', 'cat', 'bad_annotation'),
  ],
)
def test_a_bad_annotation_is_dropped_and_named(key, change, kind):
  dataset = coco.check_coco(_change(('annotations', 2, key), change))
  problems = list(dataset.problems)
  assert [problem.kind for problem in problems] == [kind]
  assert problems[0].where.startswith('annotation 3')
  assert 3 not in _all_boxes(dataset)
  assert dataset.num_annotations == len(samples.coco_value()['annotations']) - 1


@pytest.mark.parametrize(
  ('box', 'expected'),
  [
    ([-2, 5, 10, 10], [0, 5, 8, 10]),
    ([4, -0.5, 10, 10], [4, 0, 10, 9.5]),
    ([40, 20, 10, 20], [40, 20, 8, 12]),
  ],
)
def test_a_box_that_reaches_outside_is_clipped_and_reported(box, expected):
  dataset = coco.check_coco(_change(('annotations', 2, 'bbox'), box))
  assert dataset.problems.counts == {'box_clipped': 1}
  assert next(iter(dataset.problems)).where == 'annotation 3 of p1.jpg'
  item = _all_boxes(dataset)[3]
  assert item['bbox'] == expected
  assert item['area'] <= expected[2] * expected[3]


def test_rounding_at_the_border_is_clipped_without_a_word():
  dataset = coco.check_coco(_change(('annotations', 2, 'bbox'), [40.0, 5, 8.004, 10]))
  assert len(dataset.problems) == 0
  x, _, width, _ = _all_boxes(dataset)[3]['bbox']
  assert x + width <= 48


def test_area_of_the_mask_is_kept_and_a_missing_one_is_the_boxs():
  value = samples.coco_value()
  value['annotations'][0]['area'] = 77.5
  del value['annotations'][1]['area']
  value['annotations'][2]['area'] = math.nan
  dataset = coco.check_coco(value)
  boxes = _all_boxes(dataset)
  assert boxes[1]['area'] == 77.5
  for identifier in (2, 3):
    assert boxes[identifier]['area'] == boxes[identifier]['bbox'][2] * boxes[identifier]['bbox'][3]
  assert dataset.problems.counts == {'area_filled': 1}
  assert dataset.problems.num_serious == 0


def test_annotation_ids_become_unique_and_never_zero():
  value = samples.coco_value()
  value['annotations'][3]['id'] = 0
  value['annotations'][1]['id'] = 5
  del value['annotations'][2]['id']
  dataset = coco.check_coco(value)
  ids = [item['id'] for items in dataset.annotations.values() for item in items]
  assert len(set(ids)) == len(value['annotations'])
  assert min(ids) > 0
  assert value['annotations'][0]['id'] in ids
  assert dataset.problems.counts == {'annotation_renumbered': 3}


def test_the_same_annotation_twice_counts_once():
  value = samples.coco_value()
  value['annotations'].append(copy.deepcopy(value['annotations'][0]))
  dataset = coco.check_coco(value)
  assert dataset.problems.counts == {'annotation_repeated': 1}
  assert dataset.num_annotations == len(value['annotations']) - 1


def test_the_same_box_under_two_ids_is_noted():
  value = samples.coco_value()
  value['annotations'].append({**value['annotations'][0], 'id': 99})
  dataset = coco.check_coco(value)
  assert dataset.problems.counts == {'box_repeated': 1}
  assert dataset.num_annotations == len(value['annotations'])


def test_an_odd_crowd_flag_is_fixed():
  dataset = coco.check_coco(_change(('annotations', 2, 'iscrowd'), 'yes'))
  assert dataset.problems.counts == {'crowd_flag_fixed': 1}
  assert _all_boxes(dataset)[3]['iscrowd'] == 1


@pytest.mark.parametrize(
  ('value', 'crowd'),
  [('0', 0), ('false', 0), ('False', 0), (False, 0), (0.0, 0), (None, 0), ('', 0), ('1', 1), ('true', 1), (True, 1)],
)
def test_crowd_flags_as_tools_write_them(value, crowd):
  assert _all_boxes(coco.check_coco(_change(('annotations', 2, 'iscrowd'), value)))[3]['iscrowd'] == crowd


def test_quoted_numbers_are_numbers():
  plain, value = samples.coco_value(), samples.coco_value()
  for image in value['images']:
    image.update(id=str(image['id']), width=str(image['width']))
  for item in value['annotations']:
    item.update({key: str(item[key]) for key in ('id', 'image_id', 'category_id')})
  for category in value['categories']:
    category['id'] = str(category['id'])
  assert coco.check_coco(value).to_json() == coco.check_coco(plain).to_json()


@pytest.mark.parametrize('box', [None, [], ...])
def test_a_polygon_without_a_box_gives_its_own(tmp_path, box):
  value = _change(('annotations', 2, 'bbox'), box)
  value['annotations'][2]['segmentation'] = [[8, 9, 28, 8, 20, 24], [6, 20, 9, 20, 9, 21]]
  dataset = coco.read_coco(samples.write_json(tmp_path / 'x.json', value))
  assert dataset.problems.counts == {'box_from_polygon': 1}
  assert _all_boxes(dataset)[3]['bbox'] == [6, 8, 22, 16]


@pytest.mark.parametrize('segmentation', [[], [[1, 2, 3]], {'counts': 'x', 'size': [1, 1]}, [['a'] * 6], [[1] * 6, 7]])
def test_a_polygon_of_no_use_gives_no_box(segmentation):
  value = _change(('annotations', 2, 'bbox'), ...)
  value['annotations'][2]['segmentation'] = segmentation
  assert coco.check_coco(value).problems.counts == {'bad_annotation': 1}


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_a_byte_order_mark_is_no_part_of_the_json(tmp_path, encoding):
  path = tmp_path / 'x.json'
  path.write_text(json.dumps(samples.coco_value()), encoding=encoding)
  assert len(coco.read_coco(path).images) == 6


def test_unused_categories_are_known_and_can_be_left_out():
  value = samples.coco_value()
  value['categories'].append({'id': 0, 'name': 'pets'})
  dataset = coco.check_coco(value)
  assert [category['name'] for category in dataset.unused_categories] == ['pets']
  assert [label['name'] for label in dataset.without_unused_categories().labels()] == ['cat', 'dog']


def test_background_alone_is_taken_only_where_asked_for():
  value = _change(('annotations',), [])
  with pytest.raises(DataError, match='--allow_empty accepts'):
    coco.check_coco(value)
  assert coco.check_coco(value, allow_empty=True).num_annotations == 0
  value['annotations'] = [{'id': 1, 'image_id': 77, 'category_id': 3, 'bbox': [1, 1, 5, 5]}]
  with pytest.raises(DataError, match='none of the 1 annotations can be used'):
    coco.check_coco(value, allow_empty=True)


def test_missing_sizes_are_read_from_the_files():
  value = _change(('images', 1, 'height'), ...)
  dataset = coco.check_coco(value, image_size=lambda name: (48, 32) if name == 'p1.jpg' else None)
  assert dataset.problems.counts == {'image_size_filled': 1}
  assert dataset.images[1]['height'] == 32


@pytest.mark.parametrize(
  ('path', 'change', 'message'),
  [
    (('images',), ..., "'images' is missing"),
    (('annotations',), {}, "'annotations' is dict, not a list"),
    (('categories',), [], 'it lists no category'),
    (('categories', 0), 'dog', r'categories\[0\] has no integer id'),
    (('categories', 0, 'id'), 'dog', r"categories\[0\] has no integer id: .*'dog'.* Number the categories from 1"),
    (('categories', 0, 'id'), 3, "category id 3 means both 'dog' and 'cat'"),
    (('images',), [], 'no usable image among the 0 listed'),
    (('images',), [{'id': 1}], 'no usable image among the 1 listed: .*has no file_name'),
    (('annotations',), [], 'no annotation at all'),
    (('annotations',), [{'id': 1, 'image_id': 10, 'category_id': 77}], 'none of the 1 annotations can be used'),
  ],
)
def test_a_value_of_no_use_is_an_error_that_names_the_file(path, change, message):
  with pytest.raises(DataError, match=message) as error:
    coco.check_coco(_change(path, change), 'my.json')
  assert str(error.value).startswith('my.json: ')


def test_images_without_annotations_are_accepted_when_asked_for():
  dataset = coco.check_coco(_change(('annotations',), ...), allow_empty=True)
  assert len(dataset.images) == 6
  assert dataset.num_annotations == 0


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (None, 'no such annotation file'),
    (b'', 'not JSON'),
    (b'{"images": [', 'not JSON'),
    (b'\xff\xfe\x00', 'not JSON'),
    (b'[' * 200000, 'not JSON'),
    (b'[1, 2]', 'an object was expected, not list'),
  ],
)
def test_a_file_that_is_no_coco_json_is_an_error_that_names_it(tmp_path, content, message):
  path = tmp_path / 'x.json'
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(DataError, match=message) as error:
    coco.read_coco(path)
  assert str(error.value).startswith(str(path))


def test_polygons_are_not_kept(tmp_path):
  value = samples.coco_value()
  value['annotations'][0]['segmentation'] = [[0.0] * 8]
  path = samples.write_json(tmp_path / 'x.json', value)
  assert 'segmentation' not in json.dumps(coco.load_json(path))


def test_labels():
  dataset = coco.check_coco(samples.coco_value())
  assert dataset.labels() == ({'label': 1, 'id': 3, 'name': 'cat'}, {'label': 2, 'id': 8, 'name': 'dog'})
  assert [label['label'] for label in dataset.labels('category_id')] == [3, 8]
  with pytest.raises(ValueError, match='labels must be one of'):
    dataset.labels('names')


def test_category_zero_cannot_be_a_label_itself():
  value = samples.coco_value()
  value['categories'][1]['id'] = 0
  for item in value['annotations']:
    item['category_id'] = {3: 0}.get(item['category_id'], item['category_id'])
  dataset = coco.check_coco(value)
  assert dataset.labels()[0] == {'label': 1, 'id': 0, 'name': 'cat'}
  with pytest.raises(DataError, match='0 is the background'):
    dataset.labels('category_id')


def test_holdout_depends_on_ids_and_seed_alone():
  value = samples.coco_value(num_images=40)
  rest, held_out = coco.split_holdout(coco.check_coco(value), 10, seed=3)
  value['images'].reverse()
  _, again = coco.split_holdout(coco.check_coco(value), 10, seed=3)
  _, other = coco.split_holdout(coco.check_coco(value), 10, seed=4)
  ids = {image['id'] for image in held_out.images}
  assert len(ids) == 10
  assert ids == {image['id'] for image in again.images}
  assert ids != {image['id'] for image in other.images}
  assert ids.isdisjoint(image['id'] for image in rest.images)
  assert len(rest.images) == 30
  assert set(held_out.annotations) == ids
  for num_images in (0, 40, 41):
    with pytest.raises(DataError, match=f'cannot hold out {num_images} of 40'):
      coco.split_holdout(coco.check_coco(value), num_images)


def test_strict_lists_what_is_wrong_but_not_notes():
  value = _change(('annotations', 2, 'bbox'), [4, 5, 0, 3])
  value['annotations'][4]['area'] = -1
  problems = coco.check_coco(value).problems
  problems.raise_if_strict(False)
  with pytest.raises(DataError, match=r'annotation 3 of p1\.jpg') as error:
    problems.raise_if_strict(True)
  assert str(error.value).startswith('1 problems')


@pytest.mark.parametrize(
  ('name', 'split', 'images', 'boxes'), [('bccd', 'val', 87, 1137), ('coco_mini', 'val', 80, 815)]
)
def test_real_annotations_pass_unchanged(name, split, images, boxes):
  path = testing.shared_data(name) / 'annotations' / f'instances_{split}.json'
  dataset = coco.read_coco(path)
  assert (len(dataset.images), dataset.num_annotations) == (images, boxes)
  assert dataset.problems.num_serious == 0
  original = {item['id']: item['bbox'] for item in json.loads(path.read_text())['annotations']}
  for item in dataset.to_json()['annotations']:
    assert item['bbox'] == pytest.approx(original[item['id']], abs=0.01)
