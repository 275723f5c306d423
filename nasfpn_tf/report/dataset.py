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

"""Builds the report on a data set: text for a console, a page for a browser.

Both take the summaries that `data.statistics.summarize` gives, one a split, and the list of problems found.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nasfpn_tf.report import page
from nasfpn_tf.report.templates import fill

_SPREAD_HEADER = ('', 'min', '1 %', '10 %', 'median', '90 %', '99 %', 'max')
_CLASS_HEADER = ('class', 'label', 'id', 'boxes', 'images')


def text(summaries: Sequence[Mapping[str, Any]], problems: Sequence[str] = ()) -> str:
  """Writes the report as plain text; `problems` are the lines to list at its end."""
  lines = []
  for summary in summaries:
    lines += [_title(summary), *(f'  {name:<32} {value}' for name, value in _facts(summary)), '']
    lines += [*_aligned([_SPREAD_HEADER, *_spreads(summary)]), '']
    lines += [*_aligned([_CLASS_HEADER, *_classes(summary)]), '']
  return '\n'.join([*lines, *(problems or ['No problem was found.'])])


def html(summaries: Sequence[Mapping[str, Any]], problems: Sequence[str] = ()) -> str:
  """Builds the report as a self-contained HTML page, with a histogram of the classes."""
  body = []
  for summary in summaries:
    most = max([item['boxes'] for item in summary['classes']] or [1]) or 1
    bars = [
      (*row, fill('page.bar', width=f'{100 * item["boxes"] / most:.1f}%'))
      for row, item in zip(_classes(summary), summary['classes'], strict=True)
    ]
    body.append(
      page.section(
        _title(summary),
        page.table(('', ''), list(_facts(summary)), text_columns=(0, 1)),
        page.table(_SPREAD_HEADER, list(_spreads(summary))),
        page.table((*_CLASS_HEADER, ''), bars, text_columns=(0, 5)),
      )
    )
  listed = page.code('\n'.join(problems) or 'No problem was found.')
  body.insert(0, page.section('Problems', listed))
  names = ', '.join(summary['input_path'] for summary in summaries)
  return page.page('Data set', f'Contents of the records of {names} hold.', body, ('dataset.css',))


def _title(summary: Mapping[str, Any]) -> str:
  return f'{summary["input_path"]}: {summary["images"]["count"]} images in {summary["files"]} files'


def _facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
  images, boxes, anchors = summary['images'], summary['boxes'], summary['anchors']
  yield 'boxes', f'{boxes["count"]}, and {boxes["crowd"]} crowds'
  buckets = ('small', 'medium', 'large')
  yield ' / '.join(buckets), ' / '.join(_share(boxes[name], boxes['count']) for name in buckets)
  yield 'images without a box', str(images['empty'])
  yield f'images with > {images["max_boxes"]} boxes', str(images['over_max_boxes'])
  unused = [item['name'] for item in summary['classes'] if not item['boxes']]
  listed = f': {", ".join(unused[:8])}{", ..." if len(unused) > 8 else ""}' if unused else ''
  yield 'classes without a box', f'{len(unused)} of {len(summary["classes"])}{listed}'
  if anchors:
    size = 'x'.join(map(str, anchors['input_size']))
    covered = ', '.join(f'{name} {_percent(value)}' for name, value in anchors['covered'].items())
    yield f'boxes with an anchor at {size}', f'{covered} (IoU >= {anchors["match_threshold"]:g})'


def _spreads(summary: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
  images, boxes, anchors = summary['images'], summary['boxes'], summary['anchors']
  rows = [
    ('image height, pixels', images['height']),
    ('image width, pixels', images['width']),
    ('boxes in an image', images['boxes']),
    ('box side sqrt(w*h), pixels', boxes['side']),
    ('box width / height', boxes['aspect_ratio']),
  ]
  if anchors:
    rows.append(('IoU with the best anchor', anchors['best_iou']))
  for name, values in rows:
    if values:
      yield name, *(f'{value:.4g}' for value in values)


def _classes(summary: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
  for item in summary['classes']:
    yield item['name'], *(str(item[key]) for key in ('label', 'id', 'boxes', 'images'))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = []
  for first, *cells in rows:
    aligned = (f'{cell:>{width}}' for cell, width in zip(cells, widths[1:], strict=True))
    lines.append('  ' + '  '.join([f'{first:<{widths[0]}}', *aligned]))
  return lines


def _share(count: int, total: int) -> str:
  return f'{count} ({_percent(count / total if total else None)})'


def _percent(value: float | None) -> str:
  return '-' if value is None else f'{100 * value:.1f} %'
