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

"""Draws accuracy over cost: models, the frontier through the best of them, and published figures beside them."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib import ticker
from matplotlib.lines import Line2D

from nasfpn_tf.report import charts, labels

_FAINT = 0.22
_LABEL_SIZE = 0.75  # Of the text.
_FAR = 12  # A label farther from its mark than this, in pixels, has a line to it.


@dataclasses.dataclass(frozen=True)
class Point:
  """A model: its name, its cost, its AP in per cent, the number of its family, and whether it is quantized."""

  name: str
  cost: float
  ap: float
  family: int = 0
  quantized: bool = False


@dataclasses.dataclass(frozen=True)
class Plot:
  """One plot: models over a cost.

  Attributes:
    cost: name of the cost, for the axis.
    points: the models.
    front: names of those that nothing dominates, the cheapest first.
    published: what others have; its AP is on another data set, so it has an axis of its own, and costs a logarithmic
      scale.
  """

  cost: str
  points: Sequence[Point]
  front: Sequence[str]
  published: Sequence[Point] = ()


def draw(plots: Sequence[Plot], families: Sequence[str], width: float, height: float) -> charts.Chart:
  """Draws plots side by side; the models of a frontier have their names, what is dominated is faint.

  In the SVG of a page, marks have the attribute `data-model` or `data-published` with the name.

  Args:
    plots: from left to right.
    families: names of the families, for the legend; '' has no entry.
    width: of the whole, in pixels.
    height: likewise.
  """
  chart = charts.Chart(len(plots), width, height)
  marks = []
  with charts.style():
    for axes, plot in zip(chart.axes, plots, strict=True):
      axes.set(xlabel=plot.cost, ylabel='AP')
      marks.append([(axes, place) for place in _draw_models(chart, axes, plot)])
      if plot.published:
        right = _draw_published(chart, axes, plot.published)
        marks[-1] += [(right, (row.cost, row.ap)) for row in plot.published]
    chart.legend(columns=6, handles=_legend(plots, families))
  chart.lay_out()
  with charts.style():
    for axes, plot, around in zip(chart.axes, plots, marks, strict=True):
      _label(axes, plot, around)
  return chart


def _draw_models(chart: charts.Chart, axes: Any, plot: Plot) -> list[tuple[float, float]]:
  """Draws models and frontier; returns the places of the marks."""
  for point in plot.points:
    best = point.name in plot.front
    (mark,) = axes.plot(
      point.cost,
      point.ap,
      marker='s' if point.quantized else 'o',
      color=charts.SERIES[point.family % len(charts.SERIES)],
      alpha=1.0 if best else _FAINT,
      markeredgewidth=0,
      markersize=8 if best else 6,
      zorder=3 if best else 2,
      linestyle='none',
    )
    chart.mark(mark, class_='mark best' if best else 'mark faint', data_model=point.name, tabindex='0')
  steps = _front(plot)
  if steps:
    axes.step(*zip(*steps, strict=True), where='post', color=charts.INK, linewidth=1, alpha=0.6)
  axes.margins(0.08, 0.12)
  axes.xaxis.set_major_formatter(charts.tick)
  return [(point.cost, point.ap) for point in plot.points]


def _draw_published(chart: charts.Chart, axes: Any, published: Sequence[Point]) -> Any:
  """Draws hollow marks with an axis on the right, and makes the scale of the costs logarithmic; returns that axis."""
  axes.set_xscale('log')
  axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
  axes.xaxis.set_major_formatter(charts.tick)
  axes.xaxis.set_minor_locator(ticker.NullLocator())
  right = axes.twinx()
  for row in published:
    (mark,) = right.plot(row.cost, row.ap, 'D', color=charts.SOFT, fillstyle='none', markersize=6)
    chart.mark(mark, class_='mark', data_published=row.name, tabindex='0')
  right.margins(0.08, 0.12)
  right.set_ylabel('AP on COCO, published')
  right.grid(False)
  return right


def _label(axes: Any, plot: Plot, marks: Sequence[tuple[Any, tuple[float, float]]]) -> None:
  """Writes the names of a frontier where they cover neither each other nor, where that is possible, anything else."""
  size = _LABEL_SIZE * charts.TEXT_SIZE
  texts = [axes.text(0, 0, name, fontsize=size, zorder=4, color=charts.INK) for name in plot.front]
  sizes = [(box.width, box.height) for box in (text.get_window_extent() for text in texts)]
  points = [tuple(axes.transData.transform(place)) for place in _front(plot)]
  obstacles = [_around(of.transData.transform(place), 4) for of, place in marks]
  for (x0, y0), (x1, y1) in itertools.pairwise(points):  # The steps: along, then up.
    along, up = max(1, round((x1 - x0) / 8)), max(1, round((y1 - y0) / 8))
    obstacles += [_around((x0 + (x1 - x0) * i / along, y0), 0.5) for i in range(along)]
    obstacles += [_around((x1, y0 + (y1 - y0) * i / up), 0.5) for i in range(up)]
  window = axes.get_window_extent()
  frame = labels.Box(window.x0, window.y0, window.x1, window.y1)
  to_data = axes.transData.inverted().transform
  for text, point, box in zip(texts, points, labels.place(points, sizes, frame, obstacles), strict=True):
    if box is None:
      text.remove()  # The table has it.
      continue
    middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    text.set(position=to_data(middle), ha='center', va='center')
    nearest = min(max(point[0], box.x0), box.x1), min(max(point[1], box.y0), box.y1)
    if math.dist(point, nearest) > _FAR:
      line = to_data([point, nearest])
      axes.plot(line[:, 0], line[:, 1], color=charts.SOFT, linewidth=0.5, zorder=1, scalex=False, scaley=False)


def _front(plot: Plot) -> list[tuple[float, float]]:
  """Returns the places of the models on the frontier, the cheapest first."""
  places = {point.name: (point.cost, point.ap) for point in plot.points}
  return [places[name] for name in plot.front]


def _around(point: Sequence[float], radius: float) -> labels.Box:
  x, y = point
  return labels.Box(x - radius, y - radius, x + radius, y + radius)


def _legend(plots: Sequence[Plot], families: Sequence[str]) -> list[Line2D]:
  points = [point for plot in plots for point in plot.points]
  shown = {point.family for point in points}
  handles = [
    Line2D([], [], color=charts.SERIES[number % len(charts.SERIES)], marker='o', linestyle='none', label=name)
    for number, name in enumerate(families)
    if name and number in shown
  ]
  if any(point.quantized for point in points):
    handles.append(Line2D([], [], color=charts.INK, marker='s', linestyle='none', label='quantized'))
  handles.append(Line2D([], [], color=charts.INK, linewidth=1, label='Pareto frontier'))
  if any(plot.published for plot in plots):
    handles.append(
      Line2D([], [], color=charts.SOFT, marker='D', fillstyle='none', linestyle='none', label='published (right axis)')
    )
  return handles
