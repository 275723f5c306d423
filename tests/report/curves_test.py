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

"""Curves and dots, and the axes they are on."""

import math
import re

import pytest

from nasfpn_tf.report import charts, curves


@pytest.mark.parametrize('low,high', [(0, 1), (0, 3000), (0.13, 0.84), (5, 5), (0, 0), (-1.5, 2), (0, 123456)])
def test_ticks_are_round_and_cover_the_range(low, high):
  chart = charts.Chart()
  charts.round_limits(chart.axes[0].yaxis, low, high)
  ticks = list(chart.axes[0].get_yticks())
  assert 3 <= len(ticks) <= 12 and ticks[0] <= low and ticks[-1] >= high
  assert (ticks[0], ticks[-1]) == pytest.approx(chart.axes[0].get_ylim())
  step = ticks[1] - ticks[0]
  assert min(abs(step / 10 ** math.floor(math.log10(step)) - round_one) for round_one in (1, 2, 2.5, 5, 10)) < 1e-6


def _paths(chart, kind):
  return re.findall(rf'<g class="{kind} s\d"><path d="([^"]*)"', chart)


def test_draws_every_value_once():
  series = [curves.Series('loss', [0, 10, 20], [3.0, 2.0, 1.0]), curves.Series('box', [0, 10, 20], [1.0, 1.0, 0.5])]
  chart = curves.line_chart(series, 'step', 'training loss')
  lines = _paths(chart, 'line')
  assert [len(re.findall('[ML]', line)) for line in lines] == [3, 3]
  assert not _paths(chart, 'faint')
  heights = [float(point.split()[1]) for point in re.split('[ML]', lines[0])[1:]]
  assert heights == sorted(heights)  # A falling loss goes down the page.
  assert '>loss<' in chart and '>box<' in chart and 'training loss' in chart


def test_smoothing_keeps_the_raw_curve_and_the_mean():
  values = [1.0, 3.0] * 20
  chart = curves.line_chart([curves.Series('loss', range(40), values, smoothing=0.9)], 'step', 'loss')
  (raw,), (smooth,) = _paths(chart, 'faint'), _paths(chart, 'line')
  ends = [float(path.split()[-1]) for path in (raw, smooth)]
  spread = [max(p) - min(p) for p in ([float(s.split()[1]) for s in re.split('[ML]', c)[20:]] for c in (raw, smooth))]
  assert spread[1] < 0.2 * spread[0] and ends[0] != ends[1]


def test_a_value_that_is_not_finite_interrupts_the_curve():
  chart = curves.line_chart([curves.Series('loss', range(5), [1, 2, math.nan, 2, math.inf])], 'step', 'loss')
  (line,) = _paths(chart, 'line')
  assert line.count('M') == 2 and line.count('L') == 1 and 'nan' not in chart and 'inf' not in chart


def test_one_outlier_does_not_flatten_the_rest():
  values = [1000.0] + [1.0] * 300
  chart = curves.line_chart([curves.Series('loss', range(301), values)], 'step', 'loss')
  assert '>1000<' not in chart


def test_a_single_point_is_drawn():
  assert _paths(curves.line_chart([curves.Series('AP', [7], [0.5])], 'step', 'AP'), 'line')


def test_nothing_to_draw_is_an_error():
  with pytest.raises(ValueError, match='one to four'):
    curves.line_chart([curves.Series('loss', [1], [math.nan])], 'step', 'loss')
  with pytest.raises(ValueError, match="'loss' has 1 x and 2 y"):
    curves.Series('loss', [1], [1, 2])


def test_moving_average():
  assert curves.moving_average([1, 2, 3, 6], 2) == pytest.approx([1, 1.5, 2.5, 4.5])
  assert curves.best_so_far([1, 3, 2]) == [1, 3, 3]
