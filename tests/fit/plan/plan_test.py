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
"""A plan as a file: readable, loadable, trainable; and what it refuses."""

import json
import pathlib
import shutil

import pytest

from nasfpn_tf.data.records import manifest
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.plan import document, plan, rules, throughput
from nasfpn_tf.fit.plan import start as start_lib
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import recipe, trainer
from tests import commands
from tests.fit.plan import fingerprints
from tests.training import rectangles


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=8)


@pytest.fixture(scope='module')
def made(prefix):
  return plan.make(f'{prefix}-*', 5, 'none', pixels_per_second=2e5, validation_path=f'{prefix}-*', progress=False)


def test_every_line_has_a_reason(made):
  lines = made.text.splitlines()
  body = lines[lines.index('experiment: nasfpn_retinanet') + 1 :]
  values = [i for i, line in enumerate(body) if ': ' in line and not line.lstrip().startswith('#')]
  assert len(values) > 25
  for i in values:
    assert '  # ' in body[i] or body[i - 1].lstrip().startswith('# '), body[i]


def test_the_same_fingerprint_gives_the_same_plan(made, prefix):
  again = plan.make(f'{prefix}-*', 5, 'none', pixels_per_second=2e5, validation_path=f'{prefix}-*', progress=False)
  assert again.text == made.text


def test_records_without_a_manifest_have_their_number_of_classes_in_the_plan(made, prefix, tmp_path, monkeypatch):
  assert 'num_classes' not in made.text
  for shard in pathlib.Path(prefix).parent.glob(f'{pathlib.Path(prefix).name}-*.tfrecord'):
    shutil.copy(shard, tmp_path)

  def measure(params):
    assert recipe.complete(params, 'train').params.task.model.num_classes == labels
    return 2e5

  monkeypatch.setattr(throughput, 'measure', measure)
  labels = manifest.find_manifest(f'{prefix}-*').num_classes
  text = plan.make(f'{tmp_path}/*.tfrecord', 5, 'none', progress=False).text
  assert f'num_classes: {labels}' in text


def test_it_says_what_is_missing(made):
  notes = ' '.join(made.warnings)
  assert 'no pretrained weights' in notes and '--backbone_weights=FILE' in notes and '8 images are few' in notes
  head = made.text.partition('experiment:')[0]
  assert all(warning in head for warning in made.warnings)
  assert head.startswith('# Note: no pretrained weights')


@pytest.mark.parametrize('minutes, is_short', [(3, True), (60, False)])
def test_it_says_when_steps_are_few(prefix, minutes, is_short):
  made = plan.make(f'{prefix}-*', minutes, 'none', pixels_per_second=2e5, progress=False)
  assert ('steps are few: the detector may find nothing yet' in ' '.join(made.warnings)) == is_short


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_measured(prefix, tmp_path):
  command = ['plan.py', f'--input_path={prefix}-*', '--device=gpu', f'--output={tmp_path}/plan.yaml']
  done = commands.run(*command, CUDA_VISIBLE_DEVICES='-1')
  assert done.returncode == 1 and 'plan: --device=gpu: TensorFlow finds no GPU' in done.stderr.splitlines()[-1]
  assert not (tmp_path / 'plan.yaml').exists()


def test_the_shipped_start_and_a_latency_are_told(prefix):
  made = plan.make(f'{prefix}-*', 5, 'blood_cells', pixels_per_second=2e5, progress=False, target_latency_ms=10_000.0)
  assert 'weights: blood_cells' in made.text and "the blood-cell detector's weights" in made.text
  assert 'the target is 10000 ms' in made.text
  assert 'starts from the backbone of the blood-cell detector' in ' '.join(made.warnings)


@pytest.mark.slow
def test_it_trains(made, tmp_path):
  """As every run of tests/scripts/fit_test.py does."""
  plan.write(made, str(tmp_path / 'mine.yaml'))
  assert json.loads((tmp_path / 'mine.fingerprint.json').read_text())['images'] == 8
  short = {'trainer': {'train_steps': 2, 'validation_interval': 2, 'checkpoint_interval': 2, 'steps_per_loop': 2}}
  params = params_lib.load_params(config_files=str(tmp_path / 'mine.yaml'), params_override=short)
  assert params.task.model.decoder.feature_pyramid.residual
  metrics = trainer.run(params, 'train_and_eval', str(tmp_path / 'run'))
  assert 'AP' in metrics


def test_an_edited_plan_is_not_overwritten(made, tmp_path):
  path = tmp_path / 'mine.yaml'
  plan.write(made, str(path))
  plan.write(made, str(path))  # The same again is no loss.
  path.write_text(made.text + '# mine\n')
  with pytest.raises(ValueError, match='exists and is another plan'):
    plan.write(made, str(path))
  assert path.read_text().endswith('# mine\n')


def test_throughput_is_measured_on_the_records(made, tmp_path):
  plan.write(made, str(tmp_path / 'mine.yaml'))
  changes = {'task': {'train_data': {'global_batch_size': 2}}}
  params = params_lib.load_params(config_files=str(tmp_path / 'mine.yaml'), params_override=changes)
  assert throughput.measure(params, seconds=0.0) > 0


def test_steps_that_wait_for_the_first_batches_do_not_count():
  assert throughput.steady_rate([0, 4, 8, 12, 14, 16, 18]) == pytest.approx(0.5)


def test_throughput_is_measured_at_the_planned_size(monkeypatch):
  sizes = []

  def measure(params):
    sizes.append(params.task.model.input_size[0])
    return 1e6 / len(sizes)

  monkeypatch.setattr(throughput, 'measure', measure)
  start, taken = start_lib.start_from(None), fingerprints.make()
  assert plan._measure(taken, 90, start, 'cpu', False, 3) == 5e5 and sizes[1] > sizes[0]
  sizes.clear()
  assert plan._measure(taken, 5, start, 'cpu', False, 3) == 1e6  # No time for a second one.


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'minutes': 0}, r'--minutes=0: a positive number'),
    ({'minutes': float('inf')}, r'--minutes=inf: a positive number'),
    ({'minutes': float('nan')}, r'--minutes=nan: a positive number'),
    ({'pixels_per_second': 0.0}, r'--images_per_second=0: a positive number'),
    ({'minutes': 1}, r'--minutes=1 is too short.* --minutes=3 tries'),
    ({'target_latency_ms': 0.0}, r'--target_latency_ms=0: a positive number'),
    ({'weights': 'no.h5'}, r'--backbone_weights=no\.h5: there is no such'),
  ],
)
def test_bad_settings_are_explained(prefix, kwargs, message):
  with pytest.raises(ValueError, match=message):
    plan.make(f'{prefix}-*', **{'minutes': 5, 'weights': 'none', 'pixels_per_second': 1e6, 'progress': False, **kwargs})


@pytest.mark.parametrize('of', ['training', 'validation'])
@pytest.mark.parametrize(
  ('harm', 'message'),
  [(lambda path: path.unlink(), 'is missing'), (lambda path: path.write_bytes(b''), '0 bytes where')],
)
def test_records_that_training_would_refuse_are_refused(of, harm, message, prefix, tmp_path):
  for path in pathlib.Path(prefix).parent.glob(f'{pathlib.Path(prefix).name}[-.]*'):
    shutil.copy(path, tmp_path)
  broken = f'{tmp_path}/{pathlib.Path(prefix).name}'
  shard = sorted(tmp_path.glob('*.tfrecord'))[0]
  harm(shard)
  train, validation = (broken, prefix) if of == 'training' else (prefix, broken)
  with pytest.raises(DataError, match=rf'{shard.name}:? {message}'):
    plan.make(f'{train}-*', 5, 'none', pixels_per_second=2e5, validation_path=f'{validation}-*', progress=False)


def test_a_key_is_chosen_once():
  with pytest.raises(ValueError, match=r'a\.b is chosen twice'):
    document.render([rules.Choice('a.b', 1, 'x'), rules.Choice('a.b', 2, 'y')], [], 'e')
  with pytest.raises(ValueError, match=r'a\.b\.c lies inside a\.b'):
    document.render([rules.Choice('a.b', 1, 'x'), rules.Choice('a.b.c', 2, 'y')], [], 'e')


def test_the_command(prefix, tmp_path):
  command = ['plan.py', f'--input_path={prefix}-*', '--minutes=3', '--images_per_second=20', '--backbone_weights=none',
             f'--output={tmp_path}/deep/mine.yaml']  # fmt: skip
  result = commands.run(*command)
  assert result.returncode == 0, result.stderr
  assert (tmp_path / 'deep' / 'mine.yaml').read_text() in result.stdout + '\n'
  wrong = [word.replace(prefix, f'{tmp_path}/none') for word in command]
  result = commands.run(*wrong)
  assert result.returncode == 1 and result.stderr.strip().splitlines()[-1].startswith('plan: ')
