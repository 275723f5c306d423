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

"""Tests of reading YOLO labels."""

import pytest

from nasfpn_tf.data.sources import formats, yolo
from nasfpn_tf.data.sources.problems import DataError
from tests.data import samples


def _write(root, files):
  """A YOLO tree; `files` gives the label file of each image, None for an image without one."""
  for stem, text in files.items():
    image, label = root / 'images' / f'{stem}.jpg', root / 'labels' / f'{stem}.txt'
    image.parent.mkdir(parents=True, exist_ok=True)
    label.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(samples.encode(samples.pixels()))
    if text is not None:
      label.write_text(text)
  (root / 'data.yaml').write_text('path: .\nnames:\n  0: cat\n  1: dog\n')
  return root / 'labels', root / 'images', root / 'data.yaml'


def test_boxes_polygons_and_empty_images(tmp_path):
  labels, image_dir, names = _write(
    tmp_path, {'a': '1 0.5 0.5 0.25 0.5\n\n0 0.25 0.5 0.5 0.75 0.75 0.25\n', 'b': '', 'sub/c': None}
  )
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert len(dataset.problems) == 0
  assert [image['file_name'] for image in dataset.images] == ['a.jpg', 'b.jpg', 'sub/c.jpg']
  box, polygon = dataset.annotations[1]
  assert (box['category_id'], box['bbox']) == (1, pytest.approx([18, 8, 12, 16]))
  assert (polygon['category_id'], polygon['bbox']) == (0, pytest.approx([12, 8, 24, 16]))
  assert dataset.annotations[2] == dataset.annotations[3] == []
  assert [label['label'] for label in dataset.labels()] == [1, 2]


def test_coordinates_are_those_of_the_upright_image(tmp_path):
  labels, image_dir, names = _write(tmp_path, {'a': '0 0.5 0.5 1 1\n'})
  (image_dir / 'a.jpg').write_bytes(samples.encode(samples.pixels(), orientation=6))
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert dataset.annotations[1][0]['bbox'] == [0, 0, 32, 48]


def test_bad_lines_are_named(tmp_path):
  lines = [
    '0 0.5 0.5 0.5 0.5',
    'zero 0.5 0.5 0.5 0.5',
    '0 0.5 0.5',
    '7 0.5 0.5 0.5 0.5',
    '0 1.5 0.5 0.5 0.5',
    '0 nan 0.5 0.5 0.5',
    '0 0.5 0.1 0.2 nan 0.4 0.3',
    '0.5 0.5 0.5 0.5 0.5',
    '0 0.9 0.5 0.5 0.5',
  ]
  labels, image_dir, names = _write(tmp_path, {'a': '\n'.join(lines)})
  (labels / 'stray.txt').write_text('0 0.5 0.5 0.5 0.5')
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  where = f'{labels}/a.txt line'
  assert {problem.where: problem.kind for problem in dataset.problems} == {
    f'{where} 2': 'bad_label_file',
    f'{where} 3': 'bad_label_file',
    f'{where} 4': 'unknown_category',
    f'{where} 5': 'box_dropped',
    f'{where} 6': 'box_dropped',
    f'{where} 7': 'box_dropped',
    f'{where} 8': 'bad_annotation',
    f'{where} 9': 'box_clipped',
    f'{labels}/stray.txt': 'unknown_image',
  }
  assert dataset.num_annotations == 2


def test_an_unreadable_image_is_left_out(tmp_path):
  labels, image_dir, names = _write(tmp_path, {'a': '0 0.5 0.5 0.5 0.5', 'b': '0 0.5 0.5 0.5 0.5'})
  (image_dir / 'b.jpg').write_bytes(b'no image')
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert [image['file_name'] for image in dataset.images] == ['a.jpg']
  assert dataset.problems.counts == {'image_unreadable': 1}


def test_class_names_come_from_classes_txt_or_are_asked_for(tmp_path):
  labels, image_dir, _ = _write(tmp_path, {'a': '1 0.5 0.5 0.5 0.5'})
  with pytest.raises(DataError, match=r'no classes\.txt'):
    yolo.read_yolo(labels, image_dir)
  (labels / 'classes.txt').write_text('cat\ndog\n')
  dataset = yolo.read_yolo(labels, image_dir)
  assert [(c['id'], c['name']) for c in dataset.categories] == [(0, 'cat'), (1, 'dog')]
  assert len(dataset.problems) == 0


def test_nothing_there_is_an_error(tmp_path):
  labels, image_dir, names = _write(tmp_path, {'a': None})
  with pytest.raises(DataError, match='no annotation at all'):
    formats.read_dataset('yolo', labels, image_dir, names)
  with pytest.raises(DataError, match='no such directory of label files'):
    formats.read_dataset('yolo', tmp_path / 'absent', image_dir, names)
  with pytest.raises(DataError, match='no image in it'):
    formats.read_dataset('yolo', labels, labels, names)


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_byte_order_marks(tmp_path, encoding):
  labels, image_dir, names = _write(tmp_path, {'a': None, 'b': '1 0.5 0.5 0.5 0.5'})
  (labels / 'a.txt').write_text('0 0.5 0.5 0.25 0.5\n1 0.5 0.5 0.5 0.5\n', encoding=encoding)
  names.write_text('names: [cat, dog]\n', encoding=encoding)
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert [item['category_id'] for item in dataset.annotations[1]] == [0, 1]
  assert [category['name'] for category in dataset.categories] == ['cat', 'dog']
  assert len(dataset.problems) == 0


def test_a_label_file_that_cannot_be_read_leaves_its_image_out(tmp_path):
  labels, image_dir, names = _write(tmp_path, {'a': None, 'b': '1 0.5 0.5 0.5 0.5'})
  (labels / 'a.txt').write_bytes(b'0 0.5 \xff 0.5')
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert [image['file_name'] for image in dataset.images] == ['b.jpg']
  (problem,) = dataset.problems
  assert (problem.kind, problem.where) == ('bad_label_file', f'{labels}/a.txt')


@pytest.mark.parametrize(
  ('line', 'remedy'),
  [
    ('0,0.5,0.5,0.25,0.25', 'separated by spaces'),
    ('0 0,5 0,5 0,25 0,25', 'with a decimal point'),
    ('cat 0.5 0.5 0.25 0.25', 'the class is its number'),
    ('0 0.5 0.5 0.25 0.25 0.93', 'confidence of a prediction'),
    ('0 0.5 0.5 0.25 0.25 0.4 0.4 2 0.5 0.5 2 0.6 0.6 2', 'data.yaml that has kpt_shape'),
  ],
)
def test_lines_of_another_form_come_with_the_remedy(tmp_path, line, remedy):
  labels, image_dir, names = _write(tmp_path, {'a': line, 'b': '1 0.5 0.5 0.5 0.5'})
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert [image['file_name'] for image in dataset.images] == ['b.jpg'], 'not kept as background'
  first = next(iter(dataset.problems))
  assert (first.kind, first.where) == ('bad_label_file', f'{labels}/a.txt line 1') and remedy in first.message
  (labels / 'b.txt').write_text(line)
  with pytest.raises(DataError, match=rf'none of the 2 images can be used:(.|\n)*a\.txt line 1: .*{remedy}'):
    formats.read_dataset('yolo', labels, image_dir, names)


@pytest.mark.parametrize(
  ('shape', 'tail'), [('[3, 3]', '0.45 0.45 2 0.5 0.5 2 0.55 0.55 2'), ('[3, 2]', '0.45 0.45 0.5 0.5 0.55 0.55')]
)
def test_of_a_pose_the_first_four_numbers_are_the_box(tmp_path, shape, tail):
  labels, image_dir, names = _write(
    tmp_path, {'a': f'0 0.5 0.5 0.25 0.5 {tail}\n1 0.5 0.5 0.25 0.5\n0 1 2 3 4 5 6 7 8'}
  )
  names.write_text(f'names: [cat, dog]\nkpt_shape: {shape}\n')
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert [item['bbox'] for item in dataset.annotations[1]] == [pytest.approx([18, 8, 12, 16])] * 2
  assert [problem.where for problem in dataset.problems] == [f'{labels}/a.txt line 3']


@pytest.mark.parametrize('split', ['', 'train'])
def test_the_root_of_a_data_set_leads_to_its_labels(tmp_path, split):
  _, image_dir, names = _write(tmp_path, {'train/a': '1 0.5 0.5 0.5 0.5', 'val/a': '0 0.5 0.5 0.5 0.5'})
  dataset = formats.read_dataset('yolo', tmp_path, image_dir / split, names)
  classes = [[item['category_id'] for item in items] for items in dataset.annotations.values()]
  assert classes == ([[1]] if split else [[1], [0]])
  assert dataset.problems.counts == {'label_directory_found': 1}


def test_label_files_of_no_image_are_named_in_the_error(tmp_path):
  labels, image_dir, names = _write(tmp_path, {'a': None})
  (labels / 'train').mkdir(parents=True)
  (labels / 'train' / 'a.txt').write_text('0 0.5 0.5 0.5 0.5')
  for allow_empty in (False, True):
    with pytest.raises(DataError, match=r'no annotation at all(.|\n)*train/a\.txt: no image of this name in'):
      formats.read_dataset('yolo', labels, image_dir, names, allow_empty=allow_empty)


def test_every_extension_that_can_be_decoded_counts(tmp_path):
  labels, image_dir, names = _write(tmp_path, {'a': '0 0.5 0.5 0.5 0.5'})
  for stem, extension, file_format in (
    ('b', '.gif', 'GIF'),
    ('c', '.jfif', 'JPEG'),
    ('d', '.JPE', 'JPEG'),
    ('e', '.mpo', 'MPO'),
  ):
    (image_dir / (stem + extension)).write_bytes(samples.encode(samples.pixels(), file_format))
    (labels / f'{stem}.txt').write_text('1 0.5 0.5 0.5 0.5')
  dataset = formats.read_dataset('yolo', labels, image_dir, names)
  assert dataset.num_annotations == 5 and len(dataset.problems) == 0
