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

"""Gathers the results of a chain's steps from their files, and writes the report."""

import json
import os
import pathlib
import platform
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import yaml

import nasfpn_tf
from nasfpn_tf import processor, topology, whole_file
from nasfpn_tf.chain import steps
from nasfpn_tf.fit import detector as detector_lib
from nasfpn_tf.report import curves, detector, overlays

_SMOOTHING = 0.8
_PACKAGES = ('tensorflow', 'tf_keras', 'tf-models-official', 'ai-edge-litert', 'numpy')


def write_report(made: detector_lib.Detector, results: Sequence[steps.Result]) -> None:
  """Writes `made.report`, a self-contained HTML file, from the files of a finished chain."""
  made_forms = made.made_forms(results)
  evaluations = [_read(made.result_file(form)) for form in made_forms]
  shown = _images(made)
  forms = [
    detector.Form(
      form.name,
      {**evaluation, **{f'AP/{name}': value for name, value in evaluation['per_category'].items()}},
      evaluation['size_bytes'],
      evaluation['latency_ms'],
      _boxes_by_image(made, made.result_file(form).with_name('detections.json')),
    )
    for form, evaluation in zip(made_forms, evaluations, strict=True)
  ]
  spec = topology.PyramidSpec.from_dict(_read(made.model_dir / 'topology.json'))
  settings = (made.model_dir / 'params.yaml').read_text(encoding='utf-8')
  pyramid = yaml.safe_load(settings)['task']['model']['decoder']['feature_pyramid']
  text = detector.render(
    detector.DetectorReport(
      title=made.title,
      lead=made.lead(forms[0].metrics),
      forms=forms,
      baseline='TFLite float',
      images=shown,
      score_threshold=detector_lib.SCORE_THRESHOLD,
      latency_note=_latency_note(evaluations),
      loss=loss_curves(_read_lines(made.model_dir / 'train_history.jsonl')),
      accuracy=accuracy_curves(_read_lines(made.model_dir / 'eval_history.jsonl')),
      topology=topology.svg(spec, pyramid.get('residual', False)),
      topology_note=_topology_note(pyramid),
      steps=[(r.step.title, r.seconds, r.summary) for r in results],
      settings=settings,
      commands=[
        ('In the project:', made.command),
        *((r.step.title, '\n'.join(shown_command(c) for c in r.step.commands)) for r in results),
      ],
      environment=environment(),
    )
  )
  whole_file.write_text(made.report, text)


def loss_curves(history: Sequence[dict[str, Any]]) -> list[curves.Series]:
  """Returns the curves of the training loss and its two parts, the box loss with its weight."""
  x = [line['step'] for line in history]
  values = {
    'total': [line['total_loss'] for line in history],
    'classification': [line['cls_loss'] for line in history],
    'boxes': [line['model_loss'] - line['cls_loss'] for line in history],
  }
  return [curves.Series(name, x, y, smoothing=_SMOOTHING) for name, y in values.items() if history]


def accuracy_curves(history: Sequence[dict[str, Any]]) -> list[curves.Series]:
  """Returns the curves of AP, AP50 and AP75 over all evaluations; empty if there was only one."""
  x = [line['step'] for line in history]
  return [curves.Series(name, x, [line[name] for line in history]) for name in ('AP', 'AP50', 'AP75') if len(x) > 1]


def shown_command(command: Sequence[str]) -> str:
  """Formats a command line as typed in the project's root, with relative paths where possible."""
  words = ['python', *command[1:]]
  return steps.quote([word.replace(f'{detector_lib.PROJECT}{os.sep}', '') for word in words])


def _topology_note(pyramid: dict[str, Any]) -> str:
  """Describes what the drawing does not show of a pyramid's settings."""
  repeats, filters = pyramid['num_repeats'], pyramid['num_filters']
  convolution = 'separable 3x3' if pyramid.get('use_separable_conv') else '3x3'
  note = (
    f'One repeat of the pyramid; the detector stacks {repeats}, with {filters} filters and {convolution} convolutions.'
  )
  return note + (' Each output adds the input of its level.' if pyramid.get('residual') else '')


def environment() -> dict[str, str]:
  """Describes the machine and the versions of the run."""
  packages = ', '.join(f'{name} {_version(name)}' for name in _PACKAGES)
  return {
    'nasfpn_tf': nasfpn_tf.__version__,
    'Python': platform.python_version(),
    'packages': packages,
    'system': f'{platform.system()} {platform.machine()}',
    'processor': f'{processor.name()}, {processor.num_cores()} cores',
    'date': time.strftime('%Y-%m-%d %H:%M'),
  }


def _latency_note(evaluations: Sequence[dict[str, Any]]) -> str:
  threads = sorted({evaluation['threads'] for evaluation in evaluations})
  count = min(evaluation['num_images'] for evaluation in evaluations)
  return (
    f'Latency: median of {count} images, one at a time, from the decoded image to its boxes, on {processor.name()} '
    f'with {" or ".join(map(str, threads))} threads.'
  )


def _images(made: detector_lib.Detector) -> list[detector.Image]:
  """Selects the images to show, with their ground truth."""
  annotations = _read(made.validation_annotations)
  names = {category['id']: str(category['name']) for category in annotations['categories']}
  of_file = {image['file_name']: image['id'] for image in annotations['images']}
  boxes = {path: [] for path in made.shown_images}
  for path, found in boxes.items():
    mine = [a for a in annotations['annotations'] if a['image_id'] == of_file[made.image_name(path)]]
    found.extend(overlays.boxes_of(mine, names))
  return [detector.Image(made.image_name(path), path, found) for path, found in boxes.items()]


def _boxes_by_image(made: detector_lib.Detector, path: pathlib.Path) -> dict[str, list[overlays.Box]]:
  """Reads predicted boxes by image name from the output of `predict_files`."""
  return {
    made.image_name(pathlib.Path(entry['image'])): [
      overlays.Box(tuple(found['box']), found['name'], found['score']) for found in entry['detections']
    ]
    for entry in _read(path)
  }


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return '(not installed)'


def _read(path: pathlib.Path) -> Any:
  return json.loads(path.read_text(encoding='utf-8'))


def _read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
  return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
