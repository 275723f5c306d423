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

"""The report of a frontier: what it says, that it needs nothing else, and what it says of bad input."""

import html.parser
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from nasfpn_tf.frontier import documents, published, record
from tests import commands, testing
from tests.frontier.samples import sample

_RECORDS = [
  sample(name='fpn</script>', family='FPNLite', ap=0.50, ms=9.0),
  sample(name='nas_fpn', ap=0.55, ms=10.0),
  sample(name='nas_fpn_int8', ap=0.54, ms=5.0, size_bytes=2_500_000, quantization='int8', digest='int8'),
  sample(name='nas_fpn', ap=0.55, ms=40.0, device='phone', threads=4),
  sample(name='never evaluated', metrics={}, evaluated_on='', parts_ms={}, ms=1.0),
]
_OTHERS = [
  published.Published('theirs', 0.24, 'val', 2.16, 0.7, 113.0, 'Pixel 1', 'paper | zoo', 'https://example.org')
]


class _Page(html.parser.HTMLParser):
  """Collects what a page loads and what is in its scripts."""

  def __init__(self, text):
    super().__init__()
    self.loads, self.scripts, self.rows, self._inside = [], {}, [], None
    self.feed(text)

  def handle_starttag(self, tag, attributes):
    attributes = dict(attributes)
    self.loads += [value for key, value in attributes.items() if key == 'src' or (key == 'href' and tag != 'a')]
    if tag == 'script':
      self._inside = attributes.get('type', 'code')
    if tag == 'tr' and 'data-model' in attributes:
      self.rows.append(attributes['data-model'])

  def handle_endtag(self, tag):
    self._inside = None if tag == 'script' else self._inside

  def handle_data(self, data):
    if self._inside:
      self.scripts[self._inside] = data


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  directory = tmp_path_factory.mktemp('report')
  paths = documents.write(str(directory), _RECORDS, _OTHERS, 'Cells & others', 'size_mb')
  assert sorted(path.name for path in directory.iterdir()) == sorted(path.split('/')[-1] for path in paths)
  return directory


def test_the_page_needs_nothing_else(written):
  text = (written / documents.HTML).read_text()
  page = _Page(text)
  assert not page.loads and '@import' not in text and not re.search(r'url\((?!#)', text)
  assert 'Cells &amp; others' in text
  data = json.loads(page.scripts['application/json'])
  assert data['axis'] == 'size_mb' and data['settings'] == ['processor, 1 thread', 'phone, 4 threads']
  assert data['fronts']['latency_ms@processor, 1 thread'] == {
    'names': ['nas_fpn_int8', 'nas_fpn'],
    'beaten_by': {'fpn</script>': 'nas_fpn_int8'},
  }
  assert data['fronts']['size_mb']['names'] == ['nas_fpn_int8', 'nas_fpn']
  by_name = {row['name']: row for row in data['models']}
  assert by_name['nas_fpn_int8']['quantized'] and by_name['nas_fpn']['timed']['phone, 4 threads']['typical'] == 40.0
  assert by_name['never evaluated']['ap'] is None
  assert data['published'][0]['latency_ms'] == 113.0
  assert page.rows.count('nas_fpn') == 1 and 'fpn</script>' in page.rows
  # The charts are drawn, for each cost and setting with and without published figures; the first one is shown.
  views = re.findall(r'<div data-view="([^"]*)"( hidden)?>', text)
  keys = [key for key in data['fronts'] if key != 'latency_ms@phone, 4 threads']
  assert {key for key, _ in views} == {*data['fronts'], *(f'{key}+published' for key in keys if 'size' not in key)} | {
    'latency_ms@phone, 4 threads+published'
  }
  assert [key for key, hidden in views if not hidden] == ['size_mb']
  # Every element that the script looks for by its name is there.
  for name in set(re.findall(r"\$\('(\w+)'\)", page.scripts['code'])):
    assert f'id="{name}"' in text
  for bar in ('backbone', 'neck', 'head', 'post-processing'):
    assert f'title="{bar}: ' in text


def test_the_document(written):
  text = (written / documents.MARKDOWN).read_text()
  assert text.startswith('# Cells & others\n') and '](frontier.svg)' in text
  rows = {line.split(' | ')[0].strip('| '): line for line in text.splitlines() if line.startswith('| ')}
  lines = text.splitlines()
  header = lines.index('| dominated | on latency by | on multiply-adds by | on size by |')
  assert lines[header + 2] == '| nas_fpn_int8 |  | nas_fpn |  |'
  assert lines[header + 3] == '| fpn</script> | nas_fpn_int8 | nas_fpn | nas_fpn |'
  assert '| nas_fpn_int8 | 54.0 | 90.0 | 256x320 | 5 ● | 0.4 | 2.5 ● | 2 |' in text
  assert '## phone, 4 threads' in text and '| nas_fpn | 55.0 | 40 | 40 | 44 | 120.0 | ● |' in text
  assert 'Common to all: train steps 600.' in text
  assert '[paper / zoo](https://example.org)' in rows['theirs']
  # Rows and headers of every table are of one width.
  for block in re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE):
    assert len({line.count('|') for line in block.splitlines()}) == 1


def test_the_image(written):
  text = (written / documents.SVG).read_text()
  ElementTree.fromstring(text)
  assert 'nas_fpn_int8' in text and 'AP on COCO, published' in text and '<dc:date>' not in text


def test_one_model_of_which_little_is_known(tmp_path):
  latency = record.Latency(median=None, p90=None, first=None, mean=7.5, runs=50)
  bare = {'metrics': {}, 'evaluated_on': '', 'parts_ms': {}, 'multiply_adds': {}, 'params': None, 'input_size': None}
  documents.write(str(tmp_path), [sample(latency_ms=latency, peak_memory_bytes=None, **bare)])
  assert 'Where the time goes' not in (tmp_path / documents.HTML).read_text()
  assert '| sample |  |  |  | 7.5 |  | 8 |  |  |  |  |' in (tmp_path / documents.MARKDOWN).read_text()


def test_what_cannot_be_reported(tmp_path):
  with pytest.raises(ValueError, match='no record'):
    documents.write(str(tmp_path), [])
  with pytest.raises(ValueError, match="axis 'beauty' is not one of latency_ms"):
    documents.write(str(tmp_path), _RECORDS, axis='beauty')


def test_published_figures_have_their_source():
  configs = {path.stem: path for path in (testing.repo_root() / 'configs').glob('*.yaml')}
  mobile, everything = (published.load(which, configs) for which in ('mobile', 'all'))
  assert published.load('none', {}) == []
  assert set(published.LATENCIES) < set(mobile) < set(everything)
  found = {row.name: row for row in mobile}['mobilenetv2_ssdlite_320']
  assert (found.ap, found.split, found.params_m, found.multiply_adds_g) == (pytest.approx(0.221), 'test-dev', 4.3, 0.8)
  assert found.url == 'https://arxiv.org/abs/1801.04381' and found.cost('size_mb') is None
  assert all(row.url.startswith('https://') and row.source and 0.1 < row.ap < 0.6 for row in everything)


def test_the_command(tmp_path):
  path = str(tmp_path / 'records.jsonl')
  for entry in _RECORDS:
    record.append(path, entry)
  done = commands.run('report_frontier.py', f'--records={path}', f'--output_dir={tmp_path}/out', '--published=none')
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'out' / documents.HTML).exists() and f'{tmp_path}/out/frontier.md' in done.stdout
  arguments = (f'--records={tmp_path}/absent.jsonl', f'--output_dir={tmp_path}/none', '--published=none')
  done = commands.run('report_frontier.py', *arguments)
  assert done.returncode == 1 and 'report_frontier: ' in done.stderr and 'absent.jsonl: neither a file' in done.stderr
  assert 'Traceback' not in done.stderr and not (tmp_path / 'none').exists()
