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
"""SSDLite with MobileNetV2: figures, levels that are no exact halves, and settings that do not go together."""

import math

import pytest
import tensorflow as tf

from benchmarks import model_table
from nasfpn_tf import config
from nasfpn_tf.data.input.labels import AnchorLabeler
from nasfpn_tf.modeling import cost, detector
from nasfpn_tf.training import params as params_lib

SIDES = {'4': 20, '5': 10, '6': 5, '7': 3, '8': 2, '9': 1}
WIDTHS = {'4': 576, '5': 1280, '6': 512, '7': 256, '8': 256, '9': 128}
MODEL = params_lib.load_params(config_files='mobilenetv2_ssdlite_320').task.model


@pytest.fixture(scope='module')
def model():
  return detector.build_detector(MODEL)


def test_published_figures(model):
  """4.3M parameters, 0.8G multiply-adds (arXiv 1801.04381, table 6), with three anchors on the finest level."""
  of_three_anchors = 3 * (81 + 4) * (WIDTHS['4'] + 1)
  params = cost.count_trainable_params(model) - of_three_anchors
  assert model_table.agrees('4.3', params / 1e6)
  counted = cost.multiply_adds_by_part(model, MODEL.input_size)
  assert model_table.agrees('0.8', sum(counted.values()) / 1e9)
  # A separable convolution to 6 * (81 + 4) channels at every position.
  head = sum(SIDES[level] ** 2 * width * (2 * 9 + 6 * (81 + 4)) for level, width in WIDTHS.items())
  assert counted['head'] == head


def test_levels_are_rounded_up_and_have_their_anchors(model):
  outputs = model(tf.zeros([1, 320, 320, 3]), training=True)
  anchor = MODEL.anchor
  anchors = AnchorLabeler((320, 320), 4, 9, anchor.num_scales, anchor.aspect_ratios, anchor.anchor_size).anchor_boxes
  assert set(anchors) == set(outputs['cls_outputs']) == set(SIDES)
  for level, side in SIDES.items():
    assert side == math.ceil(320 / 2 ** int(level))
    assert outputs['cls_outputs'][level].shape == (1, side, side, 6 * 81)
    assert outputs['box_outputs'][level].shape == anchors[level][None].shape


@pytest.mark.parametrize(
  ('override', 'message'),
  [
    ({'max_level': 8}, r'extra_filters \[512, 256, 256, 128\]: levels 6..8 .* need 3 widths'),
    ({'head': {'share_level_convs': True}}, 'share_level_convs is true.*set it to false'),
    ({'decoder': {'ssd': {'extra_filters': [512, 256, 0, 128]}}}, 'each must be at least 2'),
    ({'backbone': {'applications': {'name': 'resnet50'}}}, 'resnet50 has no such features; mobilenet_v2 has'),
    ({'input_size': [300, 300, 3]}, 'height 300 is not a multiple of 32, the stride of level 5; the nearest is 288'),
    ({'min_level': 1}, 'needs level 1'),
  ],
  ids=['widths', 'shared', 'empty', 'backbone', 'size', 'level'],
)
def test_what_does_not_go_together_is_refused(override, message):
  with pytest.raises(ValueError, match=message):
    detector.build_detector(MODEL.replace(**override))


def test_pyramids_that_merge_need_exact_halves():
  assert config.aligned_level(MODEL) == 5
  assert config.aligned_level(MODEL.replace(decoder={'type': 'fpn'})) == 9
