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

"""Configures the model: Model Garden's dataclasses with this project's additions.

All fields are plain values. A topology is one string (catalogue name, .json path or inline JSON), because Model Garden
merges lists of sub-configs element by element when it overrides them.
"""

import dataclasses

from official.modeling import hyperparams
from official.vision.configs import backbones, retinanet

from nasfpn_tf.config.decoders import Decoder


@dataclasses.dataclass
class ResNet(backbones.ResNet):
  """Model Garden's ResNet.

  Attributes:
    padding: 'same'; or 'explicit', which pads both sides of a convolution of stride 2 alike whatever the size of the
      image, as in tensorflow/tpu, whose weights need it; or 'pytorch', which pads the max pool of the stem so too. The
      variables are the same.
  """

  padding: str = 'same'


@dataclasses.dataclass
class SpineNet(backbones.SpineNet):
  """Model Garden's SpineNet.

  Attributes:
    padding: 'same'; or 'explicit', with which it computes what tensorflow/tpu's does: both sides of a convolution of
      stride 2 padded alike, and one 5x5 max pool in the place of several 3x3 ones. The variables are the same.
  """

  padding: str = 'same'


@dataclasses.dataclass
class SpineNetMobile(backbones.SpineNetMobile):
  """Model Garden's Mobile SpineNet; its blocks have other activations around their gates than tensorflow/tpu's.

  Attributes:
    padding: 'same'; or 'explicit', which pads both sides of a convolution of stride 2 alike, as tensorflow/tpu does.
    se_inner_activation: inside squeeze-and-excitation; 'swish' in tensorflow/tpu.
    se_gating_activation: of its gates; 'sigmoid' in tensorflow/tpu.
  """

  padding: str = 'same'
  se_inner_activation: str = 'relu'
  se_gating_activation: str = 'hard_sigmoid'


@dataclasses.dataclass
class Applications(hyperparams.Config):
  """Backbone from `tf_keras.applications`.

  Attributes:
    name: model name as in `nasfpn_tf.modeling.backbones.applications.NAMES`, e.g. 'mobilenet_v2' or 'resnet50'.
    alpha: width multiplier, for the MobileNets.
    weights: 'imagenet' (downloaded by tf_keras), the path of a Keras weight file without the top, 'blood_cells' (those
      of the detector of that name, which come with the package, for mobilenet_v2), or 'none'.
    norm_momentum: momentum of the backbone's batch norms; 0 keeps the library's (0.99 or 0.999).
    norm_epsilon: epsilon of the backbone's batch norms; 0 keeps the library's (0.001).
    last_filters: channels of MobileNetV2's last convolution, 1280 in the published ones, after which C5 is read as in
      the Object Detection API's FPNLite; 0 reads it before that convolution.
    expanded: whether to use the features that the SSD family reads from MobileNetV2: the expanded ones inside the block
      that leaves a level, and C5 after the last convolution.
    frozen_level: level up to whose feature the layers stay as loaded, as is usual in fine-tuning on few images (2: the
      stem and the blocks of stride 2 and 4, which take most of the time of a step); 0 trains all layers.
  """

  name: str = 'mobilenet_v2'
  alpha: float = 1.0
  weights: str = 'none'
  last_filters: int = 0
  expanded: bool = False
  norm_momentum: float = 0.0
  norm_epsilon: float = 0.0
  frozen_level: int = 0


@dataclasses.dataclass
class AmoebaNet(hyperparams.Config):
  """AmoebaNet-D (arXiv 1802.01548); `norm_activation` sets batch norm and activation.

  Attributes:
    num_cells: normal cells in each of the three sections (N); papers also report the total, 18 for 6.
    num_filters: channels of the first section's cells (F), doubled in each further section.
    stem_filters: channels of the first convolution.
    drop_path_keep_prob: keep probability of the last cell's paths; decreases linearly from 1 over the cells; 1.0
      disables it.
    drop_path_ramp_steps: training steps in which it decreases from 1; 0 applies it from the start.
  """

  num_cells: int = 6
  num_filters: int = 256
  stem_filters: int = 32
  drop_path_keep_prob: float = 1.0
  drop_path_ramp_steps: int = 0


@dataclasses.dataclass
class ScalePermuted(hyperparams.Config):
  """SpineNet with blocks in any order (arXiv 1912.05027); `norm_activation` sets batch norm and activation.

  Attributes:
    architecture: 'spinenet_49', path of a .json file, or inline JSON; see `nasfpn_tf.topology.spinenet.resolve`.
    num_filters: channels of the outputs.
    filter_size_scale: channels of the blocks relative to SpineNet-49's.
    resample_alpha: channels of a feature while it is resampled, relative to its block.
    block_repeats: number of consecutive blocks in place of one.
    stochastic_depth_drop_rate: drop rate of the last block; increases linearly from 0 over the blocks; 0 disables it.
  """

  architecture: str = 'spinenet_49'
  num_filters: int = 256
  filter_size_scale: float = 1.0
  resample_alpha: float = 0.5
  block_repeats: int = 1
  stochastic_depth_drop_rate: float = 0.0


_ADDED_BACKBONES: dict[str, type[hyperparams.Config]] = {}


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's backbones, `applications`, `amoebanet`, `scale_permuted`, and backbones added by `add_backbone`."""

  type: str | None = 'resnet'
  resnet: ResNet = dataclasses.field(default_factory=ResNet)
  spinenet: SpineNet = dataclasses.field(default_factory=SpineNet)
  spinenet_mobile: SpineNetMobile = dataclasses.field(default_factory=SpineNetMobile)
  applications: Applications = dataclasses.field(default_factory=Applications)
  amoebanet: AmoebaNet = dataclasses.field(default_factory=AmoebaNet)
  scale_permuted: ScalePermuted = dataclasses.field(default_factory=ScalePermuted)

  def __post_init__(self, default_params, restrictions):
    for name, settings in _ADDED_BACKBONES.items():
      setattr(self, name, settings())
    super().__post_init__(default_params, restrictions)

  @classmethod
  def _get_annotations(cls):
    """Returns {name: type} of the sections, which Model Garden uses to build a section from a dict."""
    return {**super()._get_annotations(), **_ADDED_BACKBONES}


def add_backbone(name: str, settings: type[hyperparams.Config]) -> None:
  """Adds a section to `Backbone`; existing configurations do not get it.

  Args:
    name: name of the section; one that `Backbone` itself declares is left unchanged.
    settings: class of the section.

  Raises:
    KeyError: the section exists with another class.
  """
  declared = {field.name: field.type for field in dataclasses.fields(Backbone)}
  if declared.get(name, settings) is not settings:
    raise KeyError(f'backbone {name!r}: its settings are {declared[name].__name__}, not {settings.__name__}.')
  if name not in declared:
    _ADDED_BACKBONES[name] = settings


@dataclasses.dataclass
class RetinaNetHead(retinanet.RetinaNetHead):
  """Model Garden's head.

  Attributes:
    num_filters: width of the towers; 0 takes that of the pyramid, as the published NAS-FPN models do.
    share_towers: whether one tower serves classes and boxes, as in the Object Detection API's FPNLite and MnasFPN.
  """

  num_filters: int = 0
  share_towers: bool = False


@dataclasses.dataclass
class DetectionGenerator(retinanet.DetectionGenerator):
  """Post-processing; adds the `nms_version` 'class_offset' and 'class_offset_xla' (for TPU) to Model Garden's.

  Attributes:
    pre_nms_top_k: pairs of anchor and class of an image that are candidates of NMS.
    pre_nms_per_class: whether the best `pre_nms_top_k` anchors of every class are candidates instead, as in
      tensorflow/tpu; more candidates, and slower.
    pre_nms_per_level: whether the best `pre_nms_top_k` pairs of every level are candidates instead, as in mmdetection.
    box_coder_plus_one: whether the last pixel of a box counts as inside, so that its sides are one more than the
      difference of its edges, in encoding and decoding, as in tensorflow/tpu.
  """

  pre_nms_top_k: int = 1000
  nms_version: str = 'class_offset'
  pre_nms_per_class: bool = False
  pre_nms_per_level: bool = False
  box_coder_plus_one: bool = False


@dataclasses.dataclass
class Anytime(hyperparams.Config):
  """Class and box heads after every stacked pyramid, trained together (arXiv 1904.07392, sec. 3.3).

  Attributes:
    enabled: whether the earlier pyramids have heads, too.
    share_heads: whether the heads share their convolutions; each has its own batch norms in any case.
    loss_weights: weight of the loss of each exit, beginning with the first pyramid; empty for equal weights with sum 1,
      so that learning rate and weight decay act as with a single exit.
  """

  enabled: bool = False
  share_heads: bool = True
  loss_weights: list[float] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Detector(retinanet.RetinaNet):
  """RetinaNet on a stackable pyramid.

  `num_classes` is Model Garden's: background is class 0 and counts (COCO's 90 ids: 91). 0 reads it from the manifest
  that `create_tfrecord.py` writes beside the training records, so a user need not count.

  Attributes:
    recompute_backbone: like `decoder.feature_pyramid.recompute`, for each block of the backbone.
    recompute_head: the same for the towers of the head, level by level; the class loss is computed image by image.
  """

  backbone: Backbone = dataclasses.field(default_factory=Backbone)
  decoder: Decoder = dataclasses.field(default_factory=Decoder)
  head: RetinaNetHead = dataclasses.field(default_factory=RetinaNetHead)
  detection_generator: DetectionGenerator = dataclasses.field(default_factory=DetectionGenerator)
  anytime: Anytime = dataclasses.field(default_factory=Anytime)
  recompute_backbone: bool = False
  recompute_head: bool = False


def aligned_level(model: Detector) -> int:
  """Returns the level whose stride must divide the sides of the input.

  A pyramid that merges levels needs each level to be half the size of the one before. SSD and the FPN of the Object
  Detection API merge nothing behind the backbone: there a level may be half of an odd size, rounded up.
  """
  return min(model.max_level, 5) if model.decoder.type in ('smoothed_fpn', 'ssd') else model.max_level
