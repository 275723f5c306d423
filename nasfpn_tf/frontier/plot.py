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

"""The frontier as a picture: AP over each cost, frontiers drawn through, published figures on an axis of their own."""

import io
import itertools
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nasfpn_tf.frontier import labels
from nasfpn_tf.frontier.models import AXES, Model, front
from nasfpn_tf.frontier.published import Published
from nasfpn_tf.frontier.table import SHOWN

COLORS = ('#2456c9', '#d0661a', '#17865c', '#8c3fb5', '#b57900', '#0b7d8a')
_GREY = '#7a8494'
_SMALL = 6.5  # Size of a label, points.
_FAR = 12  # A label farther from its mark than this, in points, has a line to it.
_OPTIONS = {'svg.hashsalt': 'nasfpn_tf', 'svg.fonttype': 'none', 'font.size': 9}
_FLOAT = ('none', 'fp16', None)


Places = dict[str, tuple[float, float]]  # {name of a model: its cost and AP}


def is_quantized(model: Model) -> bool:
  """Whether it computes in whole numbers, or its weights are stored as such."""
  return model.last.quantization not in _FLOAT


def families(models: Sequence[Model]) -> dict[str, str]:
  """{family: its colour}, in the order of the models."""
  names = list(dict.fromkeys(model.last.family for model in models))
  return {name: COLORS[index % len(COLORS)] for index, name in enumerate(names)}


def svg(models: Sequence[Model], setting: str, published: Sequence[Published]) -> str:
  """Draws the picture of `draw` as SVG."""
  with matplotlib.rc_context(_OPTIONS):
    text = io.StringIO()
    draw(models, setting, published).savefig(text, format='svg', metadata={'Date': None})
  return text.getvalue()


def draw(models: Sequence[Model], setting: str, published: Sequence[Published]) -> Figure:
  """Draws AP over each cost; the models of a frontier have their names, what is dominated is faint.

  Args:
    models: what was measured; those without AP are not drawn.
    setting: whose latencies are drawn.
    published: what others have; hollow, with an axis on the right, since their AP is on another data set.
  """
  drawn = [model for model in models if model.ap is not None]
  colors = families(models)
  with matplotlib.rc_context(_OPTIONS):
    figure = Figure(figsize=(4.6 * len(SHOWN), 4.6), dpi=72, layout='constrained')  # A pixel is a point.
    panels = []
    for axes, axis in zip(figure.subplots(1, len(SHOWN), squeeze=False)[0], SHOWN, strict=True):
      best, marks = _panel(axes, drawn, axis, setting, colors)
      axes.margins(0.08, 0.12)
      others = [row for row in published if row.cost(axis) is not None]
      if others:
        axes.set_xscale('log')
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        right = axes.twinx()
        x, y = [row.cost(axis) for row in others], [100 * row.ap for row in others]
        right.plot(x, y, 'D', color=_GREY, fillstyle='none', markersize=5, label='published, COCO')
        right.set_ylabel('AP on COCO, published', color=_GREY)
        right.tick_params(axis='y', colors=_GREY)
        marks += [(right, point) for point in zip(x, y, strict=True)]
      panels.append((axes, best, marks))
      axes.set_xlabel(AXES[axis] + (f'\n{setting}' if axis == 'latency_ms' else ''))
      axes.set_ylabel('AP')
      axes.grid(alpha=0.25)
    handles = _legend(drawn, colors, bool(published))
    figure.legend(handles=handles, loc='outside upper center', ncols=min(6, len(handles)), frameon=False)
    figure.draw_without_rendering()  # Sizes and scales are known from here on.
    figure.set_layout_engine('none')
    for axes, best, marks in panels:
      _label(axes, best, marks)
  return figure


def _panel(axes: Any, drawn: Sequence[Model], axis: str, setting: str, colors: dict[str, str]) -> tuple[Places, list]:
  """Draws models and frontier; returns {name: place} of the frontier and, for each mark, its axes and place."""
  found = front(drawn, axis, setting)
  places = {}
  for model in drawn:
    cost = model.cost(axis, setting)
    if cost is not None:
      places[model.name] = cost, 100 * model.ap
      best = model.name in found.names
      axes.plot(
        *places[model.name],
        marker='s' if is_quantized(model) else 'o',
        color=colors[model.last.family],
        alpha=1.0 if best else 0.22,
        markeredgewidth=0,
        markersize=7 if best else 5,
        zorder=3 if best else 2,
        linestyle='none',
      )
  steps = [places[name] for name in found.names]
  if steps:
    axes.step([x for x, _ in steps], [y for _, y in steps], where='post', color='#1b2330', linewidth=1, alpha=0.6)
  return {name: places[name] for name in found.names}, [(axes, place) for place in places.values()]


def _label(axes: Any, best: Places, marks: Sequence[tuple[Any, tuple[float, float]]]) -> None:
  """Writes the names of a frontier where they cover neither each other nor, where that is possible, anything else."""
  texts = [axes.text(0, 0, name, fontsize=_SMALL, zorder=4) for name in best]
  sizes = [(box.width, box.height) for box in (text.get_window_extent() for text in texts)]
  points = [tuple(axes.transData.transform(place)) for place in best.values()]
  obstacles = [_around(of.transData.transform(place), 3.5) for of, place in marks]
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
      axes.plot(line[:, 0], line[:, 1], color=_GREY, linewidth=0.5, zorder=1, scalex=False, scaley=False)


def _around(point: Sequence[float], radius: float) -> labels.Box:
  x, y = point
  return labels.Box(x - radius, y - radius, x + radius, y + radius)


def _legend(drawn: Sequence[Model], colors: dict[str, str], has_published: bool) -> list[Any]:
  handles = [
    Line2D([], [], color=color, marker='o', linestyle='none', label=name)
    for name, color in colors.items()
    if name and any(model.last.family == name for model in drawn)
  ]
  if any(map(is_quantized, drawn)):
    handles.append(Line2D([], [], color='#1b2330', marker='s', linestyle='none', label='quantised'))
  handles.append(Line2D([], [], color='#1b2330', linewidth=1, label='Pareto frontier'))
  if has_published:
    handles.append(
      Line2D([], [], color=_GREY, marker='D', fillstyle='none', linestyle='none', label='published, COCO (right axis)')
    )
  return handles
