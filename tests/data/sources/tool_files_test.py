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

"""What systems and tools leave among a user's files, and names in another form of Unicode, in all three readers."""

import io
import json
import unicodedata
import zlib

import pytest
from PIL import Image

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.data.sources import formats, images

_NAME = 'café'
_FORMS = [('NFC', 'NFD'), ('NFD', 'NFC')]


def encoded(file_format='JPEG', **options):
  buffer = io.BytesIO()
  Image.new('RGB', (40, 30), (90, 20, 10)).save(buffer, file_format, **options)
  return buffer.getvalue()


def write(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content if isinstance(content, bytes) else content.encode())


def data_set(root, file_format, stem, listed, extension='.jpg'):
  """One image `stem` with one box, which the annotations call `listed`."""
  write(root / 'images' / f'{stem}{extension}', encoded())
  if file_format == 'coco':
    box = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [4, 4, 20, 16], 'area': 320, 'iscrowd': 0}
    image = {'id': 1, 'file_name': f'{listed}{extension}', 'width': 40, 'height': 30}
    value = {'images': [image], 'annotations': [box], 'categories': [{'id': 1, 'name': 'cat'}]}
    write(root / 'a.json', json.dumps(value))
    return root / 'a.json'
  if file_format == 'voc':
    corners = '<xmin>5</xmin><ymin>5</ymin><xmax>24</xmax><ymax>20</ymax>'
    size = '<size><width>40</width><height>30</height></size>'
    text = f'<annotation>{size}<object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>'
    write(root / 'labels' / f'{listed}.xml', text)
  else:
    write(root / 'labels' / f'{listed}.txt', '0 0.35 0.4 0.5 0.5')
    write(root / 'labels' / 'classes.txt', 'cat\n')
  return root / 'labels'


def read(root, file_format, annotations):
  return formats.read_dataset(file_format, str(annotations), str(root / 'images'), None)


@pytest.mark.parametrize('file_format', ['coco', 'voc', 'yolo'])
@pytest.mark.parametrize(('on_disk', 'listed'), _FORMS)
def test_a_name_in_another_form_of_unicode_is_found(tmp_path, file_format, on_disk, listed):
  stem = unicodedata.normalize(on_disk, _NAME)
  annotations = data_set(tmp_path, file_format, stem, unicodedata.normalize(listed, _NAME))
  dataset = read(tmp_path, file_format, annotations)
  (image,) = dataset.images
  assert image['file_name'] == f'{stem}.jpg'
  assert len(dataset.annotations[image['id']]) == 1
  manifest = tfrecord.write_tfrecords(dataset, tmp_path / 'images', tmp_path / 'x', 1, progress=False)
  assert manifest.num_records == 1


@pytest.mark.parametrize('file_format', ['voc', 'yolo'])
def test_files_of_tools_are_no_images_and_no_labels(tmp_path, file_format):
  annotations = data_set(tmp_path, file_format, '1', '1')
  for name in (
    '._1.jpg',
    '.ipynb_checkpoints/1-checkpoint.jpg',
    '__MACOSX/1.jpg',
    '@eaDir/1.jpg/THUMB.jpg',
    '.hidden.png',
  ):
    write(tmp_path / 'images' / name, encoded())
  end = {'voc': '.xml', 'yolo': '.txt'}[file_format]
  write(tmp_path / 'labels' / f'._1{end}', b'\0\5\26\7')
  write(tmp_path / 'labels' / '.ipynb_checkpoints' / f'1-checkpoint{end}', '0 0.5 0.5 0.1 0.1')
  dataset = read(tmp_path, file_format, annotations)
  assert [image['file_name'] for image in dataset.images] == ['1.jpg']
  assert not dataset.problems.counts


@pytest.mark.parametrize('extension', ['.JPG', '.jpe', '.jfif', '.mpo', '.webp', '.tif', '.bmp', '.gif', '.PNG'])
@pytest.mark.parametrize('file_format', ['voc', 'yolo'])
def test_every_extension_of_an_image_counts(tmp_path, file_format, extension):
  annotations = data_set(tmp_path, file_format, '1', '1', extension)
  dataset = read(tmp_path, file_format, annotations)
  assert [image['file_name'] for image in dataset.images] == [f'1{extension}']


@pytest.mark.parametrize('file_format', ['GIF', 'WEBP', 'PNG', 'TIFF'])
def test_of_an_animation_the_first_frame_counts(file_format):
  frames = [Image.new('RGB', (40, 30), color) for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
  buffer = io.BytesIO()
  frames[0].save(buffer, file_format, save_all=True, append_images=frames[1:])
  result = images.encode(buffer.getvalue(), 40, 30)
  red, green, _ = Image.open(io.BytesIO(result.data)).convert('RGB').getpixel((20, 15))
  assert red > 180 and green < 30 and result.format in ('jpeg', 'png')


def test_an_image_of_too_many_pixels_is_left_out_and_listed(tmp_path):
  """A small file whose header announces 400 million pixels: nothing is decoded."""
  annotations = data_set(tmp_path, 'coco', '1', '1')
  value = json.loads(annotations.read_text())
  huge = bytearray(encoded('PNG'))
  huge[16:24] = (20000).to_bytes(4, 'big') * 2
  huge[29:33] = zlib.crc32(bytes(huge[12:29])).to_bytes(4, 'big')
  write(tmp_path / 'images' / 'huge.png', bytes(huge))
  value['images'].append({'id': 2, 'file_name': 'huge.png', 'width': 20000, 'height': 20000})
  write(annotations, json.dumps(value))
  dataset = read(tmp_path, 'coco', annotations)
  manifest = tfrecord.write_tfrecords(dataset, tmp_path / 'images', tmp_path / 'x', 1, progress=False)
  assert manifest.num_records == 1
  assert '400 million pixels, more than the 179 million that are read' in (tmp_path / 'x.problems.txt').read_text()
