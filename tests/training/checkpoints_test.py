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

"""Half-written checkpoints are passed over, the interval is kept, the best is kept, another architecture is refused."""

import json

import pytest
import tensorflow as tf
from official.core import exp_factory
from official.modeling import hyperparams

from nasfpn_tf.training import checkpoints, compatibility, experiments  # noqa: F401


def save(directory, steps, size=1000):
  value = tf.Variable(tf.zeros([size]))
  checkpoint = tf.train.Checkpoint(value=value)
  manager = tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=None)
  for step in steps:
    value.assign(tf.fill([size], float(step)))
    manager.save(checkpoint_number=step)


def data_file(directory, step):
  return directory / f'ckpt-{step}.data-00000-of-00001'


def test_newest_is_by_step_not_by_name(tmp_path):
  save(tmp_path, [9, 10, 100])
  assert [checkpoints.step_of(path) for path in checkpoints.available(str(tmp_path))] == [100, 10, 9]
  assert checkpoints.newest_intact(str(tmp_path)).endswith('ckpt-100')


def test_nothing_there(tmp_path):
  assert checkpoints.newest_intact(str(tmp_path)) is None
  assert checkpoints.newest_intact(str(tmp_path / 'missing')) is None
  with pytest.raises(ValueError, match='no checkpoint'):
    checkpoints.resolve(str(tmp_path))
  with pytest.raises(ValueError, match=r'ckpt-7\.index does not exist'):
    checkpoints.resolve(str(tmp_path / 'ckpt-7'))


def truncate(path):
  path.write_bytes(path.read_bytes()[:-100])


def empty(path):
  path.write_bytes(b'')


def flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 0xFF
  path.write_bytes(bytes(content))


def remove(path):
  path.unlink()


@pytest.mark.parametrize('damage', [truncate, empty, flip, remove])
def test_damaged_data_is_passed_over(tmp_path, damage):
  save(tmp_path, [10, 20])
  damage(data_file(tmp_path, 20))
  assert checkpoints.broken(str(tmp_path / 'ckpt-20'))
  assert checkpoints.newest_intact(str(tmp_path)).endswith('ckpt-10')


@pytest.mark.parametrize('damage', [truncate, empty])
def test_damaged_index_is_passed_over(tmp_path, damage):
  save(tmp_path, [10, 20])
  damage(tmp_path / 'ckpt-20.index')
  assert checkpoints.newest_intact(str(tmp_path)).endswith('ckpt-10')


def test_a_checkpoint_that_has_lost_its_index_is_told(tmp_path, caplog):
  directory = str(tmp_path)
  save(tmp_path, [2, 4])
  (tmp_path / 'ckpt-4.index').unlink()
  assert checkpoints.newest_intact(directory) == f'{directory}/ckpt-2'
  assert f'{directory}/ckpt-4 has no .index' in caplog.text
  assert checkpoints.without_index(directory) == [f'{directory}/ckpt-4']
  (tmp_path / 'ckpt-2.index').unlink()
  with pytest.raises(ValueError, match=r'ckpt-4\.index is missing.*copy it again'):
    checkpoints.resolve(directory)


def test_no_whole_checkpoint_is_an_error(tmp_path):
  save(tmp_path, [10])
  truncate(data_file(tmp_path, 10))
  with pytest.raises(ValueError, match='None of the 1 checkpoints'):
    checkpoints.newest_intact(str(tmp_path))


def test_manager_keeps_its_interval_and_saves_a_step_once(tmp_path):
  checkpoint = tf.train.Checkpoint(value=tf.Variable(0.0))
  step = tf.Variable(0, dtype=tf.int64)
  manager = checkpoints.CheckpointManager(
    checkpoint, str(tmp_path), max_to_keep=None, step_counter=step, checkpoint_interval=10
  )
  manager.start_at(5)
  saved = []
  for number in range(6, 40, 3):
    step.assign(number)
    saved += [number] if manager.save(checkpoint_number=number, check_interval=True) else []
  assert saved == [15, 27, 39]
  assert manager.save(checkpoint_number=39, check_interval=False) is None
  step.assign(40)
  assert manager.save(checkpoint_number=40, check_interval=False)


def test_a_checkpoint_of_no_use_is_set_aside(tmp_path):
  value = tf.Variable(0.0)
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(value=value), str(tmp_path), None, checkpoint_name='ckpt')
  for step in (10, 20):
    manager.save(step)
  assert checkpoints.set_aside(str(tmp_path), 30) is None
  assert 'continues from' in checkpoints.set_aside(str(tmp_path), 20)
  good = str(tmp_path / 'ckpt-10')
  assert checkpoints.newest_intact(str(tmp_path)) == tf.train.latest_checkpoint(str(tmp_path)) == good
  assert checkpoints.broken(str(tmp_path / 'diverged-20')) is None, 'kept for whoever wants to look at it'
  assert 'starts from the beginning' in checkpoints.set_aside(str(tmp_path), 10)
  assert checkpoints.newest_intact(str(tmp_path)) is None and tf.train.latest_checkpoint(str(tmp_path)) is None


def test_weights_that_are_no_numbers_are_never_the_best(tmp_path):
  best = checkpoints.BestCheckpoint(str(tmp_path / 'best'), 'AP', higher_is_better=True)
  checkpoint = tf.train.Checkpoint(value=tf.Variable(1.0))
  assert not best.maybe_export_checkpoint(checkpoint, {'AP': 0.0, 'validation_loss': float('nan')}, 10)
  assert best.maybe_export_checkpoint(checkpoint, {'AP': 0.0, 'validation_loss': 1.0}, 20)


def test_best_checkpoint_outlives_a_restart(tmp_path):
  value = tf.Variable(1.0)
  checkpoint = tf.train.Checkpoint(value=value)
  directory = str(tmp_path / 'best')
  best = checkpoints.BestCheckpoint(directory, 'AP', higher_is_better=True)
  assert best.maybe_export_checkpoint(checkpoint, {'AP': 0.3, 'loss': 1.0}, 10)
  value.assign(2.0)
  assert not best.maybe_export_checkpoint(checkpoint, {'AP': 0.2}, 20)
  again = checkpoints.BestCheckpoint(directory, 'AP', higher_is_better=True)
  assert not again.maybe_export_checkpoint(checkpoint, {'AP': 0.3}, 30)
  assert again.best_ckpt_logs['AP'] == 0.3
  assert tf.train.load_checkpoint(checkpoints.resolve(directory)).get_tensor('value/.ATTRIBUTES/VARIABLE_VALUE') == 1.0
  assert again.maybe_export_checkpoint(checkpoint, {'AP': 0.5}, 40)
  assert json.loads((tmp_path / 'best' / 'eval.json').read_text()) == {'AP': 0.5, 'step': 40}
  assert [checkpoints.step_of(path) for path in checkpoints.available(directory)] == [40]


@pytest.mark.parametrize(
  ('text', 'message'), [('{"AP": 0.', 'not JSON'), ('[]', 'has no AP'), ('{"AP": "x"}', 'has no AP')]
)
def test_a_damaged_best_evaluation_is_named(text, message, tmp_path):
  (tmp_path / 'eval.json').write_text(text)
  with pytest.raises(ValueError, match=rf'eval\.json: {message}'):
    checkpoints.BestCheckpoint(str(tmp_path), 'AP', higher_is_better=True)


def test_the_metrics_of_a_best_checkpoint_that_is_gone_do_not_count(tmp_path, caplog):
  (tmp_path / 'eval.json').write_text('{"AP": 0.9, "step": 8}')
  best = checkpoints.BestCheckpoint(str(tmp_path), 'AP', higher_is_better=True)
  assert best.best_ckpt_logs == {'AP': -float('inf')} and 'its checkpoint is gone' in caplog.text


def test_best_checkpoint_of_a_loss_and_nan(tmp_path):
  checkpoint = tf.train.Checkpoint(value=tf.Variable(1.0))
  best = checkpoints.BestCheckpoint(str(tmp_path), 'loss', higher_is_better=False)
  assert not best.maybe_export_checkpoint(checkpoint, {'loss': float('nan')}, 1)
  assert best.maybe_export_checkpoint(checkpoint, {'loss': 3.0}, 2)
  assert not best.maybe_export_checkpoint(checkpoint, {'loss': 4.0}, 3)
  assert best.maybe_export_checkpoint(checkpoint, {'loss': 2.0}, 4)
  with pytest.raises(ValueError, match='best_checkpoint_eval_metric'):
    best.maybe_export_checkpoint(checkpoint, {'AP': 1.0}, 5)


def test_another_worker_leaves_no_files(tmp_path):
  best = checkpoints.BestCheckpoint(str(tmp_path / 'best'), 'AP', higher_is_better=True, is_chief=False)
  assert best.maybe_export_checkpoint(tf.train.Checkpoint(value=tf.Variable(1.0)), {'AP': 0.3}, 10)
  assert not (tmp_path / 'best').exists()


@pytest.fixture
def model_dir(tmp_path):
  """A model_dir with a checkpoint and the params.yaml of the default experiment."""
  save(tmp_path, [10])
  params = exp_factory.get_exp_config('nasfpn_retinanet')
  hyperparams.save_params_dict_to_yaml(params, str(tmp_path / 'params.yaml'))
  return tmp_path, params


@pytest.mark.parametrize(
  'change, key',
  [
    ({'decoder': {'feature_pyramid': {'num_filters': 64}}}, 'decoder.feature_pyramid.num_filters is 256 there and 64'),
    ({'backbone': {'resnet': {'model_id': 18}}}, 'backbone.resnet.model_id is 50 there and 18'),
    ({'backbone': {'type': 'applications'}}, 'backbone.type'),
    ({'num_classes': 4}, 'num_classes'),
    ({'head': {'num_convs': 2}}, 'head.num_convs'),
    ({'decoder': {'feature_pyramid': {'topology': 'bifpn'}}}, 'topology'),
  ],
)
def test_another_architecture_is_named(model_dir, change, key):
  directory, params = model_dir
  params.task.model.override(change)
  with pytest.raises(ValueError, match=key):
    compatibility.check_architecture(str(directory), params.task.model)


@pytest.mark.parametrize(
  'text, message',
  [
    ('[' * 5000, 'nested deeper than 64 levels'),
    ('task: {model: 3}', 'it has no task.model'),
    ('', 'it has no task.model'),
    ('task: {model: {}, model: {}}', "key 'model' is given twice"),
  ],
)
def test_a_broken_description_is_named(model_dir, text, message):
  directory, params = model_dir
  (directory / 'params.yaml').write_text(text)
  for check in (compatibility.check_architecture, compatibility.check_function):
    path = directory if check is compatibility.check_architecture else directory / 'ckpt-10'
    with pytest.raises(ValueError, match=rf'params\.yaml: .*{message}.*restore it from a copy'):
      check(str(path), params.task.model)


@pytest.mark.parametrize(
  'change',
  [
    {},
    {'detection_generator': {'pre_nms_score_threshold': 0.3}},
    {'input_size': [512, 512, 3]},
    {'decoder': {'feature_pyramid': {'dropblock_keep_prob': 0.9, 'dropblock_ramp_steps': 9}}},
    {'backbone': {'resnet': {'stochastic_depth_drop_rate': 0.2}}},
    {'decoder': {'fpn': {'num_filters': 3}}},
    {'norm_activation': {'norm_momentum': 0.9}},
  ],
)
def test_what_changes_no_weight_may_change(model_dir, change):
  directory, params = model_dir
  params.task.model.override(change)
  compatibility.check_architecture(str(directory), params.task.model)


@pytest.mark.parametrize(
  'text', ['task: {model: 3}', 'task: [', '- 1', "task: {model: {backbone: {type: 'resnet'}}}", '\0']
)
def test_a_params_yaml_of_something_else_is_named(model_dir, text):
  directory, params = model_dir
  (directory / 'params.yaml').write_text(text)
  for check, path in (
    (compatibility.check_architecture, str(directory)),
    (compatibility.check_function, str(directory / 'ckpt-10')),
  ):
    with pytest.raises(ValueError, match=r'params.yaml: not what a training writes'):
      check(path, params.task.model)


@pytest.mark.parametrize('weights', ['variables/variables', 'assets.extra/weights'])
def test_a_saved_model_names_its_checkpoint(tmp_path, weights):
  version = tmp_path / 'exported' / '2'
  path = version / weights
  path.parent.mkdir(parents=True)
  tf.train.Checkpoint(value=tf.Variable(1.0)).write(str(path))
  (version / 'saved_model.pb').touch()
  for reference in (version, version.parent):
    assert checkpoints.resolve(str(reference)) == str(path)


def test_a_saved_model_without_a_checkpoint_is_named(tmp_path):
  (tmp_path / 'saved_model.pb').touch()
  with pytest.raises(ValueError, match='variables is not a checkpoint'):
    checkpoints.resolve(str(tmp_path))


def test_a_new_model_dir_is_fine(tmp_path):
  compatibility.check_architecture(str(tmp_path), exp_factory.get_exp_config('nasfpn_retinanet').task.model)
