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

"""Reports the comparison of exits with separately trained detectors: records, a table and a plot."""

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nasfpn_tf import whole_file
from nasfpn_tf.report import charts

RECORDS, TABLE, PLOT = 'records.json', 'table.md', 'curve.svg'
METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')
SEPARATE, EQUAL = 'separate', 'anytime'
COSTS = ('multiply_adds_g', 'params_m', 'latency_ms', 'refined_latency_ms', 'separate_latency_ms')


def records(
  results: Mapping[Any, Mapping[str, float]], costs: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
  """Makes a record of each exit of each run.

  Args:
    results: {run: metrics}; a run has `num_pyramids`, `loss_weights` and `seed`.
    costs: those of each exit, as `anytime_costs.measure` gives them.
  """
  of_exit = {entry['exit_stage']: entry for entry in costs}
  found = []
  for run, metrics in results.items():
    is_anytime = run.loss_weights is not None
    for exit_stage in range(1 if is_anytime else run.num_pyramids, run.num_pyramids + 1):
      prefix = f'exit_{exit_stage}/' if is_anytime else ''
      found.append(
        {
          'model': _label(run.loss_weights),
          'loss_weights': None if run.loss_weights is None else list(run.loss_weights),
          'seed': run.seed,
          'num_pyramids': run.num_pyramids,
          'exit_stage': exit_stage,
          **{name: metrics[prefix + name] for name in METRICS},
          **{name: of_exit[exit_stage][name] for name in COSTS if name in of_exit.get(exit_stage, {})},
        }
      )
  return found


def write(directory: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
  """Writes records.json, table.md and curve.svg.

  Args:
    directory: where to.
    rows: of `records`.
    facts: `config_file`, `params_override`, `train_steps`, and once exits are timed `threads`.
  """
  files = {
    RECORDS: json.dumps({'format': 1, **facts, 'records': rows}, indent=1) + '\n',
    TABLE: table(rows, facts),
    PLOT: plot(rows),
  }
  for name, text in files.items():
    whole_file.write_text(os.path.join(directory, name), text)


def table(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
  """Writes Markdown: AP and cost of each exit, the effect of joint training, and other loss weights."""
  exits = sorted({row['exit_stage'] for row in rows})
  seeds = sorted({row['seed'] for row in rows})
  changes = f' with `{facts["params_override"]}`' if facts.get('params_override') else ''
  lines = [
    f'Configuration `{facts["config_file"]}`{changes}, {facts["train_steps"]} steps, seeds'
    f' {", ".join(map(str, seeds))}; AP on the validation records, mean ± standard deviation over seeds.',
    '',
    '| pyramids | multiply-adds (G) | AP as an exit | AP trained separately | difference |',
    '|---|---|---|---|---|',
  ]
  for exit_stage in exits:
    gain = _differences(rows, exit_stage)
    cells = [
      str(exit_stage),
      _cost(rows, exit_stage, 'multiply_adds_g', '.2f'),
      _spread(_values(rows, EQUAL, exit_stage)),
      _spread(_values(rows, SEPARATE, exit_stage)),
      f'{statistics.mean(gain):+.4f} ({min(gain):+.4f} to {max(gain):+.4f})' if gain else '',
    ]
    lines.append(f'| {" | ".join(cells)} |')
  lines += ['', _finding(rows, exits[-1])]
  models = [model for model in dict.fromkeys(row['model'] for row in rows) if model != SEPARATE]
  if len(models) > 1:
    lines += [
      '',
      f'| weights of the losses | {" | ".join(f"AP at exit {k}" for k in exits)} |',
      '|---' * (len(exits) + 1) + '|',
    ]
    for model in models:
      name = 'equal' if model == EQUAL else model.removeprefix(EQUAL + ' ')
      lines.append(f'| {name} | {" | ".join(_spread(_values(rows, model, k)) for k in exits)} |')
  if 'threads' in facts:
    lines += [
      '',
      f'Milliseconds per image in LiteRT, float, {facts["threads"]} thread(s), post-processing included; medians.',
      '',
      '| pyramids | parameters (M) | exit at once | by refining | trained separately |',
      '|---|---|---|---|---|',
    ]
    for k in exits:
      numbers = [_cost(rows, k, name, '.2f') for name in COSTS[1:]]
      lines.append(f'| {k} | {" | ".join(numbers)} |')
  return '\n'.join(lines) + '\n'


def plot(rows: Sequence[Mapping[str, Any]]) -> str:
  """Draws AP over multiply-adds and over milliseconds, before these are known over the number of pyramids, as SVG."""
  timed = all('latency_ms' in row for row in rows)
  axes_of = (
    [('multiply_adds_g', 'multiply-adds (G)'), ('latency', 'milliseconds in LiteRT')]
    if timed
    else [('exit_stage', 'pyramids')]
  )
  chart = charts.Chart(len(axes_of), 400 * len(axes_of), 300, sharey=True)
  with charts.style():
    for (field, label), axes in zip(axes_of, chart.axes, strict=True):
      for model in dict.fromkeys(row['model'] for row in rows):
        exits = sorted({row['exit_stage'] for row in rows if row['model'] == model})
        name = field
        if field == 'latency':
          name = 'separate_latency_ms' if model == SEPARATE else 'latency_ms'
        x = [next(row[name] for row in rows if row['exit_stage'] == k) for k in exits]
        values = [_values(rows, model, k) for k in exits]
        means = [statistics.mean(of_exit.values()) for of_exit in values]
        low = [mean - min(of_exit.values()) for mean, of_exit in zip(means, values, strict=True)]
        high = [max(of_exit.values()) - mean for mean, of_exit in zip(means, values, strict=True)]
        style = {'marker': 'o', 'capsize': 3, 'linestyle': '--' if model == SEPARATE else '-'}
        axes.errorbar(x, means, yerr=[low, high], label=_title(model), **style)
      axes.set_xlabel(label)
      axes.margins(0.05)
    chart.axes[0].set_ylabel('AP: mean, least and most of the seeds')
  chart.legend()
  return chart.svg()


def _label(loss_weights: Sequence[float] | None) -> str:
  if loss_weights is None:
    return SEPARATE
  return ' '.join([EQUAL, ' : '.join(f'{weight:g}' for weight in loss_weights)]).strip()


def _title(model: str) -> str:
  return {SEPARATE: 'trained separately', EQUAL: 'exits'}.get(
    model, f'exits, weights {model.removeprefix(EQUAL + " ")}'
  )


def _values(rows: Sequence[Mapping[str, Any]], model: str, exit_stage: int) -> dict[int, float]:
  """Returns {seed: AP}."""
  return {row['seed']: row['AP'] for row in rows if row['model'] == model and row['exit_stage'] == exit_stage}


def _differences(rows: Sequence[Mapping[str, Any]], exit_stage: int) -> list[float]:
  """Returns AP as an exit minus AP trained separately, of each seed that has both."""
  exits, separate = (_values(rows, model, exit_stage) for model in (EQUAL, SEPARATE))
  return [exits[seed] - separate[seed] for seed in exits if seed in separate]


def _finding(rows: Sequence[Mapping[str, Any]], last: int) -> str:
  """States what joint training costs the last exit, and with which uncertainty."""
  gain = _differences(rows, last)
  if len(gain) < 2:
    return 'Fewer than two seeds do not allow a statement about the last exit.'
  mean, error = statistics.mean(gain), statistics.stdev(gain) / len(gain) ** 0.5
  what = 'costs' if mean < 0 else 'gains'
  sure = 'more' if abs(mean) > 2 * error else 'no more'
  return (
    f'At the last exit, training all exits together {what} {abs(mean):.4f} AP on average over {len(gain)} seeds, which'
    f' is {sure} than two standard errors ({error:.4f} each).'
  )


def _spread(values: Mapping[int, float]) -> str:
  numbers = list(values.values())
  if len(numbers) < 2:
    return f'{numbers[0]:.4f}' if numbers else ''
  return f'{statistics.mean(numbers):.4f} ± {statistics.stdev(numbers):.4f}'


def _cost(rows: Sequence[Mapping[str, Any]], exit_stage: int, name: str, form: str) -> str:
  found = [row[name] for row in rows if row['exit_stage'] == exit_stage and name in row]
  return format(found[0], form) if found else ''
