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

"""The report of a detector: what it says, and that one file is all of it."""

import dataclasses
import html.parser

import pytest
from PIL import Image

from nasfpn_tf import topology
from nasfpn_tf.report import curves, detector
from nasfpn_tf.report.overlays import Box

_VOID = {'meta', 'input', 'br', 'hr', 'img', 'link'}


class _Checker(html.parser.HTMLParser):
  """Counts elements, collects text and what is loaded, and sees that every element is closed in order."""

  def __init__(self):
    super().__init__()
    self.open, self.count, self.loaded, self.text = [], {}, [], []

  def handle_starttag(self, tag, attrs):
    self.count[tag] = self.count.get(tag, 0) + 1
    self.loaded += [value for key, value in attrs if key in ('src', 'href', 'xlink:href')]
    if tag not in _VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in _VOID:
      self.open.pop()

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text.append(data)


def _metrics(ap):
  return {'AP': ap, 'AP50': 0.8, 'AP75': 0.7, 'APs': 0.4, 'APm': 0.6, 'APl': -1.0, 'AP/<one>': 0.5, 'AP/two': 0.75}


@pytest.fixture
def report(tmp_path):
  shown = []
  for n in range(3):
    Image.new('RGB', (64, 48), (40 * n, 90, 90)).save(tmp_path / f'{n}.jpg')
    shown.append(detector.Image(f'{n}.jpg', tmp_path / f'{n}.jpg', [Box((4, 4, 20, 30), 'one')]))
  found = {'0.jpg': [Box((5, 4, 20, 30), 'one', 0.7)], '1.jpg': [Box((40, 4, 20, 30), 'one', 0.6)]}
  return detector.DetectorReport(
    title='Digits & more',
    lead='A detector.',
    forms=[
      detector.Form('Keras', _metrics(0.6312), 2_500_000, None, found),
      detector.Form('TFLite float', _metrics(0.63), 2_000_000, 20.0, found),
      detector.Form('TFLite int8', _metrics(0.62), 80_000, 11.0, {}),
    ],
    baseline='TFLite float',
    images=shown,
    score_threshold=0.3,
    latency_note='Latency: the median of 50 images.',
    loss=[curves.Series('loss', [1, 2, 3], [3.0, 2.0, 1.0], smoothing=0.5)],
    accuracy=[curves.Series('AP', [1, 2], [0.1, 0.6])],
    topology=topology.svg(topology.get('nas_fpn')),
    topology_note='Seven cells.',
    steps=[('Training', 471.2, '3000 steps'), ('Pictures', 9.44, '100 images')],
    settings='a: <b>',
    commands=[('All of it', 'run.sh'), ('Train', 'train.py --model_dir="a b"')],
    environment={'Python': '3.11'},
  )


def test_is_one_well_formed_file(report):
  checker = _Checker()
  checker.feed(detector.render(report))
  assert checker.open == []
  assert 'script' not in checker.count and 'link' not in checker.count
  assert all(reference.startswith(('data:', '#')) for reference in checker.loaded)
  assert checker.count['image'] == 3  # Every image is embedded once ...
  assert checker.count['use'] >= 3 * (1 + 3)  # ... and shown with the ground truth and with every form's boxes.


def test_says_the_figures(report):
  checker = _Checker()
  page = detector.render(report)
  checker.feed(page)
  text = ' '.join(checker.text)
  for figure in (
    '63.1',
    '2.50 MB',
    '80.0 kB',
    '20.0 ms',
    '11.0 ms',
    '0.55',
    '0.04',
    '7 min 51 s',
    '9.4 s',
    '3000 steps',
  ):
    assert figure in text, figure
  for words in ('Digits & more', '<one>', 'a: <b>', '"a b"', 'median of 50', 'run.sh', 'Seven cells.'):
    assert words in text, words
  assert page.count('class="b-truth"') == 3
  assert page.count('class="b-good"') == 2 and page.count('class="b-bad"') == 2
  assert page.count('class="b-missed"') == 2 + 2 + 3


def test_parts_without_data_are_left_out(report):
  metrics = {name: value for name, value in _metrics(0.5).items() if '/' not in name}
  bare = dataclasses.replace(
    report, forms=[detector.Form('Keras', metrics, 1, None, {})], baseline='Keras', images=[], loss=[], accuracy=[]
  )
  page = detector.render(bare)
  for heading in ('Ground truth beside', 'AP of every category', '<h2>Training'):
    assert heading not in page
    assert heading in detector.render(report)


def test_refuses_what_it_cannot_show(report):
  with pytest.raises(ValueError, match="'PyTorch' is not among"):
    dataclasses.replace(report, baseline='PyTorch')
  with pytest.raises(ValueError, match='1 to 6 forms'):
    dataclasses.replace(report, forms=[])
