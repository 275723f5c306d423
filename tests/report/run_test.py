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


import io

from PIL import Image

from nasfpn_tf.report import curves, overlays, run


def test_a_page_shows_where_a_detector_goes_wrong():
  buffer = io.BytesIO()
  Image.new('RGB', (40, 30), 'green').save(buffer, 'JPEG')
  truth = [overlays.Box((1, 2, 10, 10), 'cat <b>')]
  image = run.Image('a<1>.jpg', buffer.getvalue(), truth, [overlays.Box((20, 2, 9, 9), 'dog', 0.7)], 0.0)
  html = run.render(
    run.RunReport(
      title='Training of x & y',
      lead='resnet',
      metrics={'AP': 0.5, 'AP50': 0.75, 'APl': -1.0},
      per_category={'cat <b>': 0.5},
      loss=[curves.Series('total loss', [1, 2], [3.0, 2.0])],
      accuracy=[],
      recall=[0.0, 0.5, 1.0],
      precision={'IoU 0.50': [1.0, 0.5, 0.0]},
      precision_of={'cat <b>': [1.0, 0.5, 0.0]},
      confusion_names=['cat <b>', 'nothing'],
      confusion=[[3, 1], [2, 0]],
      best=[],
      worst=[image],
      score_threshold=0.3,
      training_images=buffer.getvalue(),
      starts=[('2026-01-01', 'train from step 0', 'train.py --model_dir=<x>')],
      environment={'python': '3.11'},
      settings='task: {}',
    )
  )
  for text in (
    'Training of x &amp; y',
    '50.0',
    'The worst images',
    'a&lt;1&gt;.jpg',
    'b-missed',
    'b-bad',
    'cat &lt;b&gt;',
  ):
    assert text in html, text
  assert 'cat <b>' not in html and 'The best images' not in html
  assert 'http://' not in html.replace('http://www.w3.org', '') and 'https://' not in html
