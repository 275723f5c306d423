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

"""Configures training: Model Garden's task and trainer dataclasses with this project's additions."""

import dataclasses

from official.core import config_definitions as cfg
from official.vision.configs import retinanet

from nasfpn_tf.config.data import DataConfig
from nasfpn_tf.config.model import Detector


@dataclasses.dataclass
class DetectionTask(retinanet.RetinaNetTask):
  """RetinaNet's task with this project's model, input and evaluation.

  Without `annotation_file`, the annotations that `create_tfrecord.py` wrote beside the validation records are used.

  Attributes:
    backbone_lr_multiplier: learning rate of the backbone relative to the rest.
    freeze_batch_norm: whether the backbone's batch norms use their stored statistics and are not trained.
    quantization_aware: whether to fine-tune the detector of `init_checkpoint` with weights and activations rounded to 8
      bits and all batch norms frozen; see `training/quantization_aware.py`.
  """

  model: Detector = dataclasses.field(default_factory=Detector)
  train_data: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(is_training=True))
  validation_data: DataConfig = dataclasses.field(
    default_factory=lambda: DataConfig(is_training=False, drop_remainder=False)
  )
  per_category_metrics: bool = True
  backbone_lr_multiplier: float = 1.0
  freeze_batch_norm: bool = False
  quantization_aware: bool = False


@dataclasses.dataclass
class TrainerConfig(cfg.TrainerConfig):
  """Model Garden's trainer.

  Attributes:
    learning_rate_batch_size: global batch size for which the learning rates of `optimizer_config` are written. With
      another batch size the rates, warm-up included, are scaled in proportion (linear scaling rule); 0 never scales.
  """

  learning_rate_batch_size: int = 0
  validation_steps: int = -1
  best_checkpoint_export_subdir: str = 'best'
  best_checkpoint_eval_metric: str = 'AP'
  best_checkpoint_metric_comp: str = 'higher'
