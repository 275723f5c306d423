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

"""Making a frontier: what is run, what is skipped, and what comes of failures."""

import io
import pathlib
import subprocess
import sys

import pytest
import yaml

from nasfpn_tf.chain import process
from nasfpn_tf.frontier import documents, plan, production, record
from nasfpn_tf.training import params as params_lib
from tests import commands, testing
from tests.data import synthetic
from tests.frontier.samples import sample
from tests.training import rectangles

_TINY = {
  'task': {
    'model': {
      'input_size': [128, 128, 3],
      'anchor': {'anchor_size': 3.0},
      'backbone': {'type': 'tiny', 'tiny': {'num_filters': 8}},
      'head': {'num_convs': 1},
      'norm_activation': {'norm_momentum': 0.9, 'norm_epsilon': 0.001},
    },
    'losses': {'l2_weight_decay': 0.0},
    'train_data': {'global_batch_size': 2, 'shuffle_buffer_size': 8},
    'validation_data': {'global_batch_size': 2},
  },
  'trainer': {
    'learning_rate_batch_size': 0,
    'train_steps': 100,
    'steps_per_loop': 100,
    'checkpoint_interval': 100,
    'validation_interval': 100,
    'summary_interval': 100,
    'optimizer_config': {
      'optimizer': {'type': 'adam', 'adam': {'global_clipnorm': 10.0}},
      'learning_rate': {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.003, 'decay_steps': 100}},
      'warmup': {'type': None},
    },
  },
}


def _flag(command, name):
  return next((word.split('=', 1)[1] for word in command if word.startswith(f'--{name}=')), None)


@pytest.fixture
def pretend(monkeypatch):
  """Commands are not run: they leave what they would, and the name of one that is to fail may be put into a set.

  Nor are the charts of a report drawn: of each report there is the number of its models.
  """
  commands, broken, reports = [], set(), []

  def run(command, log, stream, stopped, forked):
    program = pathlib.Path(command[1]).stem
    target = _flag(command, 'model_dir') or _flag(command, 'tflite_path') or _flag(command, 'records')
    commands.append(
      f'{program} {pathlib.Path(target).stem if program != "train" else pathlib.Path(target).parent.name}'
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text('last words\n')
    if commands[-1] in broken:
      return 1
    if program == 'train':
      pathlib.Path(target).mkdir()
    elif program == 'export_tflite':
      pathlib.Path(target).write_bytes(b'0' * 2_000_000)
      pathlib.Path(target).with_suffix('.json').write_text('{}')
    else:
      facts = record.parse_facts(_flag(command, 'facts').split(','))
      record.append(target, sample(name=_flag(command, 'name'), family=_flag(command, 'family'), facts=facts))
    return 0

  monkeypatch.setattr(process, 'run', run)
  monkeypatch.setattr(documents, 'write', lambda directory, found, *unused_arguments: reports.append(len(found)))
  return commands, broken, reports


def _production(directory, **changes):
  settings = {'config_file': str(directory / 'tiny.yaml'), 'params_override': None, 'steps': 50, 'seed': 3}
  (directory / 'tiny.yaml').write_text(yaml.safe_dump(_TINY))
  settings = production.Settings(train='train', validation='test', **{**settings, **changes})
  return production.Production(str(directory / 'frontier'), settings, production.Measuring(), io.StringIO())


def test_what_is_done_is_not_done_again(tmp_path, pretend):
  commands, _, reports = pretend
  points = plan.choose(['fpnlite_1x64_320', 'nasfpnlite_7x64_320_anytime'])
  assert _production(tmp_path).run(points[:1]) == []
  names = ['fpnlite_1x64_320', 'fpnlite_1x64_320_int8']
  assert commands == ['train fpnlite_1x64_320'] + [
    f'{what} {n}' for n in names for what in ('export_tflite', 'benchmark')
  ]
  commands.clear()
  assert _production(tmp_path).run(points) == []
  assert commands[0] == 'train nasfpnlite_7x64_320_anytime' and len(commands) == 1 + 2 * 2 * 4
  commands.clear()
  assert _production(tmp_path).run(points, measure_again=True) == []
  assert len(commands) == 2 + 8 and {command.split()[0] for command in commands} == {'benchmark'}
  found = record.load([str(tmp_path / 'frontier' / 'records.jsonl')])
  assert [entry.name for entry in found][:3] == [*names, 'nasfpnlite_7x64_320_anytime_exit1']
  assert found[2].facts == {'train_steps': 50, 'batch_size': 2, 'seed': 3, 'repeats': 1, 'filters': 64}
  assert found[2].family == 'NAS-FPNLite exits'
  assert reports == [2, 2, 10, 2, 10], 'after every point one of all models that are measured'


def test_the_report_is_drawn(tmp_path):
  made = _production(tmp_path)
  made.report('No record yet')
  record.append(str(made.records / 'a.jsonl'), sample(name='a'))
  made.report('One record')
  assert 'One record' in (tmp_path / 'frontier' / 'frontier.html').read_text()


def test_every_point_trains_as_long(tmp_path):
  made = _production(tmp_path)
  changes = [made.overrides(point) for point in plan.choose(['*_5x*', '*_anytime'])]
  assert all(change['trainer'] == changes[0]['trainer'] for change in changes)
  trainer = changes[0]['trainer']
  assert trainer['train_steps'] == 50 and trainer['optimizer_config']['learning_rate'] == {
    'cosine': {'decay_steps': 50}
  }
  assert changes[0]['task']['train_data'] == {'input_path': 'train', 'seed': 3}


def test_common_changes_lie_under_those_of_the_point(tmp_path, pretend):
  """What train.py is given is a configuration in which the point has the last word."""
  override = 'task.model.head.num_convs=2,task.model.input_size=[128,256,3],task.train_data.global_batch_size=4'
  (point,) = plan.choose(['fpnlite_1x64_256'])
  assert _production(tmp_path, params_override=override).run([point]) == []
  directory = tmp_path / 'frontier'
  files = [tmp_path / 'tiny.yaml', directory / 'common.yaml', directory / 'points' / point.name / 'point.yaml']
  task = params_lib.load_params(None, [str(file) for file in files]).task
  assert (task.model.head.num_convs, task.train_data.global_batch_size) == (2, 4)
  assert task.model.input_size == [128, 256, 3] and task.model.decoder.get().num_filters == 64


def test_a_failure_does_not_keep_the_others_away(tmp_path, pretend):
  commands, broken, reports = pretend
  broken |= {'train fpnlite_1x64_256', 'export_tflite nasfpnlite_1x64_256_int8'}
  points = plan.choose(['*_1x64_256'])
  first, second = _production(tmp_path).run(points)
  assert first.startswith('fpnlite_1x64_256: ') and 'last words' in first
  assert second.startswith('nasfpnlite_1x64_256_int8: ')
  assert [entry.name for entry in record.load([str(tmp_path / 'frontier' / 'records')])] == ['nasfpnlite_1x64_256']
  broken.clear()
  commands.clear()
  assert _production(tmp_path).run(points) == []
  assert commands[0] == 'train fpnlite_1x64_256' and commands[-2:] == [
    'export_tflite nasfpnlite_1x64_256_int8',
    'benchmark nasfpnlite_1x64_256_int8',
  ]
  assert len(commands) == 5 + 2
  assert reports == [1, 3, 4]


def test_a_directory_is_for_one_frontier(tmp_path):
  _production(tmp_path)
  with pytest.raises(ValueError, match=r'frontier with other settings .*give another --output_dir'):
    _production(tmp_path, steps=60)
  (tmp_path / 'frontier' / 'settings.json').write_text('{"steps": 1')
  with pytest.raises(ValueError, match=r'settings\.json: not JSON.*restore a copy, or give another --output_dir'):
    _production(tmp_path)
  with pytest.raises(ValueError, match='forms int4: choose from float, int8'):
    production.Measuring(forms=('int4',))


def test_data_that_are_not_there(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'instances_train\.json: no such file; --data_dir has'):
    production.make_records(str(tmp_path), str(tmp_path / 'out'))


def test_the_command_lists_its_points():
  done = commands.run('frontier.py', '--list', '--points=*lite_3x64_320', '--forms=float')
  assert done.returncode == 0, done.stderr
  assert done.stdout == 'fpnlite_3x64_320: fpnlite_3x64_320\nnasfpnlite_3x64_320: nasfpnlite_3x64_320\n'
  done = commands.run('frontier.py', '--list', '--points=elsewhere')
  assert done.returncode == 1 and done.stderr.startswith('frontier: --points=elsewhere: there is no such point')


@pytest.mark.slow
def test_the_whole_road(tmp_path):
  """Trained, exported, measured and reported for real, next to nothing of each; then nothing is left to do."""
  rectangles.write(tmp_path, num_images=12)
  model = {**_TINY['task']['model'], 'backbone': rectangles.NARROW_RESNET}
  settings = {**_TINY, 'task': {**_TINY['task'], 'model': model}}
  (tmp_path / 'tiny.yaml').write_text(yaml.safe_dump(settings))
  script = testing.repo_root() / 'scripts' / 'frontier.py'
  command = [sys.executable, str(script), f'--output_dir={tmp_path}/out', f'--train={tmp_path}/set', '--steps=2']
  command += [f'--validation={tmp_path}/set', f'--config_file={tmp_path}/tiny.yaml', '--runs=2', '--forms=float']
  command += ['--points=fpnlite_1x48_256,nasfpnlite_1x48_256', '--params_override=task.model.head.num_convs=1']
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  found = record.load([f'{tmp_path}/out/records.jsonl'])
  assert [entry.name for entry in found] == ['fpnlite_1x48_256', 'nasfpnlite_1x48_256']
  assert all(entry.input_size == (256, 256) and entry.ap is not None and entry.parts_ms for entry in found)
  assert found[0].multiply_adds['backbone'] == found[1].multiply_adds['backbone']
  assert 'nasfpnlite_1x48_256' in (tmp_path / 'out' / 'frontier.md').read_text()
  again = subprocess.run(command, capture_output=True, text=True)
  assert again.returncode == 0 and again.stdout.count('there already') == 2 * 3
  assert record.load([f'{tmp_path}/out/records.jsonl']) == found


def test_records_that_cannot_be_used_are_refused_before_the_first_detector(tmp_path):
  path = synthetic.write(tmp_path / 'x.tfrecord', [b'no record'])
  flags = [f'--{name}={path}' for name in ('train', 'validation')]
  done = commands.run('frontier.py', *flags, f'--output_dir={tmp_path / "out"}')
  assert done.returncode == 1 and f'{path} record 0: is not a tf.train.Example' in done.stderr, done.stderr
  assert not (tmp_path / 'out').exists()
