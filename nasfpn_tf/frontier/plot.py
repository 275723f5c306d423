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
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nasfpn_tf.frontier.models import AXES, Model, front
from nasfpn_tf.frontier.published import Published
from nasfpn_tf.frontier.table import SHOWN

COLORS = ('#2456c9', '#d0661a', '#17865c', '#8c3fb5', '#b57900', '#0b7d8a')
_GREY = '#7a8494'
_FLOAT = ('none', 'fp16', None)


def is_quantized(model: Model) -> bool:
  """Whether it computes in whole numbers, or its weights are stored as such."""
  return model.last.quantization not in _FLOAT


def families(models: Sequence[Model]) -> dict[str, str]:
  """{family: its colour}, in the order of the models."""
  names = list(dict.fromkeys(model.last.family for model in models))
  return {name: COLORS[index % len(COLORS)] for index, name in enumerate(names)}


def svg(models: Sequence[Model], setting: str, published: Sequence[Published]) -> str:
  """The picture.

  Args:
    models: what was measured; those without AP are not drawn.
    setting: whose latencies are drawn.
    published: what others have; hollow, with an axis on the right, since their AP is on another data set.
  """
  drawn = [model for model in models if model.ap is not None]
  colors = families(models)
  options = {'svg.hashsalt': 'nasfpn_tf', 'svg.fonttype': 'none', 'font.size': 9}
  with matplotlib.rc_context(options):
    figure = Figure(figsize=(4.6 * len(SHOWN), 4.4), layout='constrained')
    for axes, axis in zip(figure.subplots(1, len(SHOWN), squeeze=False)[0], SHOWN, strict=True):
      _panel(axes, drawn, axis, setting, colors)
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
      axes.set_xlabel(AXES[axis] + (f'\n{setting}' if axis == 'latency_ms' else ''))
      axes.set_ylabel('AP')
      axes.grid(alpha=0.25)
    handles = _legend(drawn, colors, bool(published))
    figure.legend(handles=handles, loc='outside upper center', ncols=min(6, len(handles)), frameon=False)
    text = io.StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None})
  return text.getvalue()


def _panel(axes: Any, drawn: Sequence[Model], axis: str, setting: str, colors: dict[str, str]) -> None:
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
        alpha=1.0 if best else 0.45,
        markersize=7 if best else 5,
        linestyle='none',
      )
  steps = [places[name] for name in found.names]
  if steps:
    axes.step([x for x, _ in steps], [y for _, y in steps], where='post', color='#1b2330', linewidth=1, alpha=0.6)
  costs = [x for x, _ in places.values()]
  for name in found.names:
    is_right = places[name][0] > 0.6 * max(costs) + 0.4 * min(costs)
    side = {'xytext': (-6 if is_right else 4, -9), 'ha': 'right' if is_right else 'left'}
    axes.annotate(name, places[name], textcoords='offset points', fontsize=6.5, **side)


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
