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

"""One run from records to a detector that has learnt its four images, and all that it leaves behind."""

import io
import itertools
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from nasfpn_tf import topology
from nasfpn_tf.training import artifacts, checkpoints, nonfinite, params, trainer
from tests.training import rectangles

STEPS, LOOP, INTERVAL = 120, 20, 60


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=5, num_shards=2)


def experiment(prefix, **overrides):
  cosine = {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.01, 'decay_steps': STEPS}}
  experiment = rectangles.experiment(
    prefix,
    task={'train_data': {'global_batch_size': 5, 'seed': 1}, 'validation_data': {'global_batch_size': 4}},
    trainer={
      'train_steps': STEPS,
      'steps_per_loop': LOOP,
      'summary_interval': LOOP,
      'checkpoint_interval': 40,
      'validation_interval': INTERVAL,
      'optimizer_config': {'learning_rate': cosine},
    },
  )
  experiment.override(overrides)
  return experiment


@pytest.fixture(scope='module')
def run(prefix, tmp_path_factory):
  """(model_dir, metrics of the last evaluation, what was shown)."""
  model_dir = tmp_path_factory.mktemp('run') / 'model dir'
  shown = io.StringIO()
  metrics = trainer.run(experiment(prefix), 'train_and_eval', str(model_dir), stream=shown)
  return model_dir, metrics, shown.getvalue()


def test_learns_its_images(run):
  model_dir, metrics, _ = run
  losses = [line['total_loss'] for line in artifacts.read_history(str(model_dir / 'train_history.jsonl'))]
  assert losses[-1] < 0.35 * losses[0]
  assert metrics['AP50'] > 0.8 and metrics['AP'] > 0.5


def test_checkpoints_keep_the_interval_and_every_evaluation_has_one(run):
  model_dir, _, _ = run
  assert [checkpoints.step_of(path) for path in checkpoints.available(str(model_dir))] == [120, 100, 60, 40]
  best = checkpoints.available(str(model_dir / 'best'))
  assert len(best) == 1
  evaluations = artifacts.read_history(str(model_dir / 'eval_history.jsonl'))
  assert [line['step'] for line in evaluations] == [60, 120]
  top = max(evaluations, key=lambda line: line['AP'])
  assert checkpoints.step_of(best[0]) == top['step']
  assert json.loads((model_dir / 'best' / 'eval.json').read_text())['AP'] == top['AP']


def test_result_file(run):
  model_dir, metrics, _ = run
  result = json.loads((model_dir / 'eval.json').read_text())
  assert result['step'] == STEPS and result['checkpoint'] == str(model_dir / 'ckpt-120')
  assert set(trainer.COCO_METRICS) <= set(result)
  assert set(result['per_category']) == {'red', 'blue'}
  assert result['AP'] == metrics['AP']
  assert 'validation_loss' in result


def test_train_history(run):
  model_dir, _, _ = run
  lines = artifacts.read_history(str(model_dir / 'train_history.jsonl'))
  assert [line['step'] for line in lines] == list(range(LOOP, STEPS + 1, LOOP))
  for line in lines:
    assert {'total_loss', 'cls_loss', 'box_loss', 'learning_rate', 'images_per_second', 'seconds'} <= set(line)
    assert line['images_per_second'] > 0
  assert lines[-1]['learning_rate'] == pytest.approx(0.0, abs=1e-6)
  assert all(a['seconds'] < b['seconds'] for a, b in itertools.pairwise(lines))


def test_description_rebuilds_the_experiment(run, prefix):
  model_dir, _, _ = run
  again = params.load_params(config_files=str(model_dir))
  assert again.task.model.num_classes == 3
  assert again.task.train_data.input_path == prefix
  inline = topology.resolve(again.task.model.decoder.feature_pyramid.topology)
  assert inline == topology.resolve('nas_fpn', 3, 5)
  assert topology.resolve(str(model_dir / 'topology.json')) == inline
  labels = json.loads((model_dir / 'labels.json').read_text())
  assert labels == [{'label': 1, 'id': 7, 'name': 'red'}, {'label': 2, 'id': 9, 'name': 'blue'}]


def test_progress_is_told(run):
  _, metrics, shown = run
  lines = shown.splitlines()
  assert sum(line.startswith('train ') for line in lines) == STEPS // LOOP
  assert 'images/s' in shown and 'left' in shown and 'lr ' in shown
  assert f'eval at step {STEPS}  AP {metrics["AP"]:.3f}' in shown
  assert '5 images' in shown
  assert 'orbit' not in shown and 'steps/sec' not in shown


def summaries(directory):
  """{tag: number of entries} of the TensorBoard events in a directory."""
  tags = {}
  for path in directory.glob('events*'):
    for record in tf.data.TFRecordDataset(str(path)):
      for value in event_pb2.Event.FromString(record.numpy()).summary.value:
        tags[value.tag] = tags.get(value.tag, 0) + 1
  return tags


def test_tensorboard(run):
  model_dir, _, _ = run
  train, validation = summaries(model_dir / 'train'), summaries(model_dir / 'validation')
  assert train['total_loss'] == train['learning_rate'] == train['images_per_second'] == STEPS // LOOP
  assert validation['AP'] == validation['AP/red'] == validation['detections'] == STEPS // INTERVAL


def test_evaluation_alone_gives_the_same(run, prefix):
  model_dir, metrics, _ = run
  before = (model_dir / 'params.yaml').read_text()
  again = trainer.run(experiment(prefix), 'eval', str(model_dir), stream=io.StringIO())
  for name in (*trainer.COCO_METRICS, 'AP/red', 'AP/blue'):
    assert again[name] == pytest.approx(metrics[name], abs=1e-6), name
  assert again['validation_loss'] == pytest.approx(metrics['validation_loss'], rel=1e-4)
  assert (model_dir / 'params.yaml').read_text() == before


def test_a_finished_run_has_nothing_to_do(run, prefix):
  model_dir, _, _ = run
  before = sorted(os.listdir(model_dir))
  assert trainer.run(experiment(prefix), 'train', str(model_dir), stream=io.StringIO()) == {}
  assert sorted(os.listdir(model_dir)) == before


def test_a_run_that_was_killed_in_its_last_evaluation_is_evaluated(run, prefix):
  model_dir, metrics, _ = run
  (model_dir / 'eval.json').unlink()
  again = trainer.run(experiment(prefix), 'train_and_eval', str(model_dir), stream=io.StringIO())
  assert again['AP'] == pytest.approx(metrics['AP'], abs=1e-6)
  assert json.loads((model_dir / 'eval.json').read_text())['AP'] == again['AP']


def test_another_architecture_is_refused(run, prefix):
  model_dir, _, _ = run
  wider = experiment(prefix, task={'model': {'decoder': {'feature_pyramid': {'num_filters': 24}}}})
  with pytest.raises(ValueError, match='num_filters is 16 there and 24 here'):
    trainer.run(wider, 'train', str(model_dir), stream=io.StringIO())


def test_wrong_calls(run, prefix, tmp_path):
  model_dir, _, _ = run
  with pytest.raises(ValueError, match='mode'):
    trainer.run(experiment(prefix), 'validate', str(tmp_path))
  with pytest.raises(ValueError, match='no checkpoint'):
    trainer.run(experiment(prefix), 'eval', str(tmp_path))
  with pytest.raises(ValueError, match='checkpoint_path'):
    trainer.run(experiment(prefix), 'train', str(tmp_path), checkpoint_path=str(model_dir))


@pytest.mark.parametrize(
  ('task', 'message'),
  [
    ({'init_checkpoint': 'imagnet'}, r"task\.init_checkpoint: imagnet is not a checkpoint.*'imagenet' and 'none'"),
    ({'model': {'head': {'num_convs': -1}}}, r'model\.head\.num_convs is -1'),
  ],
)
def test_wrong_settings_are_refused_before_anything_is_written(prefix, tmp_path, task, message):
  with pytest.raises(ValueError, match=message):
    trainer.run(experiment(prefix, task=task), 'train', str(tmp_path / 'run'), report=True)
  assert not (tmp_path / 'run').exists()


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_batch(run, prefix, tmp_path):
  diverging = experiment(prefix)
  diverging.override(
    {
      'task': {'train_data': {'global_batch_size': 2}},
      'trainer': {
        'train_steps': 8,
        'steps_per_loop': 4,
        'summary_interval': 4,
        'checkpoint_interval': 4,
        'optimizer_config': {
          'optimizer': {'type': 'sgd', 'sgd': {'global_clipnorm': None}},
          # The first loop trains as it should; in the second one every weight explodes.
          'learning_rate': {'type': 'stepwise', 'stepwise': {'boundaries': [3, 4], 'values': [1e-4, 1e-4, 1e38]}},
        },
      },
    }
  )
  with pytest.raises(nonfinite.NonFiniteLossError, match=r'at step [678], on the batch of images 10\d, 10\d') as error:
    trainer.run(diverging, 'train', str(tmp_path), stream=io.StringIO())
  assert 'learning rate' in str(error.value)
  assert [checkpoints.step_of(path) for path in checkpoints.available(str(tmp_path))] == [4]
  path = checkpoints.newest_intact(str(tmp_path))
  names = [name for name, _ in tf.train.list_variables(path) if name.endswith('kernel/.ATTRIBUTES/VARIABLE_VALUE')]
  assert names and all(np.all(np.isfinite(tf.train.load_variable(path, name))) for name in names)
