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

"""Registers experiments: recipes that the files of `configs/` start from."""

from collections.abc import Sequence
from typing import Any

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import optimization
from official.vision.configs import common, retinanet

from nasfpn_tf import config

COCO_TRAIN_IMAGES = 118287
COCO_NUM_CLASSES = 91  # Category ids of COCO end at 90; 0 is background.


@exp_factory.register_config_factory('nasfpn_retinanet')
def nasfpn_retinanet() -> cfg.ExperimentConfig:
  """Configures RetinaNet with ResNet-50, NAS-FPN 7 @ 256 at 640 pixels, trained as in arXiv 1904.07392, sec. 4.1.

  SGD of momentum 0.9, batch 64, learning rate 0.08 divided by 10 after 30 and 40 of 50 epochs, weight decay 1e-4, focal
  loss of alpha 0.25 and gamma 1.5, scale jitter 0.8 to 1.2. The warm-up (500 steps from 0.0067) and the batch norm's
  constants are those of the authors' code. Clipping at 10 is from their SpineNet: others have seen NAS-FPN diverge.
  With another batch the learning rates follow in proportion; the number of classes is read from the training records.
  The pyramids are residual, which the paper's are not; files of `configs/` that reproduce its figures turn that off.
  """
  batch_size = 64
  steps_per_epoch = COCO_TRAIN_IMAGES // batch_size
  return _experiment(
    config.Detector(
      decoder={'feature_pyramid': {'residual': True}},
      norm_activation=common.NormActivation(norm_momentum=0.997, norm_epsilon=1e-4),
    ),
    retinanet.Losses(l2_weight_decay=1e-4),
    config.Parser(aug_rand_hflip=True, aug_scale_min=0.8, aug_scale_max=1.2),
    batch_size,
    train_steps=50 * steps_per_epoch,
    optimizer={
      'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
      'learning_rate': _stepwise(0.08, [30 * steps_per_epoch, 40 * steps_per_epoch]),
      'warmup': {'type': 'linear', 'linear': {'warmup_steps': 500, 'warmup_learning_rate': 0.0067}},
    },
  )


@exp_factory.register_config_factory('spinenet_retinanet')
def spinenet_retinanet() -> cfg.ExperimentConfig:
  """Configures RetinaNet on SpineNet-49 at 640 pixels from scratch, trained by protocol B of arXiv 1912.05027.

  SGD of momentum 0.9 with clipping at 10, batch 256, learning rate 0.28 divided by 10 thirty and ten epochs before the
  end of 350, warm-up of 2000 steps, weight decay 4e-5, scale jitter 0.5 to 2.0, synchronized batch norm. Protocol A is
  250 epochs and jitter 0.8 to 1.2; protocol C 500 epochs with swish and stochastic depth. The constants are those of
  the authors' code, whose epochs have 463 steps.
  """
  steps_per_epoch = 463
  return _experiment(
    config.Detector(
      backbone={'type': 'spinenet'},
      decoder={'type': 'identity'},
      anchor=retinanet.Anchor(anchor_size=3.0),
      norm_activation=common.NormActivation(norm_momentum=0.997, norm_epsilon=1e-4, use_sync_bn=True),
    ),
    retinanet.Losses(l2_weight_decay=4e-5),
    config.Parser(aug_rand_hflip=True, aug_scale_min=0.5, aug_scale_max=2.0),
    batch_size=256,
    train_steps=350 * steps_per_epoch,
    optimizer={
      'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
      'learning_rate': _stepwise(0.28, [320 * steps_per_epoch, 340 * steps_per_epoch]),
      'warmup': {'type': 'linear', 'linear': {'warmup_steps': 2000, 'warmup_learning_rate': 0.0067}},
    },
  )


@exp_factory.register_config_factory('nasfpnlite_retinanet')
def nasfpnlite_retinanet() -> cfg.ExperimentConfig:
  """Configures RetinaNet with MobileNetV2 and NAS-FPNLite 3 @ 48 at 320 pixels, levels 3 to 6, ReLU6.

  No public copy of arXiv 1904.07392 states its mobile recipe. This one is that of the Object Detection API for FPNLite
  at 320 pixels: batch 128, 50000 steps, cosine from 0.08 with warm-up, weight decay 4e-5, focal loss of gamma 2;
  the anchors are those of its MnasFPN. Its random crops are scale jitter here. The pyramids are residual, as in
  `nasfpn_retinanet`.
  """
  train_steps = 50000
  return _experiment(
    config.Detector(
      max_level=6,
      input_size=[320, 320, 3],
      anchor=retinanet.Anchor(anchor_size=3.0),
      backbone={'type': 'applications', 'applications': {'name': 'mobilenet_v2', 'norm_momentum': 0.997}},
      decoder={'feature_pyramid': {'num_repeats': 3, 'num_filters': 48, 'use_separable_conv': True, 'residual': True}},
      head={'use_separable_conv': True},
      norm_activation=common.NormActivation(
        activation='relu6', norm_momentum=0.997, norm_epsilon=0.001, use_sync_bn=True
      ),
    ),
    retinanet.Losses(l2_weight_decay=4e-5, focal_loss_gamma=2.0),
    config.Parser(aug_rand_hflip=True, aug_scale_min=0.8, aug_scale_max=1.2),
    batch_size=128,
    train_steps=train_steps,
    optimizer={
      'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
      'learning_rate': {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.08, 'decay_steps': train_steps}},
      'warmup': {'type': 'linear', 'linear': {'warmup_steps': 1000, 'warmup_learning_rate': 0.026666}},
    },
  )


@exp_factory.register_config_factory('efficientdet_retinanet')
def efficientdet_retinanet() -> cfg.ExperimentConfig:
  """Configures EfficientDet-D0 at 512 pixels (arXiv 1911.09070): EfficientNet-B0, BiFPN 3 @ 64, separable head 3 x 64.

  SGD of momentum 0.9 with clipping at 10, batch 128, cosine from 0.16 over 300 epochs with one epoch of warm-up, weight
  decay 4e-5, moving average of 0.9998, scale jitter 0.1 to 2.0: arXiv 1911.09070, sec. 5.1, and the authors' code.
  """
  batch_size = 128
  steps_per_epoch = COCO_TRAIN_IMAGES // batch_size
  train_steps = 300 * steps_per_epoch
  return _experiment(
    config.Detector(
      input_size=[512, 512, 3],
      backbone={'type': 'applications', 'applications': {'name': 'efficientnet_b0', 'norm_momentum': 0.99}},
      decoder={
        'feature_pyramid': {
          'topology': 'bifpn',
          'num_repeats': 3,
          'num_filters': 64,
          'use_separable_conv': True,
          'project_each_edge': True,
        }
      },
      head={'num_convs': 3, 'use_separable_conv': True},
      norm_activation=common.NormActivation(
        activation='swish', norm_momentum=0.99, norm_epsilon=0.001, use_sync_bn=True
      ),
    ),
    retinanet.Losses(l2_weight_decay=4e-5),
    config.Parser(aug_rand_hflip=True, aug_scale_min=0.1, aug_scale_max=2.0),
    batch_size,
    train_steps,
    optimizer={
      'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
      'ema': {'average_decay': 0.9998, 'trainable_weights_only': False},
      'learning_rate': {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.16, 'decay_steps': train_steps}},
      'warmup': {'type': 'linear', 'linear': {'warmup_steps': steps_per_epoch, 'warmup_learning_rate': 0.008}},
    },
  )


def _experiment(
  model: config.Detector,
  losses: retinanet.Losses,
  parser: config.Parser,
  batch_size: int,
  train_steps: int,
  optimizer: dict[str, Any],
) -> cfg.ExperimentConfig:
  """Builds what the recipes share; 640 pixels unless the model says otherwise."""
  steps_per_epoch = COCO_TRAIN_IMAGES // batch_size
  model.input_size = model.input_size or [640, 640, 3]
  return cfg.ExperimentConfig(
    runtime=cfg.RuntimeConfig(mixed_precision_dtype='auto'),
    task=config.DetectionTask(
      allow_image_summary=True,
      model=model,
      losses=losses,
      train_data=config.DataConfig(is_training=True, global_batch_size=batch_size, parser=parser),
      validation_data=config.DataConfig(is_training=False, global_batch_size=8, drop_remainder=False),
    ),
    trainer=config.TrainerConfig(
      learning_rate_batch_size=batch_size,
      train_steps=train_steps,
      validation_interval=steps_per_epoch,
      checkpoint_interval=steps_per_epoch,
      steps_per_loop=100,
      summary_interval=100,
      optimizer_config=optimization.OptimizationConfig(optimizer),
    ),
    restrictions=['task.train_data.is_training != None', 'task.validation_data.is_training != None'],
  )


def _stepwise(rate: float, boundaries: Sequence[int]) -> dict[str, Any]:
  """Returns a learning rate that is divided by 10 at each boundary."""
  values = [rate / 10**i for i in range(len(boundaries) + 1)]
  return {'type': 'stepwise', 'stepwise': {'boundaries': list(boundaries), 'values': values}}
