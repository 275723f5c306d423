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
"""Data sets as tools export them, found without a flag and read alike."""

import unicodedata

import pytest

from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.dataset import format as format_lib
from nasfpn_tf.fit.dataset import reading
from tests.fit.dataset import layouts

A, B, C = range(1, 4), range(4, 6), range(6, 7)
DATA_YAML = 'names: [dog, cat]\nnc: 2\n'


def _coco_one(root):
  layouts.images(root / 'images', A)
  layouts.coco(root / 'annotations.json', A)
  return {'': A}


def _coco_splits(root):
  layouts.images(root / 'images', [*A, *B, *C])
  for name, numbers in (('train2017', A), ('val2017', B), ('test', C)):
    layouts.coco(root / 'annotations' / f'instances_{name}.json', numbers)
    layouts.coco(root / 'annotations' / f'person_keypoints_{name}.json', numbers)
  return {'train': A, 'val': B, 'test': C}


def _coco_same_names_in_every_split(root):
  for split, number in (('train', 1), ('val', 3)):
    layouts.write(root / split / 'p2.jpg', layouts.image(number))
    layouts.coco(root / f'{split}.json', [2])
  return {'train': [2], 'val': [2]}


def _coco_roboflow(root):
  for split, numbers in (('train', A), ('valid', B), ('test', C)):
    layouts.images(root / split, numbers)
    layouts.coco(root / split / '_annotations.coco.json', numbers)
  layouts.write(root / 'README.roboflow.txt', 'exported')
  return {'train': A, 'val': B, 'test': C}


def _coco_cvat(root):
  layouts.images(root / 'images' / 'default', A)
  layouts.coco(root / 'annotations' / 'instances_default.json', A)
  return {'': A}


def _coco_label_studio(root):
  layouts.images(root / 'images', A)
  layouts.coco(root / 'result.json', A, prefix='images\\')
  return {'': A}


def _voc_flat(root):
  layouts.images(root / 'JPEGImages', A)
  layouts.voc(root / 'Annotations', A)
  return {'': A}


def _voc_image_sets(root):
  layouts.images(root / 'VOC' / 'JPEGImages', [*A, *B])
  layouts.voc(root / 'VOC' / 'Annotations', [*A, *B])
  for name, numbers in (('train', A), ('val', B), ('trainval', [*A, *B])):
    layouts.write(root / 'VOC' / 'ImageSets' / 'Main' / f'{name}.txt', '\n'.join(f'p{n}' for n in numbers))
  return {'train': A, 'val': B}


def _voc_cvat(root):
  layouts.write(root / 'ImageSets' / 'Main' / 'default.txt', '\n'.join(f'p{n}' for n in A))
  return _voc_flat(root)


def _voc_roboflow(root):
  for split, numbers in (('train', A), ('valid', B)):
    layouts.images(root / split, numbers)
    layouts.voc(root / split, numbers)
  return {'train': A, 'val': B}


def _yolo_roboflow(root):
  layouts.write(root / 'data.yaml', f'train: ../train/images\nval: ../valid/images\ntest: ../test/images\n{DATA_YAML}')
  for split, numbers in (('train', A), ('valid', B)):
    layouts.images(root / split / 'images', numbers)
    layouts.yolo(root / split / 'labels', numbers)
  return {'train': A, 'val': B}


def _yolo_ultralytics(root):
  layouts.write(root / 'data.yaml', f'path: ../datasets/animals\ntrain: images/train\nval: images/val\n{DATA_YAML}')
  for split, numbers in (('train', A), ('val', B)):
    layouts.images(root / 'images' / split, numbers)
    layouts.yolo(root / 'labels' / split, numbers)
  return {'train': A, 'val': B}


def _yolo_lists(root):
  layouts.write(root / 'data.yaml', f'train: train.txt\nval: val.txt\n{DATA_YAML}')
  layouts.images(root / 'images', [*A, *B])
  layouts.yolo(root / 'labels', [*A, *B])
  for name, numbers in (('train', A), ('val', B)):
    layouts.write(root / f'{name}.txt', ''.join(f'./images/p{n}.jpg\n' for n in numbers))
  return {'train': A, 'val': B}


def _yolo_cvat(root):
  layouts.write(root / 'obj.names', 'dog\ncat\n')
  layouts.write(root / 'obj.data', 'classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n')
  layouts.write(root / 'train.txt', ''.join(f'data/obj_train_data/p{n}.jpg\n' for n in A))
  layouts.images(root / 'obj_train_data', A)
  layouts.yolo(root / 'obj_train_data', A)
  return {'train': A}


def _yolo_label_studio(root):
  layouts.write(root / 'classes.txt', 'dog\ncat\n')
  layouts.write(root / 'notes.json', '{"categories": [{"id": 0, "name": "dog"}], "info": {}}')
  layouts.images(root / 'images', A)
  layouts.yolo(root / 'labels', A)
  return {'': A}


def _yolo_roboflow_darknet(root):
  for split, numbers in (('train', A), ('valid', B)):
    layouts.images(root / split, numbers)
    layouts.yolo(root / split, numbers)
    layouts.write(root / split / '_darknet.labels', 'dog\ncat\n')
  return {'train': A, 'val': B}


def _yolo_images_apart(root):
  """CVAT's export without images, to which the user adds them."""
  layouts.write(root / 'obj.names', 'dog\ncat\n')
  layouts.images(root / 'photos', A)
  layouts.images(root / 'masks', A)
  layouts.yolo(root / 'obj_train_data', A)
  return {'train': A}


def _yolo_own_classes_in_every_folder(root):
  for split, numbers, names in (('train', A, 'dog\ncat'), ('val', B, 'cat\ndog')):
    layouts.images(root / split, numbers)
    layouts.yolo(root / split, numbers)
    layouts.write(root / split / 'classes.txt', names)
  for number in B:  # The same boxes by the other order of the classes.
    path = root / 'val' / f'p{number}.txt'
    path.write_text('\n'.join(f'{1 - int(line[0])}{line[1:]}' for line in path.read_text().splitlines()))
  return {'train': A, 'val': B}


def _yolo_capitals(root):
  layouts.write(root / 'Data.YAML', f'train: Train/Images\nval: Valid/Images\n{DATA_YAML}')
  for split, numbers in (('Train', A), ('Valid', B)):
    layouts.images(root / split / 'Images', numbers)
    layouts.yolo(root / split / 'Labels', numbers)
    for path in (root / split / 'Labels').iterdir():
      path.rename(path.with_suffix('.TXT'))
  return {'train': A, 'val': B}


def _voc_capitals(root):
  _voc_flat(root)
  for path in (root / 'Annotations').iterdir():
    path.rename(path.with_suffix('.XML'))
  return {'': A}


def _voc_cvat_subsets(root):
  _rename(root, _voc_image_sets(root), 'my {}', [('train', 'Train', '"my {}"\n'), ('val', 'Validation', '"my {}"\n')])
  return {'train': A, 'val': B}


def _voc_folders(root):
  """CVAT keeps the folders of the images; lists have them in front."""
  for split, numbers in (('train', A), ('val', B)):
    for number in numbers:
      layouts.images(root / 'JPEGImages' / f'd{number % 2}', [number])
      layouts.voc(root / 'Annotations' / f'd{number % 2}', [number])
    layouts.write(root / 'ImageSets' / 'Main' / f'{split}.txt', '\n'.join(f'd{n % 2}/p{n}' for n in numbers))
  return {'train': A, 'val': B}


def _rename(root, _, name, lists):
  """Gives the images and .xml files of `_voc_image_sets` another name, and the lists another name and form."""
  voc = root / 'VOC'
  for path in [*voc.glob('JPEGImages/*'), *voc.glob('Annotations/*')]:
    path.rename(path.with_stem(name.format(path.stem)))
  for path in voc.glob('Annotations/*'):
    path.write_text(path.read_text().replace('<filename>p', '<filename>my p'))
  for old, new, line in lists:
    path = voc / 'ImageSets' / 'Main' / f'{old}.txt'
    stems = path.read_text().split()
    path.unlink()
    layouts.write(path.with_stem(new), ''.join(line.format(stem) for stem in stems))


def _coco_label_studio_media(root):
  layouts.images(root / 'images', A)
  layouts.coco(root / 'result.json', A, prefix='../../label-studio/data/media/upload/1/')
  return {'': A}


LAYOUTS = {name[1:]: value for name, value in globals().items() if name.startswith(('_coco', '_voc', '_yolo'))}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_is_found_and_read_alike(layout, tmp_path):
  wanted = LAYOUTS[layout](tmp_path)
  parts = format_lib.find(tmp_path)
  dataset = reading.read(str(tmp_path), parts)
  assert dataset.format == layout.split('_')[0]
  assert {split: len(images) for split, images in dataset.splits.items()} == {s: len(n) for s, n in wanted.items()}
  names = {category['id']: category['name'] for category in dataset.categories}
  assert sorted(names.values()) == ['cat', 'dog']
  assert not dataset.problems.num_serious
  for split, numbers in wanted.items():
    images = dataset.splits[split]
    for name, size, items in zip(images.names, images.sizes, images.annotations, strict=True):
      number = int(name.rsplit('/', 1)[-1].removeprefix('my ')[1:-4])
      assert number in numbers and (tmp_path / name).is_file() and size == (layouts.WIDTH, layouts.HEIGHT)
      found = [(names[item['category_id']], item['bbox']) for item in items]
      assert found == [(layouts.NAMES[c], pytest.approx(box)) for c, box in layouts.boxes(number)]


@pytest.mark.parametrize('declared', ['gb2312', 'unicode', None])
def test_a_first_xml_file_in_another_encoding_does_not_hide_the_format(declared, tmp_path):
  layouts.images(tmp_path / 'images', range(2))
  layouts.voc(tmp_path / 'xml', range(2))
  first = tmp_path / 'xml' / 'p0.xml'
  head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else '<<'
  first.write_bytes((head + first.read_text().replace('dog', '猫')).encode('gb18030'))
  (part,) = format_lib.find(tmp_path)
  assert (part.format, part.annotations) == ('voc', str(tmp_path / 'xml'))


def test_folders_with_images_of_the_same_names_keep_their_own_boxes(tmp_path):
  for folder, numbers in (('d0', (1, 2)), ('d1', (2, 1))):
    for number, name in zip(numbers, (1, 2), strict=True):
      layouts.write(tmp_path / 'JPEGImages' / folder / f'p{name}.jpg', layouts.image(number))
      layouts.voc(tmp_path / 'Annotations' / folder, [name])
  assert [(part.annotations[-2:], part.image_dir[-2:]) for part in format_lib.find(tmp_path)] == [
    ('d0', 'd0'),
    ('d1', 'd1'),
  ]


@pytest.mark.parametrize('format', ['coco', 'voc', 'yolo'])
def test_names_in_another_form_of_unicode_are_found(format, tmp_path):
  layouts.images(tmp_path / 'images', A)
  for path in (tmp_path / 'images').iterdir():
    path.rename(path.with_stem(unicodedata.normalize('NFD', f'größe {path.stem}')))
  name = unicodedata.normalize('NFC', 'größe ')
  if format == 'coco':
    layouts.coco(tmp_path / 'a.json', A, prefix=name)
  else:
    getattr(layouts, format)(tmp_path / 'labels', A)
    for path in (tmp_path / 'labels').iterdir():
      path.rename(path.with_stem(name + path.stem))
      if format == 'voc':
        renamed = path.with_stem(name + path.stem)
        renamed.write_text(renamed.read_text().replace('<filename>', f'<filename>{name}'))
    layouts.write(tmp_path / 'classes.txt', 'dog\ncat\n')
  dataset = reading.read(str(tmp_path), format_lib.find(tmp_path))
  assert dataset.format == format and dataset.splits[''].num_boxes == 6


def test_images_of_a_split_are_those_of_its_folder(tmp_path):
  _coco_same_names_in_every_split(tmp_path)
  found = {part.split: part.image_dir for part in format_lib.find(tmp_path)}
  assert found == {'train': str(tmp_path / 'train'), 'val': str(tmp_path / 'val')}


def _refuse(tmp_path, *words, format=None):
  with pytest.raises(DataError) as caught:
    format_lib.find(tmp_path, format)
  message = str(caught.value)
  assert str(tmp_path) in message and '\n' not in message
  for word in words:
    assert word in message, message


def test_what_cannot_be_used_is_named(tmp_path):
  _refuse(tmp_path, 'empty')
  layouts.write(tmp_path / 'notes.md', 'nothing')
  _refuse(tmp_path, 'no image')
  layouts.write(tmp_path / 'set.zip', 'PK')
  _refuse(tmp_path, 'no image', 'set.zip', 'unpack')
  _refuse(tmp_path / 'set.zip', 'is an archive; unpack')
  (tmp_path / 'set.zip').rename(tmp_path / 'a.tfrecord')
  _refuse(tmp_path, 'no image', 'a.tfrecord', 'plan.py')
  layouts.images(tmp_path / 'images', A)
  _refuse(tmp_path, '3 images and no annotations', 'COCO', 'CVAT')
  layouts.yolo(tmp_path / 'labels', A)
  _refuse(tmp_path, 'p1.txt looks like YOLO', 'data.yaml')
  _refuse(tmp_path / 'notes.md', 'is a file')
  _refuse(tmp_path / 'missing', 'no such directory')


@pytest.mark.parametrize(
  'name, content, words',
  [
    ('a.json', '{"images": [', 'is not JSON'),
    ('a.json', '{"images": [], "categories": []}', 'without a list of annotations'),
    ('a.json', '[{"id": 1, "data": {"image": "p1.jpg"}, "annotations": []}]', 'Label Studio'),
    ('a.json', '{"shapes": [], "imagePath": "p1.jpg"}', 'LabelMe'),
    ('a.xml', '<annotations><image id="0"/></annotations>', 'CVAT'),
    ('a.xml', '<annotation>', 'no image of the same name'),
    ('data.yaml', DATA_YAML, 'labels/'),
    ('_annotations.csv', 'filename,class,xmin,ymin,xmax,ymax\n', 'is a table'),
    ('_annotations.txt', 'p1.jpg 1,2,20,22,0\n', 'is a table'),
    ('p1.txt', 'Car 0.00 0 -1.58 587.01 173.33\n', 'is no YOLO label file'),
    ('export.zip', 'PK', 'unpack it'),
    ('a.json', '[{"image": "p1.jpg", "annotations": []}]', 'CreateML'),
    ('a.json', '[{"image": "/data/upload/p1.jpg", "id": 1, "label": []}]', 'Label Studio'),
    ('a.json', '{"p1.jpg12": {"filename": "p1.jpg", "regions": []}}', 'VGG Image Annotator'),
    ('p1.jpg.json', '{"size": {"height": 1, "width": 1}, "objects": []}', 'Supervisely'),
    ('a.json', '{"categories": {}, "items": []}', 'Datumaro'),
  ],
)
def test_what_is_there_instead_is_named(name, content, words, tmp_path):
  layouts.images(tmp_path / 'images', A)
  layouts.write(tmp_path / name, content)
  _refuse(tmp_path, name.removesuffix('.xml'), words)


@pytest.mark.parametrize(
  'content, words',
  [
    (
      'a: &a [x,x,x,x,x,x,x,x,x,x,x,x]\n'
      + ''.join(f'{b}: &{b} [{",".join([f"*{a}"] * 12)}]\n' for a, b in zip('abcdef', 'bcdefg', strict=True))
      + 'names: *g\n',
      'aliases add more than',
    ),
    ('names: [cat]\nmade: 2024-13-45\n', 'a date'),
    ('names: [[' + '[' * 5000, 'nested deeper'),
    ('names: [cat]\nnames: [dog]\n', 'given twice'),
  ],
)
def test_a_hostile_data_yaml_is_named(content, words, tmp_path):
  layouts.images(tmp_path / 'images', A)
  layouts.yolo(tmp_path / 'labels', A)
  layouts.write(tmp_path / 'data.yaml', content)
  _refuse(tmp_path, 'data.yaml: cannot be read', words)


def test_a_missing_folder_of_images_is_named(tmp_path):
  layouts.images(tmp_path / 'images', A)
  layouts.coco(tmp_path / 'instances_train.json', range(70, 80))
  _refuse(tmp_path, 'instances_train.json', 'lists 10 images, such as p70.jpg')


def test_two_formats_are_refused_until_one_is_chosen(tmp_path):
  _voc_flat(tmp_path)
  layouts.coco(tmp_path / 'all.json', A)
  _refuse(tmp_path, 'coco (all.json)', 'voc (Annotations)', '--format=coco')
  assert [part.format for part in format_lib.find(tmp_path, 'voc')] == ['voc']
  _refuse(tmp_path, 'no annotations in the format yolo', format='yolo')
