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

"""Draws curves and dots on a chart."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from nasfpn_tf.report import charts, page
from nasfpn_tf.report.templates import Raw, fill

_MAX_SERIES = 4


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


def training_section(loss: Sequence[Series], accuracy: Sequence[Series]) -> str:
  """Returns the section of a page with the curves of a training, side by side; '' where there are none."""
  drawn = []
  if loss:
    drawn.append(line_chart(loss, 'training step', 'training loss'))
  if accuracy:
    drawn.append(line_chart(accuracy, 'training step', 'accuracy on the validation split'))
  return page.section('Training', fill('page.pair', blocks=drawn)) if drawn else ''


def line_chart(series: Sequence[Series], x_label: str, y_label: str, y_min: float | None = 0.0) -> Raw:
  """Draws up to four series as an element of a page.

  A few extreme values (the first losses) may leave the figure: its upper limit is the 99th percentile of the values.
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
  if not 1 <= len(series) <= _MAX_SERIES:
    raise ValueError(f'A chart draws one to four series with values, not {len(series)}.')
  chart = charts.Chart()
  (axes,) = chart.axes
  smooth = [_smooth(s.y, s.smoothing) for s in series]
  with charts.style():
    for number, (s, curve) in enumerate(zip(series, smooth, strict=True), start=1):
      color = charts.SERIES[number - 1]
      if s.smoothing:
        (line,) = axes.plot(s.x, s.y, color=color, linewidth=1, alpha=0.3)
        chart.mark(line, class_=f'faint s{number}')
      if s.dots:
        kind, line = 'dots', draw_dots(axes, s.x, curve, color=color, label=s.name)
      else:
        kind, (line,) = 'line', axes.plot(s.x, curve, color=color, label=s.name)
      chart.mark(line, class_=f'{kind} s{number}')
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.xaxis.set_major_formatter(charts.tick)
    axes.yaxis.set_major_formatter(charts.tick)
  values = sorted(v for curve in smooth for v in curve if math.isfinite(v))
  dotted = any(s.dots for s in series)
  top = values[-1] if dotted else max(values[math.ceil(0.99 * (len(values) - 1))], values[len(values) // 2])
  charts.round_limits(axes.yaxis, values[0] if y_min is None else y_min, top)
  xs = [x for s in series for x in s.x]
  if dotted:
    charts.round_limits(axes.xaxis, min(xs), max(xs))
  elif min(xs) < max(xs):
    axes.set_xlim(min(xs), max(xs))
  chart.legend()
  return chart.inline(y_label)


def draw_dots(axes, x: Sequence[float], y: Sequence[float], size: float = 4.5, alpha: float = 0.45, **options):
  """Draws points as one path of strokes without length, whose round ends are the dots: small even for many points."""
  pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
  xs = [value for a, _ in pairs for value in (a, a, math.nan)]
  ys = [value for _, b in pairs for value in (b, b, math.nan)]
  label = options.pop('label', None)
  (line,) = axes.plot(xs, ys, linewidth=size, solid_capstyle='round', alpha=alpha, **options)
  if label:  # In the legend, a dot.
    axes.plot([], [], 'o', markersize=size, markeredgewidth=0, label=label, **options)
  return line


def moving_average(values: Sequence[float], window: int) -> list[float]:
  """Computes the mean of the last `window` values up to each."""
  total, averages = 0.0, []
  for index, value in enumerate(values):
    total += value - (values[index - window] if index >= window else 0.0)
    averages.append(total / min(index + 1, window))
  return averages


def best_so_far(values: Sequence[float]) -> list[float]:
  """Computes the greatest of the values up to each."""
  return list(itertools.accumulate(values, max))


def _smooth(values: Sequence[float], weight: float) -> list[float]:
  """Computes a running mean without the bias of its start; what is not finite stays as it is."""
  smooth, mean, total = [], 0.0, 0.0
  for value in values:
    if math.isfinite(value):
      mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
      smooth.append(mean / total)
    else:
      smooth.append(value)
  return smooth
