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

"""Draws the charts of all reports and documents with Matplotlib, as SVG for a file or for a page.

On a page a chart follows light and dark: its colors become variables of page.css.
"""

import contextlib
import hashlib
import io
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from nasfpn_tf.report.templates import Raw

INK, SOFT, LINE = '#1b2330', '#5c6675', '#dfe3e9'
SERIES = ('#2456c9', '#d0661a', '#17865c', '#8c3fb5', '#b57900', '#0b7d8a')
TEXT_SIZE = 12  # Pixels.
# Color -> variable of page.css.
_VARIABLES = {
  INK: 'var(--ink)',
  SOFT: 'var(--soft)',
  LINE: 'var(--line)',
  **{color: f'var(--s{number})' for number, color in enumerate(SERIES, start=1)},
}
_STYLE = {
  'axes.autolimit_mode': 'round_numbers',  # An axis ends at a tick.
  'axes.axisbelow': True,
  'axes.edgecolor': LINE,
  'axes.formatter.useoffset': False,
  'axes.grid': True,
  'axes.labelcolor': SOFT,
  'axes.prop_cycle': matplotlib.cycler(color=SERIES),
  'axes.spines.right': False,
  'axes.spines.top': False,
  'axes.xmargin': 0,
  'axes.ymargin': 0,
  'figure.constrained_layout.use': True,
  'font.size': TEXT_SIZE,
  'grid.color': LINE,
  'legend.frameon': False,
  'legend.labelcolor': SOFT,
  'lines.dash_capstyle': 'round',
  'lines.linewidth': 2,
  'lines.solid_capstyle': 'round',
  'path.simplify': False,  # It would drop the strokes of no length that dots are.
  'svg.fonttype': 'none',
  'svg.hashsalt': 'nasfpn_tf',
  'text.parse_math': False,  # A name may have a $.
  'xtick.color': SOFT,
  'xtick.major.pad': 6,
  'xtick.major.size': 0,
  'ytick.color': SOFT,
  'ytick.major.size': 0,
}
_SVG, _XLINK = 'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'


@contextlib.contextmanager
def style() -> Iterator[None]:
  """Applies the one style of all charts to what Matplotlib makes within."""
  with matplotlib.rc_context(_STYLE):
    yield


class Chart:
  """Plots side by side in one figure.

  Attributes:
    figure: Matplotlib's.
    axes: the plots, from left to right.
  """

  def __init__(self, columns: int = 1, width: float = 480, height: float = 280, **options: Any):
    """Makes empty plots; whoever draws into them does so within `style()`.

    Args:
      columns: plots side by side.
      width: of the whole, in pixels.
      height: likewise.
      **options: of Matplotlib's `Figure.subplots`, such as `sharey`.
    """
    with style():
      self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)  # A pixel is a point.
      self.axes = list(self.figure.subplots(1, columns, squeeze=False, **options)[0])
    self._attributes: list[dict[str, str]] = []

  def mark(self, artist: Any, **attributes: str) -> None:
    """Gives an artist attributes in the SVG of `inline`, by which style sheets and scripts find it.

    Args:
      artist: Matplotlib's.
      **attributes: `class_` is `class`, `data_model` is `data-model`.
    """
    artist.set_gid(f'mark-{len(self._attributes)}')
    self._attributes.append({key.rstrip('_').replace('_', '-'): value for key, value in attributes.items()})

  def legend(self, columns: int = 4, handles: list[Any] | None = None) -> None:
    """Puts a legend above the plots, of the given handles or of all artists with a label."""
    with style():
      if handles is None:
        by_name = {}
        for axes in self.axes:
          for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            by_name.setdefault(name, handle)
        handles, names = list(by_name.values()), list(by_name)
      else:
        names = [handle.get_label() for handle in handles]
      if handles:
        self.figure.legend(
          handles, names, loc='outside upper left', ncols=min(columns, len(handles)), borderpad=0, columnspacing=1.2
        )

  def lay_out(self) -> None:
    """Fixes sizes and scales, so that pixels can be computed from now on."""
    with style():
      self.figure.draw_without_rendering()
      self.figure.set_layout_engine('none')

  def svg(self, transparent: bool = False) -> str:
    """Returns the figure as an SVG file; the same chart gives the same bytes."""
    text = io.StringIO()
    with style():
      self.figure.savefig(text, format='svg', metadata={'Date': None}, transparent=transparent)
    return text.getvalue()

  def save(self, path: str | os.PathLike) -> None:
    """Writes the figure to a file that ends with .svg or .png."""
    with style():
      is_svg = os.fspath(path).endswith('.svg')
      self.figure.savefig(path, dpi=72 if is_svg else 144, metadata={'Date': None} if is_svg else None)

  def inline(self, label: str) -> Raw:
    """Returns the figure as an element of a page.

    Args:
      label: what the chart shows, for screen readers.
    """
    text = self.svg(transparent=True)
    root = ElementTree.fromstring(text)
    unique = hashlib.sha256(text.encode()).hexdigest()[:8]
    for parent in list(root.iter()):
      for element in list(parent):
        if element.tag in (f'{{{_SVG}}}metadata', f'{{{_SVG}}}style'):  # A style would hold for the whole page.
          parent.remove(element)
    view = root.get('viewBox')
    root.attrib.clear()
    root.attrib.update({'class': 'chart', 'viewBox': view, 'role': 'img', 'aria-label': label})
    for element in root.iter():
      self._clean(element, unique)
    ElementTree.register_namespace('', _SVG)
    ElementTree.register_namespace('xlink', _XLINK)
    return Raw(ElementTree.tostring(root, encoding='unicode'))

  def _clean(self, element: ElementTree.Element, unique: str) -> None:
    """Makes an element one of a page: no spaces, no fonts, colors that are variables, ids that are unique."""
    if not (element.text or '').strip():
      element.text = None
    element.tail = None
    name = element.get('id', '')
    if element.tag == f'{{{_SVG}}}g':  # Nothing refers to a group; matplotlib.path and the like are its labels.
      element.attrib.pop('id', None)
    if name.startswith('mark-'):
      element.attrib.update(self._attributes[int(name.removeprefix('mark-'))])
    for key, value in element.items():
      if key == 'style':
        value = re.sub(r'font-family: [^;]*(; )?', '', value)
        value = re.sub(r'font: (?:[a-z0-9]+ )*?([\d.]+px) [^;]*', r'font-size: \1', value)
        value = re.sub('#[0-9a-f]{6}', lambda color: _VARIABLES.get(color[0], color[0]), value)
      elif key == 'id':
        value = f'{unique}-{value}'
      elif key in (f'{{{_XLINK}}}href', 'clip-path'):
        value = value.replace('#', f'#{unique}-')
      element.set(key, value)


def round_limits(axis: Any, low: float, high: float) -> None:
  """Sets the limits of one of Matplotlib's axes to the ticks around a range."""
  high = high if high > low else low + (abs(low) or 1.0)
  with style():
    low, high = axis.get_major_locator().view_limits(low, high)
    axis.axes.set(**{f'{axis.axis_name}lim': (low, high)})


def tick(value: float, position: int | None = None) -> str:
  """Writes the number of a tick: 12k for 12000."""
  return f'{value / 1000:g}k' if abs(value) >= 10000 and value % 1000 == 0 else f'{round(value, 9):g}'
