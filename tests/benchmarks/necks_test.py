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
"""The comparison of pyramids: equal cost is checked, runs resume, the table is that of the records."""

import dataclasses
import json
import subprocess

import pytest

from benchmarks import necks
from nasfpn_tf import config, topology
from tests.training import rectangles

FILTERS = {'3': 32, '4': 96, '5': 320}


def settings(directory, prefix, **values):
  return necks.Settings(
    train=prefix,
    validation=prefix,
    output_dir=str(directory / 'out'),
    config_files=['bccd_mobilenetv2_nasfpnlite_3x64_384x512'],
    **values,
  )


def model(**changes):
  return config.Detector(
    num_classes=4,
    input_size=[384, 512, 3],
    decoder={'feature_pyramid': {'use_separable_conv': True}},
    head={'num_convs': 3, 'use_separable_conv': True},
  ).replace(**changes)


def test_the_default_pyramids_cost_the_same():
  planned = necks.plan(necks.DEFAULT_NECKS, model(), FILTERS)
  assert [neck.label for neck in planned] == ['nas_fpn_3x64', 'fpn_4x64', 'fpn_1x76']
  work = [neck.multiply_adds for neck in planned]
  assert max(work) / min(work) < 1.05
  # Anchors as in the configuration for BCCD: 3 scales, 3 ratios; another head changes all of them.
  other = necks.plan(['nas_fpn:3x64'], model(head={'num_convs': 1}), FILTERS)
  assert other[0].multiply_adds < work[0]


def test_filters_are_chosen_by_cost(tmp_path):
  path = tmp_path / 'best.json'
  path.write_text(topology.get('bifpn').to_json())
  planned = necks.plan(['nas_fpn:3x64', 'fpn:3', 'panet:3', f'{path}:2'], model(), FILTERS)
  assert [neck.label for neck in planned[:3]] == ['nas_fpn_3x64', 'fpn_3x68', 'panet_3x66']
  assert planned[3].label.startswith('best_2x') and planned[3].topology == str(path)
  wanted = planned[0].multiply_adds
  for neck in planned[1:]:
    sides = [f'{neck.topology}:{neck.num_repeats}x{neck.num_filters + change}' for change in (-1, 1)]
    less, more = (necks.plan([side], model(), FILTERS)[0].multiply_adds for side in sides)
    assert less < wanted < more


@pytest.mark.parametrize(
  ('texts', 'message'),
  [
    (['nas_fpn:3x64', 'fpn:1x64'], r'fpn_1x64 has 0\.\d+ times the multiply-adds of nas_fpn_3x64.*within 5%'),
    (['nas_fpn:3'], 'topology:REPEATSxFILTERS is needed'),
    (['nas_fpn:3x64', 'fpn:3x'], 'topology:REPEATSxFILTERS is needed'),
    (['nas_fpm:3x64'], 'nas_fpn'),
  ],
  ids=['unequal', 'size', 'filters', 'name'],
)
def test_unequal_or_unknown_pyramids_are_refused(texts, message):
  with pytest.raises(ValueError, match=message):
    necks.plan(texts, model(), FILTERS)


def test_the_table():
  records = [
    {'neck': label, 'params': 1_500_000, 'multiply_adds': 2e8, 'AP': ap, 'AP50': 0.5}
    for label, aps in (('a', (0.30, 0.32, 0.34)), ('b', (0.25,)))
    for ap in aps
  ]
  rows = necks.markdown(records).splitlines()
  assert rows[2] == '| a | 1.500 | 200.0 | 32.00 | 2.00 | 30.0, 32.0, 34.0 | 50.00 |'
  assert rows[3] == '| b | 1.500 | 200.0 | 25.00 |  | 25.0 | 50.00 |'


@pytest.fixture
def trainings(monkeypatch):
  """Replaces training by what it leaves; collects the commands."""
  commands = []

  def train(command, **kwargs):
    commands.append(command)
    if len(commands) == 3:
      return subprocess.CompletedProcess(command, 42)
    options = dict(part.removeprefix('--').split('=', 1) for part in command[2:])
    directory = necks.pathlib.Path(options['model_dir'])
    directory.mkdir(parents=True)
    (directory / 'eval.json').write_text(json.dumps({'step': 20, 'AP': 0.1 * len(commands), 'AP50': 0.5}))
    return subprocess.CompletedProcess(command, 0)

  monkeypatch.setattr(necks.subprocess, 'run', train)
  monkeypatch.setattr(necks, '_input_filters', lambda model: FILTERS)
  return commands


def test_a_stopped_comparison_goes_on(trainings, tmp_path):
  prefix = rectangles.write(tmp_path)
  given = settings(tmp_path, prefix, seeds=(0, 1), necks=('nas_fpn:3x64', 'fpn:4x64'), steps=20)
  with pytest.raises(ValueError, match='nas_fpn_3x64, seed 1: the training ended with 42'):
    necks.compare(given)
  records = necks.compare(given)
  # Two runs, the one that stopped, and from there on.
  assert len(trainings) == 5
  assert [(record['neck'], record['seed']) for record in records] == [
    ('nas_fpn_3x64', 0),
    ('fpn_4x64', 0),
    ('nas_fpn_3x64', 1),
    ('fpn_4x64', 1),
  ]
  assert necks.compare(given) == records and len(trainings) == 5
  output = tmp_path / 'out'
  assert [record['neck'] for record in json.loads((output / 'records.json').read_text())] == [
    'nas_fpn_3x64',
    'nas_fpn_3x64',
    'fpn_4x64',
    'fpn_4x64',
  ]
  assert (output / 'necks.md').read_text() == necks.markdown(json.loads((output / 'records.json').read_text()))
  changes = json.loads((output / 'fpn_4x64' / 'seed_1' / 'neck.yaml').read_text())
  assert changes['task']['train_data']['seed'] == 1 and changes['trainer']['validation_interval'] == 20
  assert changes['trainer']['optimizer_config']['learning_rate'] == {'cosine': {'decay_steps': 20}}
  with pytest.raises(ValueError, match='holds a run of other settings'):
    necks.compare(dataclasses.replace(given, steps=30))


@pytest.mark.slow
def test_it_trains(tmp_path):
  prefix = rectangles.write(tmp_path)
  override = (
    'task.model.input_size=[128,128,3],task.model.backbone.applications.alpha=0.35,'
    'task.model.backbone.applications.weights=none,task.train_data.global_batch_size=2'
  )
  given = settings(tmp_path, prefix, seeds=(0,), necks=('nas_fpn:1x16', 'fpn:1x16'), steps=2, params_override=override)
  records = necks.compare(given)
  assert [record['step'] for record in records] == [2, 2] and all(0 <= record['AP'] <= 1 for record in records)
