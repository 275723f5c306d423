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

"""Tests of the data set's report."""

from html.parser import HTMLParser

from nasfpn_tf.report import dataset

_SUMMARY = {
  'input_path': 'records/<train>-*',
  'files': 2,
  'images': {
    'count': 3,
    'empty': 1,
    'height': [32.0] * 7,
    'width': [48.0] * 7,
    'boxes': [0.0, 0, 0, 2, 3, 3, 3],
    'max_boxes': 100,
    'over_max_boxes': 0,
  },
  'boxes': {
    'count': 5,
    'crowd': 1,
    'small': 4,
    'medium': 1,
    'large': 0,
    'side': [4.0, 5, 6, 7, 8, 9, 10],
    'aspect_ratio': [0.5] * 7,
  },
  'classes': [
    {'label': 1, 'id': 3, 'name': 'cat', 'boxes': 5, 'images': 2},
    {'label': 2, 'id': 8, 'name': 'a & b', 'boxes': 0, 'images': 0},
  ],
  'anchors': {
    'input_size': [64, 96],
    'match_threshold': 0.5,
    'covered': {'all': 0.6, 'small': 0.5, 'medium': 1.0, 'large': None},
    'best_iou': [0.1] * 7,
  },
  'problems': {},
}


def test_text_says_it_all():
  text = dataset.text([_SUMMARY])
  for part in (
    'records/<train>-*: 3 images in 2 files',
    '5, and 1 crowds',
    '4 (80.0 %) / 1 (20.0 %) / 0 (0.0 %)',
    '1 of 2: a & b',
    'boxes with an anchor at 64x96    all 60.0 %, small 50.0 %, medium 100.0 %, large - (IoU >= 0.5)',
    'No problem was found.',
  ):
    assert part in text
  assert 'No problem' not in dataset.text([_SUMMARY], ['  1 leak'])


def test_text_without_anchors_or_boxes():
  boxes = {'count': 0, 'crowd': 0, 'small': 0, 'medium': 0, 'large': 0, 'side': [], 'aspect_ratio': []}
  text = dataset.text([{**_SUMMARY, 'anchors': None, 'boxes': boxes}])
  assert 'anchor' not in text
  assert '0 (-) / 0 (-) / 0 (-)' in text


def test_html_is_whole_and_escaped():
  html = dataset.html([_SUMMARY, _SUMMARY], ['<script>: bad'])
  opened = []

  class Parser(HTMLParser):
    def handle_starttag(self, tag, attrs):
      if tag not in ('meta', 'br'):
        opened.append(tag)

    def handle_endtag(self, tag):
      assert opened.pop() == tag

  parser = Parser()
  parser.feed(html)
  assert opened == []
  assert '<script>' not in html
  assert 'a &amp; b' in html
  assert html.count('width:100.0%') == 2
