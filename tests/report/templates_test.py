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

"""Templates: what is filled in is escaped, each part of a file is used and each that is used exists."""

import re

import pytest

from nasfpn_tf.report import templates
from nasfpn_tf.report.templates import Raw
from tests import testing

REPORT = testing.repo_root() / 'nasfpn_tf' / 'report'


def test_values_are_escaped_but_for_html():
  assert templates.fill('page.cell', text='<a href="x">&') == '<td>&lt;a href=&quot;x&quot;&gt;&amp;</td>'
  assert templates.fill('page.cell', text=Raw('<b>1</b>')) == '<td><b>1</b></td>'
  assert templates.fill('page.cell', text=['<', Raw('<br>'), 3]) == '<td>&lt;<br>3</td>'
  assert templates.fill('page.link', url='a"b', text='$text') == '<a href="a&quot;b">$text</a>'
  assert isinstance(templates.fill('page.cell', text=''), Raw)


def test_a_value_that_is_missing_is_an_error():
  with pytest.raises(KeyError, match='text'):
    templates.fill('page.cell')
  with pytest.raises(KeyError, match='sell'):
    templates.fill('page.sell', text='')


def test_every_part_is_used_and_every_part_used_exists():
  defined = {
    f'{path.stem}.{name}'
    for path in (REPORT / 'templates').glob('*.html')
    for name in re.findall(r'^<!-- (\w+) -->$', path.read_text(), re.MULTILINE)
  }
  code = '\n'.join(path.read_text() for path in REPORT.glob('*.py'))
  used = set(re.findall(r"fill\(\s*'([\w.]+)'", code)) | set(re.findall(r"'(page\.named_row)'", code))
  used |= {f'page.{prefix}{what}' for prefix in ('', 'text_') for what in ('cell', 'heading')}
  assert used == defined
