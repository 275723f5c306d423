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

"""Charts for files and for pages: escaped, reproducible, in the colors of the page."""

import re
import xml.etree.ElementTree as ElementTree

from nasfpn_tf.report import charts, page, trade_off

NASTY = 'a"<b>&$x$\'</script>'


def drawn():
  points = [
    trade_off.Point(NASTY, 1.0, 30.0, 0),
    trade_off.Point('best', 2.0, 40.0, 1, quantized=True),
    trade_off.Point('dominated', 3.0, 20.0, 1),
  ]
  plot = trade_off.Plot(NASTY, points, [NASTY, 'best'], [trade_off.Point('theirs', 50.0, 25.0)])
  return trade_off.draw([plot], [NASTY, 'other'], 600, 400)


def test_marks_are_found_by_name_and_dominated_ones_are_faint():
  inline = drawn().inline(NASTY)
  root = ElementTree.fromstring(inline)
  assert root.get('aria-label') == NASTY
  marks = {mark.get('data-model'): mark for mark in root.iter() if mark.get('data-model')}
  assert set(marks) == {NASTY, 'best', 'dominated'}
  assert {name: mark.get('class') for name, mark in marks.items()} == {
    NASTY: 'mark best',
    'best': 'mark best',
    'dominated': 'mark faint',
  }
  faint = ElementTree.tostring(marks['dominated'], encoding='unicode')
  assert 'opacity: 0.22' in faint and 'opacity: 0.22' not in ElementTree.tostring(marks['best'], encoding='unicode')
  assert [mark.get('data-published') for mark in root.iter() if mark.get('data-published')] == ['theirs']
  texts = [text.text for text in root.iter('{http://www.w3.org/2000/svg}text')]
  assert texts.count(NASTY) == 3  # The axis, the legend and the label of the mark; nothing is taken for mathematics.
  assert 'dominated' not in texts and '<b>' not in inline and '</script>' not in inline


def test_a_chart_of_a_page_has_its_colors_and_ids_of_its_own():
  inline = drawn().inline('AP')
  assert 'var(--s1)' in inline and 'var(--ink)' in inline
  assert not set(re.findall('#[0-9a-f]{6}', inline)) & {*charts.SERIES, charts.INK, charts.SOFT, charts.LINE}
  assert 'style type' not in inline and 'font-family' not in inline and '<metadata' not in inline
  ids = re.findall(r' id="([^"]*)"', inline)
  assert len(ids) == len(set(ids))
  assert set(re.findall(r'(?:url\(|href=")#([^")]*)', inline)) <= set(ids)
  for variable in set(re.findall(r'var\((--\w+)\)', inline)):
    assert f'{variable}:' in page.asset('page.css')


def test_the_same_chart_gives_the_same_bytes(tmp_path):
  assert drawn().svg() == drawn().svg() and drawn().inline('x') == drawn().inline('x')
  for suffix, start in (('svg', b'<?xml'), ('png', b'\x89PNG')):
    drawn().save(tmp_path / f'chart.{suffix}')
    assert (tmp_path / f'chart.{suffix}').read_bytes().startswith(start)


def test_numbers_of_ticks():
  assert [charts.tick(value) for value in (0.1 + 0.2, 12000, 12500, -3)] == ['0.3', '12k', '12500', '-3']
