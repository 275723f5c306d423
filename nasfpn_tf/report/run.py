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

"""Builds the page of one training: its metrics, its errors, and how it was made."""

import dataclasses
import io
from collections.abc import Mapping, Sequence

from nasfpn_tf.report import curves, overlays, page
from nasfpn_tf.report.templates import fill, join

_METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax100')
_MAX_CURVES = 4  # As many as a chart draws.


@dataclasses.dataclass(frozen=True)
class Image:
  """One image of the validation split: its name, its file's bytes, its boxes and how well they fit."""

  name: str
  encoded: bytes
  truth: Sequence[overlays.Box]
  predictions: Sequence[overlays.Box]
  f1: float


@dataclasses.dataclass(frozen=True)
class RunReport:
  """Everything that the page shows, as plain data.

  Attributes:
    title: heading.
    lead: one or two sentences on what was trained on what.
    metrics: COCO's metrics by name, 0 to 1, -1 where the ground truth has no object of that size.
    per_category: AP by category.
    loss: curves of the training loss by step.
    accuracy: curves of AP by step.
    recall: at which precision is given.
    precision: by name, over all categories.
    precision_of: by category.
    confusion_names: of rows (true) and columns (detected).
    confusion: counts.
    best: images.
    worst: images.
    score_threshold: of the boxes in images and the confusion matrix.
    training_images: a JPEG of images as the detector gets them; None where there is none.
    starts: (when, what, command) of each start of the run.
    environment: what it ran on.
    settings: the whole configuration, text.
  """

  title: str
  lead: str
  metrics: Mapping[str, float]
  per_category: Mapping[str, float]
  loss: Sequence[curves.Series]
  accuracy: Sequence[curves.Series]
  recall: Sequence[float]
  precision: Mapping[str, Sequence[float]]
  precision_of: Mapping[str, Sequence[float]]
  confusion_names: Sequence[str]
  confusion: Sequence[Sequence[int]]
  best: Sequence[Image]
  worst: Sequence[Image]
  score_threshold: float
  training_images: bytes | None
  starts: Sequence[tuple[str, str, str]]
  environment: Mapping[str, str]
  settings: str


def render(report: RunReport) -> str:
  """Builds the page as one HTML file that needs nothing else."""
  shown = [name for name in _METRICS if name in report.metrics]
  blocks = [
    page.tiles({name: _percent(report.metrics[name]) for name in shown}),
    curves.training_section(report.loss, report.accuracy),
    _precision(report),
    _categories(report),
    _confusion(report),
    _images(report, 'The worst images', report.worst, 'worst'),
    _images(report, 'The best images', report.best, 'best'),
    _training_images(report),
    page.section('How it was made', page.table(['start', 'what', 'command'], report.starts, text_columns=(0, 1, 2))),
    page.section('Settings', page.folded('The whole configuration', page.code(report.settings))),
    page.section('Environment', page.table(('', ''), list(report.environment.items()), text_columns=(0, 1))),
  ]
  return page.page(report.title, report.lead, [block for block in blocks if block], ('overlays.css', 'detector.css'))


def _precision(report: RunReport) -> str:
  drawn = []
  for values_of, label in (
    (report.precision, 'precision, mean of all categories'),
    (dict(list(report.precision_of.items())[:_MAX_CURVES]), 'precision of a category, IoU 0.50'),
  ):
    series = [curves.Series(name, report.recall, values) for name, values in values_of.items()]
    if series:
      drawn.append(curves.line_chart(series, 'recall', label))
  note = 'Precision (share of detections that are correct) over recall (share of objects that are detected).'
  return page.section('Precision and recall', fill('page.pair', blocks=drawn), note=note) if drawn else ''


def _categories(report: RunReport) -> str:
  if not report.per_category:
    return ''
  rows = sorted(report.per_category.items(), key=lambda item: -item[1])
  body = page.table(['category', 'AP'], [(name, _percent(value)) for name, value in rows])
  return page.section('AP of every category', page.folded('Table', body) if len(rows) > 20 else body)


def _confusion(report: RunReport) -> str:
  rows = [
    (name, *(count or '' for count in counts))
    for name, counts in zip(report.confusion_names, report.confusion, strict=True)
  ]
  note = (
    'Rows: ground truth; columns: detections with a score of at least '
    f'{report.score_threshold:g} and an IoU of at least 0.5. The last column counts missed objects, the last row'
    f' false positives.'
  )
  return page.section('Confusion matrix', page.table(['', *report.confusion_names], rows), note=note)


def _images(report: RunReport, title: str, images: Sequence[Image], kind: str) -> str:
  if not images:
    return ''
  shots = []
  for number, image in enumerate(images):
    name = f'{kind}{number}'
    symbol, size = overlays.embed(io.BytesIO(image.encoded), name)
    judged = overlays.judge(image.truth, image.predictions)
    views = [overlays.panel(name, size, image.truth, 'ground truth'), overlays.panel(name, size, judged, 'predictions')]
    shots.append(fill('overlays.shot', symbol=symbol, views=views, caption=f'{image.name}, F1 {image.f1:.2f}'))
  note = f'Ranked by the F1 of their boxes, with scores from {report.score_threshold:g}.'
  return page.section(title, fill('overlays.legend'), fill('overlays.shots', shots=shots), note=note)


def _training_images(report: RunReport) -> str:
  if report.training_images is None:
    return ''
  symbol, (width, height) = overlays.embed(io.BytesIO(report.training_images), 'training', max_side=1600)
  view = overlays.panel('training', (width, height), (), 'training images')
  note = 'As the detector receives them: resized and augmented, with their boxes.'
  return page.section('Training images', join([symbol, view]), note=note)


def _percent(value: float) -> str:
  return page.ABSENT if value < 0 else f'{100 * value:.1f}'
