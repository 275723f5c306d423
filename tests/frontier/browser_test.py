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

"""The script of a frontier's page, in a headless Chromium: choosing a cost, pointing at a model, sorting a table."""

import json
import re
import shutil
import subprocess

import pytest

from nasfpn_tf.frontier import documents, published
from tests.frontier.samples import sample

_BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
_RECORDS = [
  sample(name='fpn', family='FPNLite', ap=0.50, ms=9.0),
  sample(name='nas_fpn', ap=0.55, ms=10.0),
  sample(name='nas_fpn_int8', ap=0.54, ms=5.0, size_bytes=2_500_000, quantization='int8', digest='int8'),
  sample(name='nas_fpn', ap=0.55, ms=40.0, device='phone', threads=4),
]
_OTHERS = [published.Published('theirs', 0.24, 'val', 2.16, 0.7, 113.0, 'Pixel 1', 'paper', 'https://example.org')]
# Does what a reader does, and notes what the page then shows.
_READER = """
<script>
(() => {
  const $ = id => document.getElementById(id);
  const views = () => [...document.querySelectorAll('[data-view]:not([hidden])')].map(view => view.dataset.view);
  const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event('change')); };
  const noted = { settings: [...$('setting').options].map(option => option.value), first: views() };
  set('setting', noted.settings[1]);
  noted.other_setting = views();
  set('axis', 'size_mb');
  noted.size = views();
  noted.setting_is_hidden = $('setting').parentElement.hidden;
  set('axis', 'multiply_adds_g');
  $('published').click();
  noted.published = views();
  $('published').click();
  set('axis', 'latency_ms');
  set('setting', noted.settings[0]);
  const mark = document.querySelector('[data-view]:not([hidden]) [data-model="fpn"]');
  mark.dispatchEvent(new Event('pointerenter'));
  noted.tip = [...$('tip').children].map(line => line.textContent);
  noted.tip_is_shown = $('tip').style.display;
  noted.chosen = [...new Set([...document.querySelectorAll('.chosen')].map(node => node.dataset.model))];
  mark.dispatchEvent(new Event('pointerleave'));
  noted.tip_afterwards = $('tip').style.display;
  noted.chosen_afterwards = document.querySelectorAll('.chosen').length;
  const table = document.querySelector('table.sortable');
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex(head => head.textContent.trim() === 'AP');
  const values = () => [...table.tBodies[0].rows].map(row => parseFloat(row.cells[column].textContent));
  heads[column].click();
  noted.down = [heads[column].getAttribute('aria-sort'), values()];
  heads[column].dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
  noted.up = [heads[column].getAttribute('aria-sort'), values()];
  const result = document.createElement('script');
  result.type = 'text/plain';
  result.id = 'noted';
  result.textContent = JSON.stringify(noted);
  document.body.append(result);
})();
</script>
"""


@pytest.fixture(scope='module')
def noted(tmp_path_factory):
  if not _BROWSER:
    pytest.skip('no Chromium')
  directory = tmp_path_factory.mktemp('page')
  documents.write(str(directory), _RECORDS, _OTHERS)
  page = directory / 'frontier.html'
  page.write_text(page.read_text().replace('</body>', f'{_READER}</body>'))
  flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', f'--user-data-dir={directory}/profile']
  command = [_BROWSER, *flags, '--dump-dom', page.as_uri()]
  done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
  found = re.search(r'<script type="text/plain" id="noted">(.*?)</script>', done.stdout)
  assert found, f'the script of the page failed: {done.stderr[-2000:]}'
  return json.loads(found[1])


def test_one_chart_is_shown_for_a_cost_and_a_setting(noted):
  here, phone = noted['settings']
  assert 'phone' in phone
  assert noted['first'] == [f'latency_ms@{here}']
  assert noted['other_setting'] == [f'latency_ms@{phone}']
  assert noted['size'] == ['size_mb'] and noted['setting_is_hidden']
  assert noted['published'] == ['multiply_adds_g+published']


def test_pointing_at_a_model_shows_its_figures(noted):
  name, accuracy, *_, verdict = noted['tip']
  assert name == 'fpn' and accuracy.startswith('AP 50') and verdict.startswith('Dominated by nas_fpn_int8')
  assert any(line.startswith('9 ms') for line in noted['tip'])
  assert noted['tip_is_shown'] == 'block' and noted['chosen'] == ['fpn']
  assert noted['tip_afterwards'] == 'none' and noted['chosen_afterwards'] == 0


def test_a_click_on_a_heading_sorts(noted):
  (down, highest_first), (up, lowest_first) = noted['down'], noted['up']
  assert (down, up) == ('descending', 'ascending')
  assert highest_first == sorted(highest_first, reverse=True) and len(set(highest_first)) > 1
  assert lowest_first == highest_first[::-1]
