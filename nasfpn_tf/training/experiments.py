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

"""Registered experiments: recipes that the files of `configs/` start from."""

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import optimization
from official.vision.configs import common, retinanet

from nasfpn_tf import config

COCO_TRAIN_IMAGES = 118287
COCO_NUM_CLASSES = 91  # Category ids of COCO end at 90; 0 is background.


@exp_factory.register_config_factory('nasfpn_retinanet')
def nasfpn_retinanet() -> cfg.ExperimentConfig:
  """RetinaNet with ResNet-50 and NAS-FPN 7 @ 256 at 640 pixels, trained as in arXiv 1904.07392, sec. 4.1.

  SGD of momentum 0.9, batch 64, learning rate 0.08 divided by 10 after 30 and 40 of 50 epochs, weight decay 1e-4, focal
  loss of alpha 0.25 and gamma 1.5, scale jitter 0.8 to 1.2. The warm-up (500 steps from 0.0067) and the batch norm's
  constants are those of the authors' code. With another batch the learning rates follow in proportion; the number of
  classes is read from the training records.
  """
  batch_size = 64
  steps_per_epoch = COCO_TRAIN_IMAGES // batch_size
  return cfg.ExperimentConfig(
    runtime=cfg.RuntimeConfig(mixed_precision_dtype='float32'),
    task=config.DetectionTask(
      allow_image_summary=True,
      model=config.Detector(
        num_classes=0,
        input_size=[640, 640, 3],
        norm_activation=common.NormActivation(norm_momentum=0.997, norm_epsilon=1e-4),
      ),
      losses=retinanet.Losses(l2_weight_decay=1e-4),
      train_data=config.DataConfig(
        is_training=True,
        global_batch_size=batch_size,
        parser=config.Parser(aug_rand_hflip=True, aug_scale_min=0.8, aug_scale_max=1.2),
      ),
      validation_data=config.DataConfig(is_training=False, global_batch_size=8, drop_remainder=False),
    ),
    trainer=config.TrainerConfig(
      learning_rate_batch_size=batch_size,
      train_steps=50 * steps_per_epoch,
      validation_interval=steps_per_epoch,
      checkpoint_interval=steps_per_epoch,
      steps_per_loop=100,
      summary_interval=100,
      optimizer_config=optimization.OptimizationConfig(
        {
          'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9}},
          'learning_rate': {
            'type': 'stepwise',
            'stepwise': {
              'boundaries': [30 * steps_per_epoch, 40 * steps_per_epoch],
              'values': [0.08, 0.008, 0.0008],
            },
          },
          'warmup': {'type': 'linear', 'linear': {'warmup_steps': 500, 'warmup_learning_rate': 0.0067}},
        }
      ),
    ),
    restrictions=['task.train_data.is_training != None', 'task.validation_data.is_training != None'],
  )
