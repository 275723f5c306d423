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

"""Builds the detectors that are compared as a whole."""

from typing import Any


def model_config(
  backbone: str, model_id: int, num_repeats: int, num_filters: int, separable: bool, image_size: int
) -> dict[str, Any]:
  """Changes to the default detector's configuration, with COCO's 91 classes.

  Args:
    backbone: 'resnet' or 'mobilenet', which is MobileNetV2.
    model_id: depth of the ResNet.
    num_repeats: pyramids.
    num_filters: width of pyramid and head.
    separable: separable convolutions in pyramid and head.
    image_size: side of the square input.
  """
  width = {'num_filters': num_filters, 'use_separable_conv': separable}
  backbones = {
    'resnet': {'type': 'resnet', 'resnet': {'model_id': model_id}},
    'mobilenet': {'type': 'applications', 'applications': {'name': 'mobilenet_v2'}},
  }
  return {
    'num_classes': 91,
    'input_size': [image_size, image_size, 3],
    'backbone': backbones[backbone],
    # Model Garden's is as published.
    'decoder': {'feature_pyramid': {'num_repeats': num_repeats, 'residual': False, **width}},
    'head': width,
  }
