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

"""Training and evaluating with exits: losses, one evaluation pass for all, runs that start from other exits."""

import json

import numpy as np
import pytest
import tensorflow as tf
import yaml

from nasfpn_tf import zoo
from nasfpn_tf.modeling import anytime
from nasfpn_tf.training import checkpoints, compatibility, trainer
from nasfpn_tf.training.task import DetectionTask
from tests.training import rectangles

NUM_EXITS = 2
MODEL = {'decoder': {'feature_pyramid': {'num_repeats': NUM_EXITS}}, 'anytime': {'enabled': True}}


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=4, num_shards=1)


def experiment(prefix, **overrides):
  params = rectangles.experiment(prefix, task={'model': MODEL, 'allow_image_summary': False})
  params.override(overrides)
  return params


@pytest.fixture(scope='module')
def run(prefix, tmp_path_factory):
  """(model_dir, metrics) of a short training with a moving average."""
  directory = str(tmp_path_factory.mktemp('run'))
  params = experiment(prefix, trainer={'optimizer_config': {'ema': {'average_decay': 0.5}}})
  return directory, trainer.run(params, 'train_and_eval', directory)


def task_of(prefix, **overrides):
  params = experiment(prefix, task=overrides).task
  params.model.num_classes = 3
  params.annotation_file = f'{prefix}.annotations.json'
  return DetectionTask(params, labels=[{'label': 1, 'id': 7, 'name': 'red'}, {'label': 2, 'id': 9, 'name': 'blue'}])


def one_batch(task):
  return next(iter(task.build_inputs(task.task_config.train_data)))


def test_the_loss_is_the_weighted_sum_over_exits(prefix):
  task = task_of(prefix, model={'anytime': {'loss_weights': [0.25, 2.0]}}, losses={'l2_weight_decay': 1e-2})
  model = task.build_model()
  images, labels = one_batch(task)
  outputs = model(images, training=True)
  total, *rest = task.build_losses(outputs, labels, model.losses)
  of_exits = [task.build_losses(exit_outputs, labels) for exit_outputs in outputs['exits']]
  expected = [0.25 * float(first) + 2.0 * float(last) for first, last in zip(*of_exits, strict=True)]
  np.testing.assert_allclose([float(value) for value in rest], expected[1:], rtol=1e-5)
  # Of the kernels that the heads share, the decay counts once.
  kernels = [v for v in model.trainable_variables if 'kernel' in v.name]
  assert len({id(v) for v in kernels}) == len(kernels)
  decay = 1e-2 * sum(float(tf.nn.l2_loss(v)) for v in kernels)
  assert float(total) == pytest.approx(expected[0] + decay, rel=1e-4)


def test_equal_weights_sum_to_one(prefix):
  task = task_of(prefix)
  images, labels = one_batch(task)
  outputs = task.build_model()(images, training=True)
  of_exits = [float(task.build_losses(exit_outputs, labels)[0]) for exit_outputs in outputs['exits']]
  assert float(task.build_losses(outputs, labels)[0]) == pytest.approx(np.mean(of_exits), rel=1e-5)


def test_one_validation_step_has_the_detections_of_every_exit(prefix):
  task = task_of(prefix)
  model = task.build_model()
  images, labels = next(iter(task.build_inputs(task.task_config.validation_data)))
  logs = task.validation_step((images, labels), model)
  found = [*logs['early_detections'], logs['detections']]
  assert len(found) == NUM_EXITS
  for exit_stage, detections in enumerate(found, start=1):
    expected = model.at_exit(exit_stage)(images, image_shape=labels['image_info'][:, 1], training=False)
    for name in ('boxes', 'scores', 'classes'):
      np.testing.assert_array_equal(detections[name], expected[f'detection_{name}'])


def test_every_exit_has_its_own_metrics(prefix):
  """Exit 1 finds everything, exit 2 nothing."""
  task = task_of(prefix)
  task.build_metrics(training=False)
  with open(f'{prefix}.annotations.json', encoding='utf-8') as file:
    truth = json.load(file)
  state = None
  for image in truth['images']:
    boxes = [a for a in truth['annotations'] if a['image_id'] == image['id']]
    corners = [[y, x, y + height, x + width] for x, y, width, height in (a['bbox'] for a in boxes)]
    right = {
      'source_ids': (tf.constant([image['id']]),),
      'image_info': (tf.constant([[[128.0, 128.0], [128.0, 128.0], [1.0, 1.0], [0.0, 0.0]]]),),
      'boxes': (tf.constant([corners], tf.float32),),
      'scores': (tf.ones([1, len(boxes)]),),
      'classes': (tf.constant([[{7: 1, 9: 2}[a['category_id']] for a in boxes]]),),
      'num_detections': (tf.constant([len(boxes)]),),
    }
    nothing = {**right, 'num_detections': (tf.constant([0]),)}
    state = task.aggregate_logs(state, {'detections': nothing, 'early_detections': [right]})
  metrics = task.reduce_aggregated_logs(state)
  assert metrics['exit_1/AP'] == metrics['exit_1/AP50'] == pytest.approx(1.0)
  assert metrics['AP'] == metrics['exit_2/AP'] == 0
  assert {'AP/red', 'AP/blue', 'exit_1/ARmax100'} <= set(metrics) and 'exit_1/AP/red' not in metrics
  assert 'exit_1/AP  1.0000' in trainer.metrics_table(metrics)


def test_a_run_reports_every_exit_and_can_be_evaluated_again(run):
  directory, metrics = run
  with open(f'{directory}/eval.json', encoding='utf-8') as file:
    saved = json.load(file)
  assert saved['exit_2/AP'] == saved['AP'] == metrics['AP'] and 'exit_1/AP' in saved and 'exit_3/AP' not in saved
  params = experiment('unused')
  with open(f'{directory}/params.yaml', encoding='utf-8') as file:
    params.override(yaml.safe_load(file))
  again = trainer.run(params, 'eval', f'{directory}/again', checkpoint_path=f'{directory}/best')
  assert {name for name in again if name.startswith('exit_')} == {name for name in saved if name.startswith('exit_')}
  for name in ('model_loss', 'cls_loss', 'box_loss'):
    assert again[name] == pytest.approx(metrics[name], rel=1e-4)


def test_a_run_loads_with_its_exits(run):
  model = zoo.load_detector(run[0])
  assert isinstance(model, anytime.AnytimeRetinaNet) and model.num_exits == NUM_EXITS
  assert set(model.at_exit(1)(tf.zeros([1, 128, 128, 3]), training=False)) >= {'detection_boxes'}


def test_runs_start_from_other_exits(run, prefix, tmp_path):
  trained = zoo.load_detector(run[0])
  path = checkpoints.resolve(f'{run[0]}/best')
  single = task_of(
    prefix,
    init_checkpoint=path,
    model={'anytime': {'enabled': False}, 'decoder': {'feature_pyramid': {'num_repeats': 1}}},
  )
  model = single.build_model()
  single.initialize(model)
  images = tf.random.stateless_normal([1, 128, 128, 3], [0, 1])
  expected = trained.at_exit(1)(images, training=False)['cls_outputs']
  tf.nest.map_structure(np.testing.assert_array_equal, model(images, training=False)['cls_outputs'], expected)
  path = tf.train.Checkpoint(**model.checkpoint_items).write(str(tmp_path / 'ckpt-1'))
  deeper = task_of(prefix, init_checkpoint=path)
  with pytest.raises(ValueError, match='does not fit the model'):
    deeper.initialize(deeper.build_model())


def test_what_was_trained_before_there_were_exits_is_still_itself(run, tmp_path):
  """A params.yaml without the section `anytime` describes a model with one exit."""
  with open(f'{run[0]}/params.yaml', encoding='utf-8') as file:
    saved = yaml.safe_load(file)
  config = experiment('unused')
  config.override(saved)
  del saved['task']['model']['anytime']
  (tmp_path / 'params.yaml').write_text(yaml.safe_dump(saved))
  (tmp_path / 'ckpt-1.index').write_text('')
  with pytest.raises(ValueError, match=r'task\.model\.anytime is None there'):
    compatibility.check_architecture(str(tmp_path), config.task.model)
  config.task.model.anytime.enabled = False
  compatibility.check_architecture(str(tmp_path), config.task.model)
