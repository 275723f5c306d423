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

"""The registered recipe is the paper's."""

import pytest
from official.core import exp_factory, task_factory

from nasfpn_tf import config
from nasfpn_tf.training import registry_imports  # noqa: F401
from nasfpn_tf.training.task import DetectionTask


@pytest.fixture
def params():
  return exp_factory.get_exp_config('nasfpn_retinanet')


def test_recipe_of_the_paper(params):
  """arXiv 1904.07392, sec. 4.1: batch 64, 0.08, divided by 10 after epochs 30 and 40 of 50."""
  epoch = 118287 // 64
  assert params.trainer.train_steps == 50 * epoch
  assert params.task.train_data.global_batch_size == params.trainer.learning_rate_batch_size == 64
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.boundaries == [30 * epoch, 40 * epoch] and schedule.values == [0.08, 0.008, 0.0008]
  assert params.trainer.optimizer_config.optimizer.get().momentum == 0.9
  losses = params.task.losses
  assert (losses.focal_loss_alpha, losses.focal_loss_gamma, losses.l2_weight_decay) == (0.25, 1.5, 1e-4)
  assert (losses.huber_loss_delta, losses.box_loss_weight) == (0.1, 50)
  parser = params.task.train_data.parser
  assert (parser.aug_scale_min, parser.aug_scale_max, parser.aug_rand_hflip) == (0.8, 1.2, True)


def test_model_of_the_paper(params):
  model = params.task.model
  assert model.backbone.type == 'resnet' and model.backbone.resnet.model_id == 50
  pyramid = model.decoder.feature_pyramid
  assert (pyramid.topology, pyramid.num_repeats, pyramid.num_filters) == ('nas_fpn', 7, 256)
  assert model.input_size == [640, 640, 3] and (model.min_level, model.max_level) == (3, 7)


def test_it_keeps_the_best_checkpoint_by_ap_and_sees_every_validation_image(params):
  trainer = params.trainer
  assert (trainer.best_checkpoint_export_subdir, trainer.best_checkpoint_eval_metric) == ('best', 'AP')
  assert trainer.validation_steps == -1 and not params.task.validation_data.drop_remainder


def test_each_call_gives_a_new_one(params):
  params.task.model.num_classes = 7
  assert exp_factory.get_exp_config('nasfpn_retinanet').task.model.num_classes == 0


def test_the_task_is_registered(params):
  assert isinstance(params.task, config.DetectionTask)
  assert isinstance(task_factory.get_task(params.task), DetectionTask)


def test_recipe_of_spinenet():
  """Protocol B: the steps are those of the authors' files, whose epochs have 463 (500 epochs are 231500 steps)."""
  params = exp_factory.get_exp_config('spinenet_retinanet')
  assert params.trainer.train_steps == 350 * 463
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.boundaries == [320 * 463, 340 * 463] and schedule.values == pytest.approx([0.28, 0.028, 0.0028])
  assert params.task.train_data.global_batch_size == params.trainer.learning_rate_batch_size == 256
  assert params.trainer.optimizer_config.optimizer.get().global_clipnorm == 10.0
  assert params.task.losses.l2_weight_decay == 4e-5
  model = params.task.model
  assert (model.backbone.type, model.backbone.get().model_id, model.decoder.type) == ('spinenet', '49', 'identity')
  assert model.anchor.anchor_size == 3.0 and model.norm_activation.use_sync_bn
  parser = params.task.train_data.parser
  assert (parser.aug_scale_min, parser.aug_scale_max) == (0.5, 2.0)


def test_recipe_of_nasfpnlite():
  params = exp_factory.get_exp_config('nasfpnlite_retinanet')
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.decay_steps == params.trainer.train_steps == 50000 and schedule.initial_learning_rate == 0.08
  assert (params.trainer.optimizer_config.warmup.get().warmup_steps, params.task.losses.focal_loss_gamma) == (1000, 2.0)
  model = params.task.model
  assert (model.min_level, model.max_level, model.input_size) == (3, 6, [320, 320, 3])
  assert model.decoder.feature_pyramid.use_separable_conv and model.head.use_separable_conv
  assert model.norm_activation.activation == 'relu6'


def test_recipe_of_efficientdet():
  params = exp_factory.get_exp_config('efficientdet_retinanet')
  optimizer = params.trainer.optimizer_config
  assert params.trainer.train_steps == 300 * (118287 // 128) == optimizer.learning_rate.get().decay_steps
  assert (optimizer.learning_rate.get().initial_learning_rate, optimizer.ema.average_decay) == (0.16, 0.9998)
  assert params.task.losses.l2_weight_decay == 4e-5
  parser = params.task.train_data.parser
  assert (parser.aug_scale_min, parser.aug_scale_max) == (0.1, 2.0)
  model = params.task.model
  pyramid = model.decoder.feature_pyramid
  assert (pyramid.topology, pyramid.num_repeats, pyramid.num_filters) == ('bifpn', 3, 64)
  assert (model.head.num_convs, model.norm_activation.activation) == (3, 'swish')
