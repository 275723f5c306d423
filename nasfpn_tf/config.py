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

"""Configuration: Model Garden's dataclasses with what this project adds to them.

Plain values only. A topology is ONE string (catalogue name, .json path or inline JSON), because Model Garden merges
lists of sub-configs element by element when it overrides them.
"""

import dataclasses

from official.core import config_definitions as cfg
from official.modeling import hyperparams
from official.vision.configs import backbones, decoders, retinanet


@dataclasses.dataclass
class FeaturePyramid(hyperparams.Config):
  """The stackable pyramid (arXiv 1904.07392, sec. 3.1): N repeats of D filters are `N @ D`.

  Attributes:
    topology: catalogue name, path of a .json file, or inline JSON; see `nasfpn_tf.topology.resolve`.
    num_repeats: how many pyramids are stacked (N).
    num_filters: width of every feature (D).
    use_separable_conv: separable convolutions, NAS-FPNLite.
    dropblock_keep_prob: DropBlock's keep probability after each cell's batch norm; 1.0 is off.
    dropblock_size: side of the dropped blocks, in cells of the feature map.
  """

  topology: str = 'nas_fpn'
  num_repeats: int = 7
  num_filters: int = 256
  use_separable_conv: bool = False
  dropblock_keep_prob: float = 1.0
  dropblock_size: int = 3


@dataclasses.dataclass
class Decoder(decoders.Decoder):
  """Model Garden's decoders and `feature_pyramid`."""

  type: str | None = 'feature_pyramid'
  feature_pyramid: FeaturePyramid = dataclasses.field(default_factory=FeaturePyramid)


@dataclasses.dataclass
class Applications(hyperparams.Config):
  """A backbone from `tf_keras.applications`.

  Attributes:
    name: model name as in `nasfpn_tf.modeling.applications.NAMES`, e.g. 'mobilenet_v2' or 'resnet50'.
    alpha: width multiplier, for the MobileNets.
    weights: 'imagenet' (downloaded by tf_keras), the path of a Keras weight file without the top, or 'none'.
    norm_momentum: momentum of the backbone's batch norms; 0 keeps the one of the library (0.99 or 0.999).
  """

  name: str = 'mobilenet_v2'
  alpha: float = 1.0
  weights: str = 'none'
  norm_momentum: float = 0.0


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's backbones and `applications`."""

  type: str | None = 'resnet'
  applications: Applications = dataclasses.field(default_factory=Applications)


@dataclasses.dataclass
class RetinaNetHead(retinanet.RetinaNetHead):
  """Model Garden's head; `num_filters` 0 makes it as wide as the pyramid (the published NAS-FPN models)."""

  num_filters: int = 0


@dataclasses.dataclass
class DetectionGenerator(retinanet.DetectionGenerator):
  """Post-processing; `nms_version` 'class_offset' is ours, the others are Model Garden's ('v2' compiles for TPU)."""

  pre_nms_top_k: int = 1000
  nms_version: str = 'class_offset'


@dataclasses.dataclass
class Detector(retinanet.RetinaNet):
  """RetinaNet on a stackable pyramid.

  `num_classes` is Model Garden's: background is class 0 and counts (COCO's 90 ids: 91). 0 reads it from the manifest
  that `create_tfrecord.py` writes beside the training records, so a user need not count.
  """

  backbone: Backbone = dataclasses.field(default_factory=Backbone)
  decoder: Decoder = dataclasses.field(default_factory=Decoder)
  head: RetinaNetHead = dataclasses.field(default_factory=RetinaNetHead)
  detection_generator: DetectionGenerator = dataclasses.field(default_factory=DetectionGenerator)


@dataclasses.dataclass
class Parser(retinanet.Parser):
  """Augmentation and labelling of one image.

  Attributes:
    aug_rand_vflip: vertical flips, for pictures without an up (microscopy, aerial).
    aug_color: strength of random brightness, contrast and saturation, 0.0 (off) to 1.0.
  """

  aug_rand_vflip: bool = False
  aug_color: float = 0.0


@dataclasses.dataclass
class DataConfig(retinanet.DataConfig):
  """Input; `drop_remainder` is ignored in evaluation: every image is seen."""

  dtype: str = 'float32'
  parser: Parser = dataclasses.field(default_factory=Parser)


@dataclasses.dataclass
class DetectionTask(retinanet.RetinaNetTask):
  """RetinaNet's task with this project's model, input and evaluation.

  `annotation_file` unset: the annotations that `create_tfrecord.py` wrote beside the validation records.

  Attributes:
    backbone_lr_multiplier: learning rate of the backbone relative to the rest.
    freeze_batch_norm: run the backbone's batch norms with their stored statistics, untrained.
  """

  model: Detector = dataclasses.field(default_factory=Detector)
  train_data: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(is_training=True))
  validation_data: DataConfig = dataclasses.field(
    default_factory=lambda: DataConfig(is_training=False, drop_remainder=False)
  )
  per_category_metrics: bool = True
  backbone_lr_multiplier: float = 1.0
  freeze_batch_norm: bool = False


@dataclasses.dataclass
class TrainerConfig(cfg.TrainerConfig):
  """Model Garden's trainer.

  Attributes:
    learning_rate_batch_size: global batch size that the learning rates of `optimizer_config` are written for. With
      another global batch the rates, warm-up included, are scaled in proportion (linear scaling rule); 0: never.
  """

  learning_rate_batch_size: int = 0
  validation_steps: int = -1
  best_checkpoint_export_subdir: str = 'best'
  best_checkpoint_eval_metric: str = 'AP'
  best_checkpoint_metric_comp: str = 'higher'
