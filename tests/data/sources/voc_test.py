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

"""Tests of reading Pascal VOC."""

import pytest

from nasfpn_tf.data.sources import formats, voc
from nasfpn_tf.data.sources.problems import DataError
from tests.data import samples

_OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def _object(name='dog', box=(1, 1, 10, 20), difficult=0):
  return _OBJECT.format(name=name, box=box, difficult=difficult)


def _write(root, files, extension='.jpg'):
  """A VOC tree; `files` gives the objects of each image, None for an image without annotation."""
  (root / 'Annotations').mkdir(parents=True)
  (root / 'JPEGImages').mkdir()
  for stem, objects in files.items():
    (root / 'JPEGImages' / (stem + extension)).write_bytes(samples.encode(samples.pixels()))
    if objects is not None:
      (root / 'Annotations' / f'{stem}.xml').write_text(
        f'<annotation><filename>{stem}</filename><size><width>48</width><height>32</height><depth>3</depth></size>'
        f'{"".join(objects)}</annotation>'
      )
  return root / 'Annotations', root / 'JPEGImages'


def test_corners_count_from_one_and_both_are_included(tmp_path):
  annotations, image_dir = _write(
    tmp_path, {'a': [_object(box=(1, 1, 48, 32)), _object('cat', (3, 4, 3, 5), 1)], 'b': []}
  )
  dataset = formats.read_dataset('voc', annotations, image_dir)
  assert len(dataset.problems) == 0
  assert [(c['id'], c['name']) for c in dataset.categories] == [(1, 'cat'), (2, 'dog')]
  assert [image['file_name'] for image in dataset.images] == ['a.jpg', 'b.jpg']
  whole, difficult = dataset.annotations[1]
  assert (whole['bbox'], whole['category_id'], whole['iscrowd']) == ([0, 0, 48, 32], 2, 0)
  assert (difficult['bbox'], difficult['category_id'], difficult['iscrowd']) == ([2, 3, 1, 2], 1, 1)
  assert dataset.annotations[2] == []


def test_a_list_of_names_selects_and_labels_are_those_of_the_whole_directory(tmp_path):
  _, image_dir = _write(tmp_path, {'a': [_object('zebra')], 'b': [_object('ant')], 'c': [_object('bee')]})
  (tmp_path / 'ImageSets' / 'Main').mkdir(parents=True)
  names = tmp_path / 'ImageSets' / 'Main' / 'train.txt'
  names.write_text('c\na -1\n')
  dataset = voc.read_voc(names, image_dir)
  assert [image['file_name'] for image in dataset.images] == ['c.jpg', 'a.jpg']
  assert [c['name'] for c in dataset.categories] == ['ant', 'bee', 'zebra']


def test_class_names_may_be_given(tmp_path):
  annotations, image_dir = _write(tmp_path, {'a': [_object('dog'), _object('cow')]})
  (tmp_path / 'names.txt').write_text('dog\ncat\n')
  dataset = formats.read_dataset('voc', annotations, image_dir, tmp_path / 'names.txt')
  assert [c['name'] for c in dataset.categories] == ['dog', 'cat']
  assert dataset.problems.counts == {'unknown_category': 1}
  assert next(iter(dataset.problems)).where == f'{annotations}/a.xml object 2'


def test_bad_files_and_objects_are_named(tmp_path):
  annotations, image_dir = _write(
    tmp_path, {'a': [_object(), _object(box=('x', 1, 2, 3)), _object(box=(9, 9, 4, 20)), '<object/>'], 'b': [_object()]}
  )
  (annotations / 'b.xml').write_text('<annotation><size>')
  dataset = voc.read_voc(annotations, image_dir)
  assert dataset.num_annotations == 1
  assert {problem.where: problem.kind for problem in dataset.problems} == {
    f'{annotations}/a.xml object 2': 'bad_annotation',
    f'{annotations}/a.xml object 3': 'box_dropped',
    f'{annotations}/a.xml object 4': 'unknown_category',
    f'{annotations}/b.xml': 'bad_label_file',
  }


def test_missing_size_is_read_from_the_image(tmp_path):
  annotations, image_dir = _write(tmp_path, {'a': [_object()]}, extension='.png')
  path = annotations / 'a.xml'
  path.write_text(path.read_text().replace('<width>48</width>', '<width>0</width>'))
  dataset = voc.read_voc(annotations, image_dir)
  assert dataset.problems.counts == {'image_size_filled': 1}
  assert dataset.images == ({'id': 1, 'file_name': 'a.png', 'width': 48, 'height': 32},)


def test_nothing_there_is_an_error(tmp_path):
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'names.txt').write_text('a\n')
  wrong = {'empty': r'no \.xml file', 'absent': 'neither a directory', 'names.txt': 'no directory'}
  for annotations, message in wrong.items():
    with pytest.raises(DataError, match=message):
      voc.read_voc(tmp_path / annotations, tmp_path)
  with pytest.raises(DataError, match='no such directory of images'):
    formats.read_dataset('voc', tmp_path / 'empty', tmp_path / 'absent')


def test_a_list_may_name_the_images(tmp_path):
  _, image_dir = _write(tmp_path, {'a': [_object()], 'b.v2': [_object()], 'c': [_object()]})
  (tmp_path / 'ImageSets' / 'Main').mkdir(parents=True)
  names = tmp_path / 'ImageSets' / 'Main' / 'train.txt'
  names.write_text('JPEGImages/a.jpg\nb.v2.jpg\nabsent.jpg\n')
  dataset = voc.read_voc(names, image_dir)
  assert [image['file_name'] for image in dataset.images] == ['a.jpg', 'b.v2.jpg']
  assert [problem.where for problem in dataset.problems] == [f'{tmp_path}/Annotations/absent.jpg.xml']


@pytest.mark.parametrize(
  ('encoding', 'written'), [('gb2312', 'gb18030'), ('GBK', 'gbk'), ('Shift_JIS', 'shift_jis'), ('utf-8', 'utf-8-sig')]
)
def test_declared_encodings_are_read(tmp_path, encoding, written):
  annotations, image_dir = _write(tmp_path, {'a': [_object('猫')]})
  path = annotations / 'a.xml'
  text = f'<?xml version="1.0" encoding="{encoding}"?>\n{path.read_text(encoding="utf-8")}'
  path.write_bytes(text.encode(written))
  assert [c['name'] for c in voc.read_voc(annotations, image_dir).categories] == ['猫']


@pytest.mark.parametrize('declaration', ['encoding="Unicode"', 'encoding="ascii"', 'encoding="shift_jis"'])
def test_an_unknown_or_wrong_encoding_leaves_the_image_out(tmp_path, declaration):
  annotations, image_dir = _write(tmp_path, {'a': [_object()], 'b': [_object()]})
  (annotations / 'a.xml').write_bytes(f'<?xml version="1.0" {declaration}?><annotation/>'.encode() + b'\xff\xff')
  dataset = voc.read_voc(annotations, image_dir)
  assert [image['file_name'] for image in dataset.images] == ['b.jpg']
  assert [(p.kind, p.where) for p in dataset.problems] == [('bad_label_file', f'{annotations}/a.xml')]


def test_a_file_that_names_another_image_is_noted(tmp_path):
  annotations, image_dir = _write(tmp_path, {'a': [_object()], 'b': [_object('cat')]})
  for stem, other in (('a', 'b'), ('b', 'a')):
    path = annotations / f'{stem}.xml'
    path.write_text(path.read_text().replace(f'<filename>{stem}<', f'<filename>{other}.jpg<'))
  dataset = voc.read_voc(annotations, image_dir)
  assert dataset.problems.counts == {'image_name_differs': 2}
  assert [image['file_name'] for image in dataset.images] == ['b.jpg', 'a.jpg']


@pytest.mark.parametrize(('text', 'crowd'), [('1', 1), ('true', 1), ('True', 1), ('0', 0), ('false', 0), ('', 0)])
def test_difficult_as_tools_write_it(tmp_path, text, crowd):
  annotations, image_dir = _write(tmp_path, {'a': [_object(difficult=text)]})
  assert voc.read_voc(annotations, image_dir).annotations[1][0]['iscrowd'] == crowd


def test_an_absurd_size_is_read_from_the_image(tmp_path):
  annotations, image_dir = _write(tmp_path, {'a': [_object()]})
  path = annotations / 'a.xml'
  path.write_text(path.read_text().replace('<width>48<', f'<width>{"9" * 5000}<'))
  assert voc.read_voc(annotations, image_dir).images[0]['width'] == 48


def test_the_readers_own_problems_are_in_the_error(tmp_path):
  annotations, image_dir = _write(tmp_path, {'a': [_object()]})
  (annotations / 'a.xml').write_text('<annotation>')
  with pytest.raises(DataError, match=r'none of its 1 images can be used:(.|\n)*a\.xml: not XML'):
    voc.read_voc(annotations, image_dir, [{'id': 1, 'name': 'dog'}])


def test_the_root_of_a_data_set_leads_to_its_annotations(tmp_path):
  _, image_dir = _write(tmp_path, {'a': [_object()]})
  dataset = voc.read_voc(tmp_path, image_dir)
  assert dataset.num_annotations == 1
  assert dataset.problems.counts == {'label_directory_found': 1}
