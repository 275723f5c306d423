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

"""The page's parts."""

from nasfpn_tf.report import page


def test_text_is_escaped_and_html_is_not():
  assert page.escape('a<b') == 'a&lt;b'
  assert page.escape(page.Raw('<i>a</i>')) == '<i>a</i>'
  table = page.table(['<h>', 'n'], [['<a>', page.Raw('<b>1</b>')]])
  assert '&lt;h&gt;' in table and '&lt;a&gt;' in table and '<b>1</b>' in table


def test_text_columns_are_marked():
  table = page.table(['name', 'value', 'note'], [['a', 1, 'c']], text_columns=(0, 2))
  assert table.count('class="text"') == 4 and '<td>1</td>' in table


def test_a_page_is_a_document_with_its_style():
  document = page.page('T', 'lead', [page.section('S', '<p>x</p>', note='small')], styles=('frontier.css',))
  assert document.startswith('<!doctype html>') and document.rstrip().endswith('</html>')
  assert 'prefers-color-scheme: dark' in document and 'viewport' in document and page.asset('frontier.css') in document
