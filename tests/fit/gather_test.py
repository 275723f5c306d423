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

"""From the files of a finished chain to its report."""

import json

import pytest
from PIL import Image

from nasfpn_tf import topology
from nasfpn_tf.chain import steps
from nasfpn_tf.fit import gather
from nasfpn_tf.quickstart import chain

_METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')


def _write(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def quickstart(tmp_path):
  """The files that a chain leaves, of two images."""
  plan = chain.Quickstart(tmp_path / 'out put', chain.Scale(3, 2))
  names = [path.name for path in plan.shown_images]
  for path in plan.shown_images:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (32, 32), (9, 90, 200)).save(path)
  annotations = {
    'images': [{'id': 4 + n, 'file_name': name, 'width': 32, 'height': 32} for n, name in enumerate(names)],
    'categories': [{'id': 0, 'name': 'zero'}, {'id': 7, 'name': 'seven'}],
    'annotations': [
      {'id': 1, 'image_id': 4, 'category_id': 7, 'bbox': [2, 2, 10, 20]},
      {'id': 2, 'image_id': 5, 'category_id': 0, 'bbox': [5, 6, 20, 20]},
    ],
  }
  _write(plan.validation_annotations, annotations)
  for n, form in enumerate(plan.forms):
    metrics = {name: 0.6 - 0.01 * n for name in _METRICS}
    measured = {'num_images': 2, 'size_bytes': 10**6 + n, 'latency_ms': 5.0 + n, 'threads': 2}
    _write(plan.result_file(form), {**metrics, **measured, 'model': 'm', 'per_category': {'zero': 0.5, 'seven': 0.7}})
    found = [{'box': [2, 3, 10, 20], 'score': 0.75, 'label': 2, 'category_id': 7, 'name': 'seven'}]
    _write(
      plan.result_file(form).with_name('detections.json'),
      [{'image': str(plan.shown_images[0]), 'width': 32, 'height': 32, 'detections': found if n < 3 else []}],
    )
  losses = [{'step': s, 'total_loss': 3 / s, 'cls_loss': 1 / s, 'model_loss': 2.5 / s} for s in (1, 2, 3)]
  _write(plan.model_dir / 'train_history.jsonl', ''.join(json.dumps(line) + '\n' for line in losses))
  evaluations = [{'step': s, 'AP': 0.1 * s, 'AP50': 0.2 * s, 'AP75': 0.1 * s} for s in (1, 3)]
  _write(plan.model_dir / 'eval_history.jsonl', ''.join(json.dumps(line) + '\n' for line in evaluations))
  _write(plan.model_dir / 'topology.json', topology.get('nas_fpn').to_dict())
  pyramid = 'num_repeats: 3, num_filters: 24, use_separable_conv: true, residual: true'
  settings = f'task: {{the_settings: 1, model: {{decoder: {{feature_pyramid: {{{pyramid}}}}}}}}}\n'
  _write(plan.model_dir / 'params.yaml', settings)
  return plan


def test_the_report_shows_what_the_files_say(quickstart):
  results = [steps.Result(step, 61.0, False, f'result of {step.name}') for step in quickstart.steps()]
  gather.write_report(quickstart, results)
  text = quickstart.report.read_text()
  for form in quickstart.forms:
    assert form.name in text
  for words in ('60.0', '57.0', '8.0 ms', '1 min 01 s', 'result of train', 'the_settings', 'seven .75', 'P7</text>'):
    assert words in text, words
  assert 'stacks 3, with 24 filters and separable 3x3 convolutions. Each output adds' in text
  assert topology.svg(topology.get('nas_fpn'), residual=True).strip() in text
  assert text.count('class="b-truth"') == 2
  assert text.count('class="b-good"') == 3  # Found by three of the four forms ...
  assert text.count('class="b-missed"') == 1 + 4  # ... and missed by the fourth; the second image's by all.
  assert not list(quickstart.output_dir.glob('*.partial'))


def test_curves_of_the_losses_add_up():
  line = {'step': 5, 'total_loss': 2.5, 'cls_loss': 0.75, 'model_loss': 2.25}
  curves = {series.name: list(series.y) for series in gather.loss_curves([line])}
  assert curves == {'total': [2.5], 'classification': [0.75], 'boxes': [1.5]}
  assert gather.loss_curves([]) == []


def test_one_evaluation_makes_no_curve():
  line = {'step': 5, 'AP': 0.1, 'AP50': 0.2, 'AP75': 0.1}
  assert gather.accuracy_curves([line]) == []
  assert [series.name for series in gather.accuracy_curves([line, {**line, 'step': 6}])] == ['AP', 'AP50', 'AP75']


def test_commands_are_shown_as_typed_in_the_project():
  command = ['/usr/bin/python3', str(chain.PROJECT / 'scripts' / 'train.py'), '--model_dir=/data/a b']
  assert gather.shown_command(command) == "python scripts/train.py '--model_dir=/data/a b'"
