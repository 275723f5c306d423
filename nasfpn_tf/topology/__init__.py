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

"""Describes the topologies of feature pyramids: specs, catalogue, closed-form cost, drawings. Standard library only."""

from nasfpn_tf.topology import ops
from nasfpn_tf.topology.catalog import MNAS_FPN, NAS_FPN, bifpn, fpn, get, names, nas_fpn, panet, resolve
from nasfpn_tf.topology.cost import (
  RESNET_FILTERS,
  level_areas,
  multiply_adds,
  params,
  retinanet_head_multiply_adds,
  retinanet_head_params,
)
from nasfpn_tf.topology.drawing import dot, draw, formula
from nasfpn_tf.topology.figure import svg
from nasfpn_tf.topology.ops import MERGE_OPS, MergeOp
from nasfpn_tf.topology.spec import CellSpec, PyramidSpec

OPS = ops.names()  # As topologies write them.

__all__ = [
  'MERGE_OPS',
  'MNAS_FPN',
  'NAS_FPN',
  'OPS',
  'RESNET_FILTERS',
  'CellSpec',
  'MergeOp',
  'PyramidSpec',
  'bifpn',
  'dot',
  'draw',
  'formula',
  'fpn',
  'get',
  'level_areas',
  'multiply_adds',
  'names',
  'nas_fpn',
  'panet',
  'params',
  'resolve',
  'retinanet_head_multiply_adds',
  'retinanet_head_params',
  'svg',
]
