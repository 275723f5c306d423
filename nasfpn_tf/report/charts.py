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

"""Charts of lines and dots as inline SVG, coloured by the page's style sheet, so that they follow light and dark."""

import dataclasses
import math
from collections.abc import Sequence

from nasfpn_tf.report import page

_WIDTH, _HEIGHT = 480, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 12, 44


@dataclasses.dataclass(frozen=True)
class Series:
  """One curve.

  Attributes:
    name: as the legend says it.
    x: increasing.
    y: same length; values that are not finite interrupt the curve.
    smoothing: weight of the past in a running mean, 0 is off. The raw values stay visible, faintly.
    dots: points that nothing connects; x in any order.
  """

  name: str
  x: Sequence[float]
  y: Sequence[float]
  smoothing: float = 0.0
  dots: bool = False

  def __post_init__(self):
    if len(self.x) != len(self.y):
      raise ValueError(f'Series {self.name!r} has {len(self.x)} x and {len(self.y)} y values.')


def line_chart(series: Sequence[Series], x_label: str, y_label: str, y_min: float | None = 0.0) -> str:
  """A chart of up to four series as HTML: legend and SVG.

  A few extreme values (the first losses) may leave the picture: its upper limit is the 99th percentile of the values.
  Not where there are dots: they are all in it.

  Args:
    series: the curves; those without a finite value are left out.
    x_label: what is along the bottom.
    y_label: what is up the side.
    y_min: lower limit of the y axis; None takes it from the values.

  Raises:
    ValueError: nothing to draw, or more than four series.
  """
  series = [s for s in series if any(map(math.isfinite, s.y))]
  if not 1 <= len(series) <= 4:
    raise ValueError(f'A chart draws one to four series with values, got {len(series)}.')
  curves = [_smooth(s.y, s.smoothing) for s in series]
  values = sorted(v for curve in curves for v in curve if math.isfinite(v))
  xs = [x for s in series for x in s.x]
  dotted = any(s.dots for s in series)
  top = values[-1] if dotted else max(values[math.ceil(0.99 * (len(values) - 1))], values[len(values) // 2])
  x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(values[0] if y_min is None else y_min, top)
  x_low, x_high = (x_ticks[0], x_ticks[-1]) if dotted else (min(xs), max(xs))
  y_low, y_high = y_ticks[0], y_ticks[-1]

  def place_x(x: float) -> float:
    return _LEFT + (x - x_low) / ((x_high - x_low) or 1) * (_WIDTH - _LEFT - _RIGHT)

  def place_y(y: float) -> float:
    return _HEIGHT - _BOTTOM - (y - y_low) / ((y_high - y_low) or 1) * (_HEIGHT - _TOP - _BOTTOM)

  parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{page.escape(y_label)}">']
  for y in y_ticks:
    parts.append(f'<path class="grid" d="M{_LEFT} {place_y(y):.1f}H{_WIDTH - _RIGHT}"/>')
    parts.append(f'<text x="{_LEFT - 8}" y="{place_y(y) + 4.5:.1f}" text-anchor="end">{_number(y)}</text>')
  for x in (x for x in x_ticks if x_low <= x <= x_high):
    parts.append(f'<text x="{place_x(x):.1f}" y="{_HEIGHT - _BOTTOM + 19}" text-anchor="middle">{_number(x)}</text>')
  middle = (_LEFT + _WIDTH - _RIGHT) / 2
  parts.append(f'<text x="{middle:.0f}" y="{_HEIGHT - 5}" text-anchor="middle">{page.escape(x_label)}</text>')
  inner = (_LEFT, 0, _WIDTH - _LEFT, _HEIGHT - _BOTTOM + 3)  # A nested svg clips what leaves the picture.
  parts.append('<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">'.format(*inner))
  for number, (s, curve) in enumerate(zip(series, curves, strict=True), start=1):
    if s.smoothing:
      parts.append(f'<path class="faint s{number}" d="{_path(s.x, s.y, place_x, place_y)}"/>')
    kind, draw = ('dots', _dots) if s.dots else ('line', _path)
    parts.append(f'<path class="{kind} s{number}" d="{draw(s.x, curve, place_x, place_y)}"/>')
  parts.append('</svg></svg>')
  legend = ''.join(f'<span><i class="s{n}"></i>{page.escape(s.name)}</span>' for n, s in enumerate(series, start=1))
  caption = f'<figcaption>{page.escape(y_label)}</figcaption>'
  return f'<figure><div class="legend">{legend}</div>{"".join(parts)}{caption}</figure>'


def ticks(low: float, high: float, about: int = 5) -> list[float]:
  """Round numbers that cover [low, high], about so many steps of 1, 2, 2.5 or 5 times a power of ten."""
  span = high - low if high > low else abs(low) or 1.0
  raw = span / about
  power = 10.0 ** math.floor(math.log10(raw))
  step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
  first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
  return [round(i * step, 12) for i in range(first, last + 1)]


def _smooth(values: Sequence[float], weight: float) -> list[float]:
  """Running mean without the bias of its start; what is not finite stays as it is."""
  smooth, mean, total = [], 0.0, 0.0
  for value in values:
    if math.isfinite(value):
      mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
      smooth.append(mean / total)
    else:
      smooth.append(value)
  return smooth


def _path(x: Sequence[float], y: Sequence[float], place_x, place_y) -> str:
  parts, pen_down = [], False
  for a, b in zip(x, y, strict=True):
    if math.isfinite(b):
      parts.append(f'{"L" if pen_down else "M"}{place_x(a):.1f} {place_y(b):.1f}')
    pen_down = math.isfinite(b)
  return ''.join(parts)


def _dots(x: Sequence[float], y: Sequence[float], place_x, place_y) -> str:
  """Strokes of no length, which round ends make dots: a hundred thousand points are still a small file."""
  pairs = ((a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b))
  return ''.join(f'M{place_x(a):.1f} {place_y(b):.1f}h0' for a, b in pairs)


def _number(value: float) -> str:
  if abs(value) >= 10000 and value % 1000 == 0:
    return f'{value / 1000:g}k'
  return f'{value:g}'
