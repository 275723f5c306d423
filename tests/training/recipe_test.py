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

"""What a recipe derives from the records, and the errors where things do not fit."""

import json

import pytest
from official.core import exp_factory

from nasfpn_tf.data.records import manifest as manifest_lib
from nasfpn_tf.training import experiments, recipe  # noqa: F401
from tests.data import synthetic
from tests.training import rectangles


def write_set(directory, name, labels, num_records=10, scheme='contiguous'):
  prefix = directory / name
  shard = f'{name}-00000-of-00001.tfrecord'
  (directory / shard).write_bytes(b'')
  value = manifest_lib.Manifest(
    num_records=num_records,
    num_classes=max(label for label, _, _ in labels) + 1,
    labels=tuple({'label': label, 'id': i, 'name': n} for label, i, n in labels),
    shards=(manifest_lib.Shard(shard, num_records, 0),),
    label_scheme=scheme,
  )
  (directory / f'{name}{manifest_lib.SUFFIX}').write_text(json.dumps(value.to_dict()))
  (directory / f'{name}{manifest_lib.ANNOTATIONS_SUFFIX}').write_text('{}')
  return str(prefix)


CELLS = [(1, 1, 'RBC'), (2, 2, 'WBC')]


def experiment(train, validation=None):
  params = exp_factory.get_exp_config('nasfpn_retinanet')
  params.task.train_data.input_path = train
  params.task.validation_data.input_path = validation or train
  return params


def test_classes_annotations_and_counts_come_from_the_manifest(tmp_path):
  train = write_set(tmp_path, 'train', CELLS, 12)
  validation = write_set(tmp_path, 'val', CELLS, 5)
  params = experiment(train, validation)
  completed = recipe.complete(params, 'train_and_eval')
  assert completed.params.task.model.num_classes == 3
  assert completed.params.task.annotation_file == validation + '.annotations.json'
  assert (completed.num_train_images, completed.num_validation_images) == (12, 5)
  assert completed.labels[0] == {'label': 1, 'id': 1, 'name': 'RBC'}
  assert params.task.model.num_classes == 0, 'the experiment that was given must stay as it is'
  # What is saved follows the records of whoever loads it.
  assert completed.saved.task.annotation_file is None and completed.saved.task.model.num_classes == 3


def test_training_takes_several_sets_of_records(tmp_path):
  train, validation = write_set(tmp_path, 'train', CELLS, 12), write_set(tmp_path, 'val', CELLS, 5)
  completed = recipe.complete(experiment([f'{train}-*', f'{validation}-*'], validation), 'train_and_eval')
  assert (completed.num_train_images, completed.num_validation_images) == (17, 5)


def test_several_sets_to_evaluate_need_their_common_annotations(tmp_path):
  train, validation = write_set(tmp_path, 'train', CELLS, 12), write_set(tmp_path, 'val', CELLS, 5)
  params = experiment(train, f'{train}-*,{validation}-*')
  with pytest.raises(ValueError, match=r'several sets of records.*task\.annotation_file'):
    recipe.complete(params, 'eval')
  params.task.annotation_file = 'both.json'
  assert recipe.complete(params, 'eval').params.task.annotation_file == 'both.json'


@pytest.mark.parametrize('mode, keys', [('train', {'train_data'}), ('eval', {'validation_data'})])
def test_only_the_records_of_the_mode_are_needed(tmp_path, mode, keys):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  for key in {'train_data', 'validation_data'} - keys:
    getattr(params.task, key).input_path = ''
  assert recipe.complete(params, mode).params.task.model.num_classes == 3


@pytest.mark.parametrize('num_classes', [2, 4])
def test_wrong_number_of_classes(tmp_path, num_classes):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  params.task.model.num_classes = num_classes
  with pytest.raises(ValueError, match=rf'num_classes is {num_classes}.*makes 3'):
    recipe.complete(params, 'train')


def test_category_ids_as_labels_may_leave_classes_unused(tmp_path):
  params = experiment(write_set(tmp_path, 'set', [(1, 1, 'person'), (44, 44, 'bottle')], scheme='category_id'))
  params.task.model.num_classes = 91
  assert recipe.complete(params, 'train').params.task.model.num_classes == 91
  params.task.model.num_classes = 44
  with pytest.raises(ValueError, match='labels up to 44'):
    recipe.complete(params, 'train')


def test_training_and_validation_must_mean_the_same(tmp_path):
  train = write_set(tmp_path, 'train', CELLS)
  validation = write_set(tmp_path, 'val', [(1, 2, 'WBC'), (2, 3, 'platelet')])
  with pytest.raises(ValueError, match=r'Label 1 is category .*RBC.* and .*WBC'):
    recipe.complete(experiment(train, validation), 'train_and_eval')


def test_records_without_a_manifest_need_the_number_of_classes_alone(tmp_path):
  image = synthetic.encode(synthetic.image(20, 40))
  records = [synthetic.example(image, [[0.1, 0.2, 0.5, 0.6]], [label], str(label)) for label in (1, 2)]
  synthetic.write(tmp_path / 'bare-00000-of-00001.tfrecord', records)
  params = experiment(str(tmp_path / 'bare-*'))
  with pytest.raises(ValueError, match='num_classes is 0'):
    recipe.complete(params, 'train')
  params.task.model.num_classes = 3
  completed = recipe.complete(params, 'train')
  assert completed.labels is None and completed.ground_truth is None
  completed = recipe.complete(params, 'train_and_eval')
  assert [item['id'] for item in completed.ground_truth['images']] == [1, 2]
  assert completed.labels == [{'label': k, 'id': k, 'name': str(k)} for k in (1, 2)]
  assert completed.num_validation_images == 2
  assert any('2 boxes on 2 images, from the validation records' in note for note in completed.notes)
  params.task.annotation_file = 'mine.json'
  assert recipe.complete(params, 'eval').ground_truth is None


def test_annotations_that_are_gone_are_made_from_the_records(tmp_path):
  prefix = rectangles.write(tmp_path, num_images=4)
  params = experiment(prefix)
  assert recipe.complete(params, 'eval').ground_truth is None
  with open(f'{prefix}.annotations.json') as file:
    written = json.load(file)
  (tmp_path / 'set.annotations.json').unlink()
  made = recipe.complete(params, 'eval').ground_truth
  assert made['categories'] == written['categories'], "the user's own ids"
  key = lambda item: (item['image_id'], item['category_id'], item['bbox'])  # noqa: E731
  of_records, of_file = (sorted(value['annotations'], key=key) for value in (made, written))
  assert len(of_records) == len(of_file)
  for a, b in zip(of_records, of_file, strict=True):
    assert (a['image_id'], a['category_id'], a['iscrowd']) == (b['image_id'], b['category_id'], b['iscrowd'])
    assert a['bbox'] == pytest.approx(b['bbox'], abs=1e-4) and a['area'] == b['area']


def test_missing_records_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nowhere'):
    recipe.complete(experiment(str(tmp_path / 'nowhere-*')), 'train')
  with pytest.raises(ValueError, match=r'task\.train_data\.input_path is not set'):
    recipe.complete(experiment(''), 'train')


@pytest.mark.parametrize('batch_size', [16, 64, 256])
def test_learning_rates_follow_the_batch(tmp_path, batch_size):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  params.task.train_data.global_batch_size = batch_size
  completed = recipe.complete(params, 'train')
  config = completed.params.trainer.optimizer_config
  factor = batch_size / 64
  assert config.learning_rate.stepwise.values == pytest.approx([0.08 * factor, 0.008 * factor, 0.0008 * factor])
  assert config.learning_rate.stepwise.values[0] / batch_size == pytest.approx(0.00125)
  assert config.warmup.linear.warmup_learning_rate == pytest.approx(0.0067 * factor)
  assert config.warmup.linear.warmup_steps == 500
  # The saved experiment says what its rates are written for, so training it again changes nothing.
  again = recipe.complete(completed.saved, 'train').params.trainer.optimizer_config
  assert again.learning_rate.stepwise.values == config.learning_rate.stepwise.values


def test_small_batches_are_warned_of(tmp_path):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  optimizer = params.trainer.optimizer_config

  def warnings(**kwargs):
    return [note for note in recipe.complete(params, 'train', **kwargs).notes if note.startswith('warning')]

  assert not warnings() and optimizer.optimizer.sgd.global_clipnorm == 10.0 and optimizer.warmup.type == 'linear'
  params.task.train_data.global_batch_size = 31
  (warning,) = warnings()
  assert warning.startswith(
    'warning: batch 31 is under 32, at which stacked pyramids are less stable: docs/training.md'
  )
  optimizer.optimizer.sgd.global_clipnorm = None
  optimizer.warmup.type = None
  assert 'no clipping of the gradients and no warm-up' in warnings()[0]
  params.task.train_data.global_batch_size = 64
  params.task.model.norm_activation.use_sync_bn = False
  assert not warnings(num_replicas=4)
  assert 'from 8 images' in warnings(num_replicas=8)[0]
  params.task.model.norm_activation.use_sync_bn = True
  assert not warnings(num_replicas=8)


@pytest.mark.parametrize(
  'schedule',
  [
    {'type': 'constant', 'constant': {'learning_rate': 1.0}},
    {'type': 'cosine', 'cosine': {'initial_learning_rate': 1.0, 'decay_steps': 10}},
    {'type': 'exponential', 'exponential': {'initial_learning_rate': 1.0, 'decay_steps': 10, 'decay_rate': 0.5}},
    {'type': 'polynomial', 'polynomial': {'initial_learning_rate': 1.0, 'end_learning_rate': 1.0, 'decay_steps': 10}},
  ],
)
def test_every_schedule_is_scaled(tmp_path, schedule):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  params.trainer.optimizer_config.override({'learning_rate': schedule})
  params.task.train_data.global_batch_size = 32
  before = params.trainer.optimizer_config.learning_rate.get().as_dict()
  after = recipe.complete(params, 'train').params.trainer.optimizer_config.learning_rate.get().as_dict()
  changed = {key for key in before if before[key] != after[key]}
  assert changed == {key for key in before if key.endswith('learning_rate') and before[key]}
  assert all(after[key] == 0.5 for key in changed)


def test_unscaled_where_no_batch_is_given(tmp_path):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  params.trainer.learning_rate_batch_size = 0
  params.task.train_data.global_batch_size = 2
  completed = recipe.complete(params, 'train')
  assert completed.params.trainer.optimizer_config.learning_rate.stepwise.values == [0.08, 0.008, 0.0008]


def test_topology_is_written_inline(tmp_path):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  text = recipe.complete(params, 'train').saved.task.model.decoder.feature_pyramid.topology
  assert json.loads(text)['name'] == 'nas_fpn'


def test_summary_interval_becomes_a_multiple_of_the_loop(tmp_path):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  params.trainer.steps_per_loop, params.trainer.summary_interval = 30, 100
  assert recipe.complete(params, 'train').params.trainer.summary_interval == 120


@pytest.mark.parametrize('key', ['train_steps', 'steps_per_loop', 'validation_interval', 'checkpoint_interval'])
def test_intervals_must_be_positive(tmp_path, key):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  setattr(params.trainer, key, 0)
  with pytest.raises(ValueError, match=key):
    recipe.complete(params, 'train')


def test_batch_size_must_be_positive(tmp_path):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  params.task.train_data.global_batch_size = 0
  with pytest.raises(ValueError, match=r'task\.train_data\.global_batch_size'):
    recipe.complete(params, 'train')


def test_post_processing_for_a_tpu(tmp_path):
  params = experiment(write_set(tmp_path, 'set', CELLS))
  completed = recipe.complete(params, 'train', for_tpu=True)
  assert completed.params.task.model.detection_generator.nms_version == 'class_offset_xla'
  assert completed.saved.task.model.detection_generator.nms_version == 'class_offset'
  assert any('nms_version' in note for note in completed.notes)


def test_the_precision_is_resolved_said_and_kept(tmp_path, monkeypatch):
  train = write_set(tmp_path, 'train', CELLS, 2)
  monkeypatch.setattr(recipe.precision.processor, 'computes_bfloat16', lambda: True)
  completed = recipe.complete(experiment(train), 'train')
  kept = [params.runtime.mixed_precision_dtype for params in (completed.params, completed.saved)]
  assert kept == ['bfloat16', 'bfloat16']
  assert any('mixed_precision_dtype is bfloat16: the CPU has' in note for note in completed.notes)
  monkeypatch.setattr(recipe.precision.processor, 'computes_bfloat16', lambda: False)
  assert recipe.complete(experiment(train), 'train').params.runtime.mixed_precision_dtype == 'float32'
  assert recipe.complete(completed.saved, 'train').params.runtime.mixed_precision_dtype == 'bfloat16'
  assert recipe.complete(experiment(train), 'train', for_tpu=True).params.runtime.mixed_precision_dtype == 'bfloat16'
