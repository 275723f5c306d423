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

"""A data format is one module and a line: here a CSV file of boxes."""

import csv

import pytest
from PIL import Image

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.data.sources import coco, formats


def read(annotations, image_dir, categories=None, allow_empty=False):
  """Reads lines of `file, name, x, y, width, height`."""
  with open(annotations, newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  files = sorted({row['file'] for row in rows})
  names = sorted({row['name'] for row in rows})
  boxes = [[float(row[key]) for key in ('x', 'y', 'width', 'height')] for row in rows]
  value = {
    'images': [{'id': i, 'file_name': name, 'width': 64, 'height': 48} for i, name in enumerate(files, 1)],
    'categories': [{'id': i, 'name': name} for i, name in enumerate(names, 1)],
    'annotations': [
      {'id': i, 'image_id': files.index(row['file']) + 1, 'category_id': names.index(row['name']) + 1, 'bbox': box}
      for i, (row, box) in enumerate(zip(rows, boxes, strict=True), 1)
    ],
  }
  return coco.check_coco(value, str(annotations), allow_empty=allow_empty)


@pytest.fixture(name='csv_file')
def fixture_csv_file(tmp_path, monkeypatch):
  """Annotations of two images beside them, and the line that makes the format known."""
  monkeypatch.setitem(formats.FORMATS, 'csv', read)
  for name in ('a.jpg', 'b.jpg'):
    Image.new('RGB', (64, 48), 'gray').save(tmp_path / name)
  path = tmp_path / 'boxes.csv'
  path.write_text('file,name,x,y,width,height\na.jpg,cat,1,2,20,10\nb.jpg,dog,5,5,30,30\nb.jpg,cat,0,0,8,8\n')
  return path


def test_a_format_is_one_function_and_a_line(csv_file, tmp_path):
  dataset = formats.read_dataset('csv', csv_file, tmp_path)
  assert [category['name'] for category in dataset.categories] == ['cat', 'dog']
  manifest = tfrecord.write_tfrecords(dataset, tmp_path, tmp_path / 'records', num_shards=1)
  assert manifest.num_records == 2 and manifest.num_classes == 3


def test_other_formats_are_named(csv_file, tmp_path):
  with pytest.raises(ValueError, match=', '.join(formats.FORMATS)):
    formats.read_dataset('tsv', csv_file, tmp_path)
