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

"""Builds the report of one detector, from its training to its exported formats, as `scripts/quickstart.py` shows it."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from nasfpn_tf.report import curves, overlays, page
from nasfpn_tf.report.templates import Raw, fill, join

_METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')
_MAX_FORMS = 6  # As many as detector.css has rules for.
_ABSENT = page.ABSENT


@dataclasses.dataclass(frozen=True)
class Form:
  """The detector in one form: the Keras model, or a file that was exported from it.

  Attributes:
    name: e.g. 'Keras', 'TFLite int8'.
    metrics: COCO's metrics, 0 to 1, -1 where the ground truth has no object of that size.
    size_bytes: on disk.
    latency_ms: median time for one image, None where it was not measured.
    detections: boxes above the threshold, by image.
  """

  name: str
  metrics: Mapping[str, float]
  size_bytes: int
  latency_ms: float | None
  detections: Mapping[str, Sequence[overlays.Box]]


@dataclasses.dataclass(frozen=True)
class Image:
  """One image to show: its name (the key of `Form.detections`), its file and its ground truth."""

  name: str
  path: str | os.PathLike
  truth: Sequence[overlays.Box]


@dataclasses.dataclass(frozen=True)
class DetectorReport:
  """Everything that the page shows, as plain data.

  Attributes:
    title: heading.
    lead: one or two sentences on what was trained on what.
    forms: the model in its forms, the Keras model first.
    baseline: name of the form that sizes and latencies are compared with.
    images: what to show, the same for every form.
    score_threshold: the least score of the boxes in `forms[...].detections`.
    latency_note: how latencies were measured: threads, machine, what is included.
    loss: curves of the training loss by step.
    accuracy: curves of AP by step; empty where the model was evaluated only once.
    topology: SVG of the pyramid.
    topology_note: what the drawing shows.
    steps: (what was done, seconds, result), in order.
    settings: the whole configuration, text.
    commands: (what they do, command lines), the first one for everything.
    environment: what it ran on.
  """

  title: str
  lead: str
  forms: Sequence[Form]
  baseline: str
  images: Sequence[Image]
  score_threshold: float
  latency_note: str
  loss: Sequence[curves.Series]
  accuracy: Sequence[curves.Series]
  topology: str
  topology_note: str
  steps: Sequence[tuple[str, float, str]]
  settings: str
  commands: Sequence[tuple[str, str]]
  environment: Mapping[str, str]

  def __post_init__(self):
    if not 1 <= len(self.forms) <= _MAX_FORMS:
      raise ValueError(f'A report shows 1 to {_MAX_FORMS} forms of a model, got {len(self.forms)}.')
    if self.baseline not in {form.name for form in self.forms}:
      raise ValueError(f'The baseline {self.baseline!r} is not among the forms {[form.name for form in self.forms]}.')


def render(report: DetectorReport) -> str:
  """Renders the report as one HTML file that needs no other."""
  blocks = [
    page.tiles(_headlines(report)),
    page.section('Accuracy, size and speed of every format', _forms_table(report), note=_forms_note(report)),
    _images_section(report),
    curves.training_section(report.loss, report.accuracy),
    _categories_section(report),
    page.section('The feature pyramid', fill('page.drawing', svg=Raw(report.topology)), note=report.topology_note),
    page.section('How it was made', _steps_table(report)),
    _commands_section(report),
    page.section('Settings', page.folded('The whole configuration', page.code(report.settings))),
    page.section('Environment', page.table(('', ''), list(report.environment.items()), text_columns=(0, 1))),
  ]
  return page.page(report.title, report.lead, [block for block in blocks if block], ('overlays.css', 'detector.css'))


def _headlines(report: DetectorReport) -> dict[str, str]:
  first, last = report.forms[0], report.forms[-1]
  values = {
    f'AP, {first.name}': _percent(first.metrics['AP']),
    f'AP50, {first.name}': _percent(first.metrics['AP50']),
  }
  if last is not first:
    values |= {f'AP, {last.name}': _percent(last.metrics['AP']), f'size, {last.name}': _size(last.size_bytes)}
    if last.latency_ms is not None:
      values[f'per image, {last.name}'] = f'{last.latency_ms:.1f} ms'
  return values


def _forms_table(report: DetectorReport) -> str:
  base = next(form for form in report.forms if form.name == report.baseline)
  rows = []
  for form in report.forms:
    if form.latency_ms is None:
      latency = ratio = _ABSENT
    else:
      latency = f'{form.latency_ms:.1f} ms'
      ratio = f'{form.latency_ms / base.latency_ms:.2f}' if base.latency_ms else _ABSENT
    accuracy = [_percent(form.metrics[name]) for name in _METRICS]
    size_ratio = f'{form.size_bytes / base.size_bytes:.2f}'
    rows.append([form.name, *accuracy, _size(form.size_bytes), size_ratio, latency, ratio])
  return page.table(['', *_METRICS, 'size', 'ratio', 'latency', 'ratio'], rows)


def _forms_note(report: DetectorReport) -> str:
  return (
    'COCO metrics on the 0 to 100 scale, each format evaluated by running it on the whole validation split. '
    f'APs, APm, APl: objects under 32², under 96², and larger (pixels). Ratios are relative to {report.baseline}. '
    f'{report.latency_note}'
  )


def _images_section(report: DetectorReport) -> str:
  if not report.images:
    return ''
  tabs = [
    fill('detector.tab', number=n, name=form.name, checked=Raw('' if n else ' checked'))
    for n, form in enumerate(report.forms)
  ]
  shots = []
  for number, image in enumerate(report.images):
    symbol, size = overlays.embed(image.path, f'image{number}')
    truth = overlays.panel(f'image{number}', size, image.truth, 'ground truth')
    views = []
    for n, form in enumerate(report.forms):
      judged = overlays.judge(image.truth, form.detections.get(image.name, ()))
      panel = overlays.panel(f'image{number}', size, judged, f'predictions of {form.name}')
      views.append(fill('detector.view', number=n, panel=panel))
    shots.append(fill('overlays.shot', symbol=symbol, views=[truth, *views], caption=image.name))
  note = (
    'The first images of the validation split, on which the detector was not trained. Predictions with'
    f' a score of at least {report.score_threshold:g}; the number after the name is the score.'
  )
  shown = fill('detector.tabs', tabs=tabs, shots=fill('overlays.shots', shots=shots))
  return page.section('Ground truth beside predictions', fill('overlays.legend'), shown, note=note)


def _categories_section(report: DetectorReport) -> str:
  metrics = report.forms[0].metrics
  names = [name for name in metrics if name.startswith('AP/')]
  if not names:
    return ''
  rows = []
  for name in sorted(names, key=lambda name: -metrics[name]):
    bar = fill('page.bar', width=f'{max(metrics[name], 0) * 16:.2f}rem')
    rows.append([name.removeprefix('AP/'), _percent(metrics[name]), bar])
  body = page.table(['category', 'AP', ''], rows, text_columns=(0, 2))
  return page.section(f'AP of every category, {report.forms[0].name}', fill('detector.categories', table=body))


def _steps_table(report: DetectorReport) -> str:
  rows = [(what, _duration(seconds), result) for what, seconds, result in report.steps]
  return page.table(['step', 'time', 'result'], rows, text_columns=(0, 2))


def _commands_section(report: DetectorReport) -> str:
  (what, everything), *parts = [
    (fill('page.paragraph', text=what), page.code(lines)) for what, lines in report.commands
  ]
  folded = page.folded('Step by step', join(block for part in parts for block in part)) if parts else Raw()
  return page.section('Do it again', what, everything, folded)


def _percent(value: float) -> str:
  return _ABSENT if value < 0 else f'{100 * value:.1f}'


def _size(num_bytes: int) -> str:
  return f'{num_bytes / 1e6:.2f} MB' if num_bytes >= 1e5 else f'{num_bytes / 1e3:.1f} kB'


def _duration(seconds: float) -> str:
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes} min {rest:02d} s' if minutes else f'{seconds:.1f} s'
