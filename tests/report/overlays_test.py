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

"""Annotated images."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from nasfpn_tf.report import overlays
from nasfpn_tf.report.overlays import Box


@pytest.mark.parametrize(
  'a,b,expected',
  [
    ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
    ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
    ((0, 0, 10, 10), (10, 0, 5, 5), 0.0),
    ((0, 0, 10, 10), (30, 30, 5, 5), 0.0),
    ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
  ],
)
def test_iou(a, b, expected):
  assert overlays.iou(a, b) == pytest.approx(expected)


def test_judges_as_coco_matches():
  truth = [Box((0, 0, 10, 10), 'cat'), Box((20, 0, 10, 10), 'cat'), Box((0, 40, 10, 10), 'dog')]
  predictions = [
    Box((1, 0, 10, 10), 'cat', 0.5),  # A second box on the first cat: the more confident one took it.
    Box((0, 0, 10, 10), 'cat', 0.9),
    Box((0, 40, 10, 10), 'cat', 0.8),  # In the right place, of the wrong category.
    Box((21, 0, 10, 10), 'cat', 0.4),
  ]
  judged = [(box.name, box.score, box.kind) for box in overlays.judge(truth, predictions)]
  assert judged == [
    ('cat', 0.9, 'good'),
    ('cat', 0.8, 'bad'),
    ('cat', 0.5, 'bad'),
    ('cat', 0.4, 'good'),
    ('dog', None, 'missed'),
  ]


def test_nothing_predicted_misses_everything():
  truth = [Box((0, 0, 10, 10), 'cat')]
  assert [box.kind for box in overlays.judge(truth, [])] == ['missed']
  assert overlays.judge([], []) == []


def test_embeds_a_scaled_jpeg_and_says_the_original_size(tmp_path):
  Image.new('L', (300, 100), 128).save(tmp_path / 'grey.png')
  symbol, size = overlays.embed(tmp_path / 'grey.png', 'p1', max_side=60)
  assert size == (300, 100)
  data = re.search(r'data:image/jpeg;base64,([^"]+)"', symbol).group(1)
  with Image.open(io.BytesIO(base64.b64decode(data))) as embedded:
    assert embedded.size == (60, 20) and embedded.mode == 'RGB'


def test_a_turned_image_is_turned_back(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # Turned by 90 degrees.
  Image.new('RGB', (40, 20)).save(tmp_path / 'turned.jpg', exif=exif)
  _, size = overlays.embed(tmp_path / 'turned.jpg', 'p1')
  assert size == (20, 40)


def test_panel_draws_boxes_where_they_are():
  boxes = [Box((12, 30, 20, 40), '<7>', 0.876, 'good'), Box((90, 0, 10, 10), 'platelets', None, 'missed')]
  svg = ElementTree.fromstring(overlays.panel('p1', (100, 100), boxes, 'a & b'))
  rects = [element.attrib for element in svg.iter('rect')]
  assert [(r['class'], r['x'], r['y'], r['width'], r['height']) for r in rects] == [
    ('b-good', '12.0', '30.0', '20.0', '40.0'),
    ('b-missed', '90.0', '0.0', '10.0', '10.0'),
  ]
  texts = list(svg.iter('text'))
  assert [text.text for text in texts] == ['<7> .87', 'platelets']
  for text in texts:
    assert 0 <= float(text.get('x')) < 100 and 0 < float(text.get('y')) < 100


def test_crowds_are_not_shown():
  annotations = [{'bbox': [1, 2, 3, 4], 'category_id': 5}, {'bbox': [0, 0, 9, 9], 'category_id': 5, 'iscrowd': 1}]
  assert overlays.boxes_of(annotations, {5: 'five'}) == [Box((1, 2, 3, 4), 'five')]
