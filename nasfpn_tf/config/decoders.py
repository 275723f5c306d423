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

"""Configures the decoder; see `nasfpn_tf.config.model`."""

import dataclasses

from official.modeling import hyperparams
from official.vision.configs import decoders


@dataclasses.dataclass
class FeaturePyramid(hyperparams.Config):
  """Stackable pyramid (arXiv 1904.07392, sec. 3.1): N repeats of D filters are `N @ D`.

  Attributes:
    topology: catalogue name, path of a .json file, or inline JSON; see `nasfpn_tf.topology.resolve`.
    num_repeats: number of stacked pyramids (N).
    num_filters: number of channels of every feature (D).
    use_separable_conv: whether to use separable convolutions (NAS-FPNLite).
    project_each_edge: whether every use of a backbone feature has its own projection, as in EfficientDet.
    coarse_convs: whether a level that the backbone lacks is pooled from a 1x1 convolution of the level before it, as in
      mmdetection, and not from that level itself.
    overlapping_pools: whether pooling to a coarser level takes windows one cell larger than their stride, 3x3 of stride
      2, as in EfficientDet.
    residual: whether each pyramid adds its inputs to its outputs and starts as the identity, so that a deeper stack
      does not start worse than a shallow one; not in the paper (docs/training.md, residual stacks).
    dropblock_keep_prob: DropBlock's keep probability after each cell's batch norm; 1.0 disables it.
    dropblock_size: side of the dropped blocks, in cells of the feature map.
    dropblock_ramp_steps: training steps in which the keep probability falls linearly from 1 to `dropblock_keep_prob`;
      0 applies it from the start.
    recompute: whether training keeps only the inputs of each pyramid and recomputes it in the backward pass, which
      saves memory and costs time.
  """

  topology: str = 'nas_fpn'
  num_repeats: int = 7
  num_filters: int = 256
  use_separable_conv: bool = False
  project_each_edge: bool = False
  coarse_convs: bool = False
  overlapping_pools: bool = False
  residual: bool = False
  dropblock_keep_prob: float = 1.0
  dropblock_size: int = 3
  dropblock_ramp_steps: int = 0
  recompute: bool = False


@dataclasses.dataclass
class SSD(hyperparams.Config):
  """Feature layers of SSDLite (arXiv 1801.04381, sec. 6.2): no fusion, each coarse level computed from the one before.

  Attributes:
    extra_filters: number of channels of each level after the backbone's last.
  """

  extra_filters: list[int] = dataclasses.field(default_factory=lambda: [512, 256, 256, 128])


@dataclasses.dataclass
class SmoothedFPN(hyperparams.Config):
  """FPN and FPNLite of the Object Detection API: each sum passes its 3x3 convolution before it is handed down.

  Attributes:
    num_filters: number of channels of every feature.
    use_separable_conv: whether the 3x3 convolutions are separable, as in FPNLite.
  """

  num_filters: int = 128
  use_separable_conv: bool = True


@dataclasses.dataclass
class MnasFPN(hyperparams.Config):
  """MnasFPN (arXiv 1912.01106): stacked pyramids of inverted bottlenecks; the defaults are those of its 320 px model.

  Attributes:
    topology: as in `FeaturePyramid`, with sums only; 'mnas_fpn' is the published one, of levels 3 to 6.
    num_repeats: number of stacked pyramids.
    num_filters: number of channels of every output.
    expansions: number of channels inside of each cell of a pyramid.
    kernel_sizes: side of the separable convolution of each cell of a pyramid.
    norm_momentum: momentum of its batch norms; 0 takes that of `norm_activation`.
    norm_epsilon: epsilon of its batch norms; 0 takes that of `norm_activation`.
  """

  topology: str = 'mnas_fpn'
  num_repeats: int = 4
  num_filters: int = 48
  expansions: list[int] = dataclasses.field(default_factory=lambda: [256, 128, 128, 128, 96])
  kernel_sizes: list[int] = dataclasses.field(default_factory=lambda: [3, 3, 3, 5, 3])
  norm_momentum: float = 0.0
  norm_epsilon: float = 0.0


@dataclasses.dataclass
class Decoder(decoders.Decoder):
  """Model Garden's decoders, `feature_pyramid`, `smoothed_fpn`, `mnas_fpn` and `ssd`."""

  type: str | None = 'feature_pyramid'
  feature_pyramid: FeaturePyramid = dataclasses.field(default_factory=FeaturePyramid)
  smoothed_fpn: SmoothedFPN = dataclasses.field(default_factory=SmoothedFPN)
  mnas_fpn: MnasFPN = dataclasses.field(default_factory=MnasFPN)
  ssd: SSD = dataclasses.field(default_factory=SSD)
