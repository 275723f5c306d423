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

"""Closed-form cost against published figures and against counts made another way."""

import re

import pytest

from nasfpn_tf import topology
from tests import testing
from tests.topology.random_specs import random_spec

# ResNet-50 without its top: keras.io/api/applications counts 25.6M, to the unit 25,636,712, with a top of 2,049,000 and
# 26,560 biases in the convolutions, which detection backbones do without.
RESNET50_PARAMS = 25_636_712 - 2_049_000 - 26_560
# Multiply-adds of its convolutions at 224 px: torchvision's 4.089 G, to the unit 4,089,184,256, less the top.
RESNET50_MULTIPLY_ADDS_224 = 4_089_184_256 - 2048 * 1000


def test_params_of_five_and_seven_pyramids():
  assert topology.params(topology.NAS_FPN, num_repeats=5, num_filters=256) == 21_609_984
  assert topology.params(topology.NAS_FPN, num_repeats=7, num_filters=256) == 29_885_440


def test_one_pyramid():
  """6.92 G multiply-adds at 640 px, 4.134M trainable parameters; the moving statistics of 7 batch norms on top."""
  spec = topology.NAS_FPN
  stage = topology.params(spec, 2) - topology.params(spec, 1)
  assert stage - 7 * 2 * 256 == 4_134_144
  assert topology.multiply_adds(spec, 2) - topology.multiply_adds(spec, 1) == 6_915_686_400


def test_params_of_the_whole_detector():
  """60.18M built; published 60.3M (tensorflow/tpu, MODEL_ZOO.md) and 60M (arXiv 1911.09070, table 2)."""
  spec = topology.NAS_FPN
  total = RESNET50_PARAMS + topology.params(spec, 7) + topology.retinanet_head_params(spec, num_classes=91)
  assert total == 60_178_967


@pytest.mark.parametrize(
  ('size', 'num_filters', 'published'),
  [(640, 256, 140.6e9), (1024, 256, 360e9), (1280, 256, 563e9), (1280, 384, 1043e9)],
)
def test_multiply_adds_of_the_whole_detector(size, num_filters, published):
  """Within 0.4 % of tensorflow/tpu's MODEL_ZOO.md and arXiv 1911.09070, table 2."""
  spec = topology.NAS_FPN
  total = RESNET50_MULTIPLY_ADDS_224 * (size / 224) ** 2
  total += topology.multiply_adds(spec, 7, num_filters, size)
  total += topology.retinanet_head_multiply_adds(spec, 91, num_filters, size)
  assert total == pytest.approx(published, rel=0.004)


def test_separable_cell_by_hand():
  """One one-input cell a level, 8 wide, no projection: depthwise 9 * 8, pointwise 8 * 8, bias 8, batch norm 32."""
  spec = topology.PyramidSpec(
    'plain', 3, 4, (topology.CellSpec(3, 'sum', (0,), True), topology.CellSpec(4, 'sum', (1,), True))
  )
  widths = {3: 8, 4: 8}
  assert topology.params(spec, 1, 8, widths, separable=True) == 2 * (72 + 64 + 8 + 32)
  assert topology.multiply_adds(spec, 1, 8, (16, 32), widths, separable=True) == (2 * 4 + 1 * 2) * (72 + 64)
  assert topology.params(spec, 1, 8, {3: 8, 4: 5}, separable=True) == 2 * 176 + (5 + 5 * 8 + 8 + 32)


def test_weighted_sum_has_a_weight_an_input():
  weights = sum(len(cell.inputs) for cell in topology.bifpn().cells)
  plain = topology.PyramidSpec(
    'plain', 3, 7, tuple(topology.CellSpec(c.level, 'sum', c.inputs, c.is_output) for c in topology.bifpn().cells)
  )
  assert topology.params(topology.bifpn(), 3) - topology.params(plain, 3) == 3 * weights == 3 * 19


def test_projection_only_where_the_width_differs():
  spec = topology.NAS_FPN
  same = topology.params(spec, 1, 64, {3: 64, 4: 64, 5: 64})
  assert same == 7 * (9 * 64 * 64 + 64 + 4 * 64)
  assert topology.params(spec, 1, 64, {3: 64, 4: 64, 5: 32}) - same == 32 * 64 + 64 + 4 * 64
  assert topology.params(spec, 1, 64, {'2': 99, '3': 64, '4': 64, '5': 64, '8': 99}) == same


@pytest.mark.parametrize('separable', [False, True])
def test_head_is_counted_per_convolution(separable):
  """Two towers of two convolutions and two predictions, against the sum over a list of them."""
  spec = topology.nas_fpn(3, 5)
  convs = [(16, 24), (24, 24), (16, 24), (24, 24), (24, 6 * 5), (24, 6 * 4)]
  weights = sum((9 * a + a * b) if separable else 9 * a * b for a, b in convs)
  options = {
    'num_classes': 5,
    'num_filters': 24,
    'input_filters': 16,
    'num_anchors': 6,
    'num_convs': 2,
    'separable': separable,
  }
  params = weights + sum(b for _, b in convs) + 3 * 4 * 4 * 24
  assert topology.retinanet_head_params(spec, **options) == params
  assert topology.retinanet_head_multiply_adds(spec, image_size=32, **options) == weights * (16 + 4 + 1)


@pytest.mark.parametrize('seed', range(20))
def test_cost_is_linear_in_the_repeats_and_work_in_the_area(seed):
  spec = random_spec(seed)
  widths = dict.fromkeys(spec.levels, 20)
  side = 2**spec.max_level
  params = [topology.params(spec, n, 12, widths) for n in (1, 2, 3)]
  assert params[2] - params[1] == params[1] - params[0] > 0
  work = topology.multiply_adds(spec, 3, 12, side, widths)
  assert topology.multiply_adds(spec, 3, 12, (2 * side, 3 * side), widths) == 6 * work


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'num_repeats': 0}, 'num_repeats must be 1 or more, not 0'),
    ({'num_filters': -1}, 'num_filters must be 1 or more, not -1'),
    ({'image_size': 600}, r'image size 600x600: 600 is not a multiple of 128, .* the next multiple is 640'),
    ({'image_size': (640, 0)}, r'image size 640x0: 0 is not a multiple of 128'),
    ({'input_filters': {4: 8, 5: 8}}, r'level 3 is missing among those of the backbone, \[4, 5\]'),
    ({'input_filters': {3: 8, 5: 8}}, r'level 4 is missing among those of the backbone, \[3, 5\]'),
    ({'input_filters': {3: 8, 4: 0}}, 'input_filters of level 4 must be 1 or more, not 0'),
  ],
)
def test_wrong_arguments_are_explained(arguments, message):
  with pytest.raises(ValueError, match=message):
    topology.multiply_adds(topology.NAS_FPN, **arguments)


def test_head_refuses_no_classes():
  with pytest.raises(ValueError, match='num_classes must be 1 or more, not 0'):
    topology.retinanet_head_params(topology.NAS_FPN, num_classes=0)


def test_the_table_in_the_docs_is_true():
  text = (testing.repo_root() / 'docs' / 'topology.md').read_text(encoding='utf-8')
  rows = dict(re.findall(r'^\| `(\w+)` \| (\d+ \| [\d,]+ \| [\d.]+ G) \|', text, re.MULTILINE))
  assert list(rows) == list(topology.names())
  for name, row in rows.items():
    spec = topology.get(name)
    params = topology.params(spec, 2) - topology.params(spec, 1)
    work = topology.multiply_adds(spec, 2) - topology.multiply_adds(spec, 1)
    assert row == f'{len(spec.cells)} | {params:,} | {work / 1e9:.2f} G'
