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

"""What a detector is made of: Model Garden's dataclasses with what this project adds to them.

Plain values only. A topology is ONE string (catalogue name, .json path or inline JSON), because Model Garden merges
lists of sub-configs element by element when it overrides them.
"""

import dataclasses

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
    project_each_edge: a projection of its own for every use of a backbone feature, as in EfficientDet.
    residual: each pyramid adds its inputs to its outputs and begins as the identity, so that a deeper stack does not
      begin worse than a shallow one; not in the paper (docs/training.md, stacks).
    dropblock_keep_prob: DropBlock's keep probability after each cell's batch norm; 1.0 is off.
    dropblock_size: side of the dropped blocks, in cells of the feature map.
    dropblock_ramp_steps: training steps in which the keep probability falls linearly from 1 to `dropblock_keep_prob`;
      0: it holds from the start.
    recompute: in training keep only the inputs of each pyramid and compute it a second time in the backward pass: less
      memory for more time.
  """

  topology: str = 'nas_fpn'
  num_repeats: int = 7
  num_filters: int = 256
  use_separable_conv: bool = False
  project_each_edge: bool = False
  residual: bool = False
  dropblock_keep_prob: float = 1.0
  dropblock_size: int = 3
  dropblock_ramp_steps: int = 0
  recompute: bool = False


@dataclasses.dataclass
class SSD(hyperparams.Config):
  """The feature layers of SSDLite (arXiv 1801.04381, sec. 6.2): no fusion, the coarse levels one after the other.

  Attributes:
    extra_filters: width of each level behind the backbone's last.
  """

  extra_filters: list[int] = dataclasses.field(default_factory=lambda: [512, 256, 256, 128])


@dataclasses.dataclass
class Decoder(decoders.Decoder):
  """Model Garden's decoders, `feature_pyramid` and `ssd`."""

  type: str | None = 'feature_pyramid'
  feature_pyramid: FeaturePyramid = dataclasses.field(default_factory=FeaturePyramid)
  ssd: SSD = dataclasses.field(default_factory=SSD)


@dataclasses.dataclass
class Applications(hyperparams.Config):
  """A backbone from `tf_keras.applications`.

  Attributes:
    name: model name as in `nasfpn_tf.modeling.backbones.applications.NAMES`, e.g. 'mobilenet_v2' or 'resnet50'.
    alpha: width multiplier, for the MobileNets.
    weights: 'imagenet' (downloaded by tf_keras), the path of a Keras weight file without the top, or 'none'.
    norm_momentum: momentum of the backbone's batch norms; 0 keeps the one of the library (0.99 or 0.999).
    expanded: the features that the SSD family reads from MobileNetV2: those of a level are the expanded ones inside the
      block that leaves it, C5 is behind the last convolution.
    frozen_level: layers up to the feature of this level stay as loaded, as is usual in fine-tuning on few pictures
      (2: the stem and the blocks of stride 2 and 4, where most of the time of a step goes); 0 trains all.
  """

  name: str = 'mobilenet_v2'
  alpha: float = 1.0
  weights: str = 'none'
  expanded: bool = False
  norm_momentum: float = 0.0
  frozen_level: int = 0


@dataclasses.dataclass
class AmoebaNet(hyperparams.Config):
  """AmoebaNet-D (arXiv 1802.01548); batch norm and activation are those of `norm_activation`.

  Attributes:
    num_cells: normal cells in each of the three sections (N); papers also give their sum, 18 for 6.
    num_filters: width of the first section's cells (F), doubled in each further section.
    stem_filters: width of the first convolution.
    drop_path_keep_prob: of the last cell's paths, falling linearly from 1 with the position of a cell; 1.0 is off.
    drop_path_ramp_steps: training steps in which it falls from 1; 0: it holds from the start.
  """

  num_cells: int = 6
  num_filters: int = 256
  stem_filters: int = 32
  drop_path_keep_prob: float = 1.0
  drop_path_ramp_steps: int = 0


@dataclasses.dataclass
class ScalePermuted(hyperparams.Config):
  """SpineNet with blocks in any order (arXiv 1912.05027); batch norm and activation are those of `norm_activation`.

  Attributes:
    architecture: 'spinenet_49', path of a .json file, or inline JSON; see `nasfpn_tf.topology.spinenet.resolve`.
    num_filters: width of the outputs.
    filter_size_scale: width of the blocks relative to SpineNet-49's.
    resample_alpha: width of a feature while it is resampled, relative to that of its block.
    block_repeats: how many blocks follow each other in the place of one.
    stochastic_depth_drop_rate: of the last block, rising linearly from 0 with the position of a block; 0 is off.
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
  """Model Garden's backbones, `applications`, `amoebanet`, `scale_permuted`, and those of `add_backbone`."""

  type: str | None = 'resnet'
  applications: Applications = dataclasses.field(default_factory=Applications)
  amoebanet: AmoebaNet = dataclasses.field(default_factory=AmoebaNet)
  scale_permuted: ScalePermuted = dataclasses.field(default_factory=ScalePermuted)

  def __post_init__(self, default_params, restrictions):
    for name, settings in _ADDED_BACKBONES.items():
      setattr(self, name, settings())
    super().__post_init__(default_params, restrictions)

  @classmethod
  def _get_annotations(cls):
    """Returns {name: type} of the sections, from which Model Garden makes a section of a dict."""
    return {**super()._get_annotations(), **_ADDED_BACKBONES}


def add_backbone(name: str, settings: type[hyperparams.Config]) -> None:
  """Adds a section to `Backbone`; configurations that exist already do not get it.

  Args:
    name: of the section; one that `Backbone` declares itself is left as it is.
    settings: class of the section.

  Raises:
    KeyError: the section is declared with another class.
  """
  declared = {field.name: field.type for field in dataclasses.fields(Backbone)}
  if declared.get(name, settings) is not settings:
    raise KeyError(f'backbone {name!r}: its settings are {declared[name].__name__}, not {settings.__name__}.')
  if name not in declared:
    _ADDED_BACKBONES[name] = settings


@dataclasses.dataclass
class RetinaNetHead(retinanet.RetinaNetHead):
  """Model Garden's head; `num_filters` 0 makes it as wide as the pyramid (the published NAS-FPN models)."""

  num_filters: int = 0


@dataclasses.dataclass
class DetectionGenerator(retinanet.DetectionGenerator):
  """Post-processing; `nms_version` 'class_offset' and 'class_offset_xla' (for TPU) are ours, others Model Garden's."""

  pre_nms_top_k: int = 1000
  nms_version: str = 'class_offset'


@dataclasses.dataclass
class Anytime(hyperparams.Config):
  """Class and box heads after every stacked pyramid, trained together (arXiv 1904.07392, sec. 3.3).

  Attributes:
    enabled: whether there are heads after the earlier pyramids, too.
    share_heads: the heads have their convolutions in common, with batch norms of their own; else nothing.
    loss_weights: weight of the loss of each exit, the first pyramid's first; empty: all the same, 1 in sum, so that
      learning rates and weight decay mean what they mean with one exit.
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
    recompute_backbone: as `decoder.feature_pyramid.recompute`, for each block of the backbone.
    recompute_head: the same for the towers of the head, level by level.
  """

  backbone: Backbone = dataclasses.field(default_factory=Backbone)
  decoder: Decoder = dataclasses.field(default_factory=Decoder)
  head: RetinaNetHead = dataclasses.field(default_factory=RetinaNetHead)
  detection_generator: DetectionGenerator = dataclasses.field(default_factory=DetectionGenerator)
  anytime: Anytime = dataclasses.field(default_factory=Anytime)
  recompute_backbone: bool = False
  recompute_head: bool = False


def aligned_level(model: Detector) -> int:
  """The level whose stride the sides of the input must be multiples of.

  Where levels are merged each has to be half of the one before. SSD's layers merge nothing: behind the backbone a level
  may be half of an odd one, rounded up.
  """
  return min(model.max_level, 5) if model.decoder.type == 'ssd' else model.max_level
