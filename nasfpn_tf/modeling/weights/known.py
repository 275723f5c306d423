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
"""Lists published checkpoints that can be imported, by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

COCO, IMAGENET = 'coco', 'imagenet'
_TPU = 'https://storage.googleapis.com/cloud-tpu-checkpoints/detection/retinanet/'
_AUTOML = 'https://storage.googleapis.com/cloud-tpu-checkpoints/efficientdet/coco2/'
_ODAPI_TF1 = 'http://download.tensorflow.org/models/object_detection/'
_ODAPI = _ODAPI_TF1 + 'tf2/20200711/'
_MODEL_GARDEN = 'https://storage.googleapis.com/tf_model_garden/vision/'


@dataclasses.dataclass(frozen=True)
class Known:
  """One published checkpoint.

  Attributes:
    framework: whose code wrote it.
    url: of the archive.
    data: what it was trained on, `COCO` or `IMAGENET`.
    image_size: side of the square images, in pixels.
    published: AP on COCO val2017 in percent, or top-1 accuracy on ImageNet.
    note: how it was trained.
    model: `task.model` where it differs from Model Garden's defaults: says which detectors it is for and, where there
      is no params.yaml beside the checkpoint, what its variables do not tell.
  """

  framework: str
  url: str
  data: str
  image_size: int
  published: float
  note: str
  model: Mapping[str, Any]


def _resnet(depth: int, top1: float) -> Known:
  return Known(
    framework='model_garden',
    url=f'{_MODEL_GARDEN}resnet/resnet-{depth}-i224.tar.gz',
    data=IMAGENET,
    image_size=224,
    published=top1,
    note='Model Garden, official/vision/README.md: 200 epochs',
    model={
      'backbone': {'type': 'resnet', 'resnet': {'model_id': depth}},
      'norm_activation': {'activation': 'relu', 'norm_momentum': 0.9, 'norm_epsilon': 1e-5},
    },
  )


def _tpu_spinenet(model_id: str, image_size: int, epochs: int, ap: float, anchor_size: float = 3.0) -> Known:
  longer = epochs != 350  # With stochastic depth and swish.
  return Known(
    framework='tpu',
    url=f'{_TPU}spinenet-{model_id}{"-best" if longer else ""}.tar.gz',
    data=COCO,
    image_size=image_size,
    published=ap,
    note=f'tensorflow/tpu, MODEL_ZOO.md: {epochs} epochs from scratch',
    model={
      'backbone': {'type': 'spinenet', 'spinenet': {'model_id': model_id, 'padding': 'explicit'}},
      'decoder': {'type': 'identity'},
      'anchor': {'anchor_size': anchor_size},
      'norm_activation': {'activation': 'swish' if longer else 'relu'},
    },
  )


def _efficientdet(
  name: str, backbone: int, num_repeats: int, num_filters: int, image_size: int, ap: float, anchor_size: float = 4.0
) -> Known:
  pyramid = {'num_repeats': num_repeats, 'num_filters': num_filters, 'project_each_edge': True}
  return Known(
    framework='automl',
    url=f'{_AUTOML}efficientdet-{name}.tar.gz',
    data=COCO,
    image_size=image_size,
    published=ap,
    note='google/automl, efficientdet/README.md: 300 epochs or more from ImageNet weights',
    model={
      'backbone': {'type': 'applications', 'applications': {'name': f'efficientnet_b{backbone}'}},
      'decoder': {'type': 'feature_pyramid', 'feature_pyramid': pyramid},
      'anchor': {'anchor_size': anchor_size},
      'norm_activation': {'activation': 'swish'},
    },
  )


def _fpnlite(image_size: int, ap: float) -> Known:
  return Known(
    framework='object_detection_api',
    url=f'{_ODAPI}ssd_mobilenet_v2_fpnlite_{image_size}x{image_size}_coco17_tpu-8.tar.gz',
    data=COCO,
    image_size=image_size,
    published=ap,
    note='Object Detection API, tf2_detection_zoo.md: 50,000 steps from ImageNet weights',
    model={
      'backbone': {'type': 'applications', 'applications': {'name': 'mobilenet_v2'}},
      'decoder': {'type': 'smoothed_fpn', 'smoothed_fpn': {'num_filters': 128}},
      'norm_activation': {'activation': 'relu6'},
    },
  )


KNOWN = {
  'r50_nasfpn_7x256_640': Known(
    framework='tpu',
    url=_TPU + 'r50-nasfpn.tar.gz',
    data=COCO,
    image_size=640,
    published=42.4,
    note='tensorflow/tpu, MODEL_ZOO.md: 350 epochs from scratch',
    model={
      'backbone': {'type': 'resnet', 'resnet': {'model_id': 50, 'padding': 'explicit'}},
      'decoder': {'type': 'feature_pyramid', 'feature_pyramid': {'num_repeats': 7, 'num_filters': 256}},
    },
  ),
  'r50_nasfpn_7x256_640_mmdet': Known(
    framework='mmdet',
    url='https://download.openmmlab.com/mmdetection/v2.0/nas_fpn/retinanet_r50_nasfpn_crop640_50e_coco/'
    'retinanet_r50_nasfpn_crop640_50e_coco-0ad1f644.pth',
    data=COCO,
    image_size=640,
    published=40.5,
    note='mmdetection, configs/nas_fpn: 50 epochs from ImageNet weights',
    model={
      'backbone': {'type': 'resnet', 'resnet': {'model_id': 50, 'padding': 'pytorch'}},
      'decoder': {'type': 'feature_pyramid', 'feature_pyramid': {'num_repeats': 7, 'num_filters': 256}},
    },
  ),
  'r50_fpn_640': Known(
    framework='model_garden',
    url=_MODEL_GARDEN + 'retinanet/retinanet-resnet50fpn.tar.gz',
    data=COCO,
    image_size=640,
    published=36.8,
    note='Model Garden, official/vision/README.md: 72 epochs from ImageNet weights',
    model={
      'num_classes': 91,
      'backbone': {'type': 'resnet', 'resnet': {'model_id': 50}},
      'decoder': {'type': 'fpn', 'fpn': {'num_filters': 256}},
      'norm_activation': {'activation': 'relu', 'norm_momentum': 0.99, 'norm_epsilon': 0.001},
    },
  ),
  'r50_fpn_640_tpu': Known(
    framework='tpu',
    url=_TPU + 'r50-fpn.tar.gz',
    data=COCO,
    image_size=640,
    published=40.4,
    note='tensorflow/tpu, MODEL_ZOO.md: 350 epochs from scratch',
    model={
      'backbone': {'type': 'resnet', 'resnet': {'model_id': 50, 'padding': 'explicit'}},
      'decoder': {'type': 'fpn', 'fpn': {'num_filters': 256}},
    },
  ),
  'spinenet49_640_c': Known(
    framework='model_garden',
    url=_MODEL_GARDEN + 'spinenet/spinenet-49-i640.tar.gz',
    data=COCO,
    image_size=640,
    published=44.2,
    note='Model Garden, official/vision/README.md: 500 epochs from scratch',
    model={
      'num_classes': 91,
      'backbone': {'type': 'spinenet', 'spinenet': {'model_id': '49', 'stochastic_depth_drop_rate': 0.2}},
      'decoder': {'type': 'identity'},
      'anchor': {'anchor_size': 3.0},
      'norm_activation': {'activation': 'swish', 'norm_momentum': 0.99, 'norm_epsilon': 0.001},
    },
  ),
  'spinenet49_640_c_tpu': _tpu_spinenet('49', 640, 500, 44.3),
  'spinenet49s_640_c': _tpu_spinenet('49S', 640, 500, 41.5),
  'spinenet96_1024_c': _tpu_spinenet('96', 1024, 500, 48.5),
  'spinenet143_1280_c': _tpu_spinenet('143', 1280, 500, 50.6, 4.0),
  'spinenet190_1280_c': _tpu_spinenet('190', 1280, 400, 52.0, 4.0),
  'spinenet49_640_b': _tpu_spinenet('49', 640, 350, 42.8),
  'spinenet49s_640_b': _tpu_spinenet('49S', 640, 350, 39.5),
  'spinenet96_1024_b': _tpu_spinenet('96', 1024, 350, 46.7),
  'spinenet143_1280_b': _tpu_spinenet('143', 1280, 350, 48.0, 4.0),
  'spinenetmobile49_384_tpu': Known(
    framework='tpu',
    url=_TPU + 'spinenetmbconv-49-best.tar.gz',
    data=COCO,
    image_size=384,
    published=28.6,
    note='tensorflow/tpu, MODEL_ZOO.md: 600 epochs from scratch',
    model={
      'backbone': {
        'type': 'spinenet_mobile',
        'spinenet_mobile': {
          'model_id': '49',
          'padding': 'explicit',
          'se_inner_activation': 'swish',
          'se_gating_activation': 'sigmoid',
        },
      },
      'decoder': {'type': 'identity'},
      'anchor': {'anchor_size': 3.0},
      'head': {'num_convs': 4, 'num_filters': 48, 'use_separable_conv': True},
      'norm_activation': {'activation': 'swish'},
    },
  ),
  'spinenetmobile49_384': Known(
    framework='model_garden',
    url=_MODEL_GARDEN + 'retinanet/spinenet49mobile.tar.gz',
    data=COCO,
    image_size=384,
    published=28.1,
    note='Model Garden, official/vision/README.md: 600 epochs from scratch',
    model={
      'num_classes': 91,
      'backbone': {
        'type': 'spinenet_mobile',
        'spinenet_mobile': {'model_id': '49', 'stochastic_depth_drop_rate': 0.2, 'se_ratio': 0.2},
      },
      'decoder': {'type': 'identity'},
      'anchor': {'anchor_size': 3.0},
      'head': {'num_convs': 4, 'num_filters': 48, 'use_separable_conv': True},
      'norm_activation': {'activation': 'hard_swish', 'norm_momentum': 0.99, 'norm_epsilon': 0.001},
    },
  ),
  'mobilenetv2_fpnlite_320_odapi': _fpnlite(320, 22.2),
  'mobilenetv2_fpnlite_640_odapi': _fpnlite(640, 28.2),
  'mobilenetv2_mnasfpn_4x48_320': Known(
    framework='object_detection_api',
    url=_ODAPI_TF1 + 'ssd_mobilenet_v2_mnasfpn_shared_box_predictor_320x320_coco_sync_2020_05_18.tar.gz',
    data=COCO,
    image_size=320,
    published=26.6,
    note='Object Detection API, tf1_detection_zoo.md: 50,000 steps from scratch',
    model={
      'backbone': {'type': 'applications', 'applications': {'name': 'mobilenet_v2'}},
      'decoder': {'type': 'mnas_fpn', 'mnas_fpn': {'num_repeats': 4, 'num_filters': 48}},
      'norm_activation': {'activation': 'relu6'},
    },
  ),
  'efficientdet_d0_512': _efficientdet('d0', 0, 3, 64, 512, 34.3),
  'efficientdet_d1_640': _efficientdet('d1', 1, 4, 88, 640, 40.2),
  'efficientdet_d2_768': _efficientdet('d2', 2, 5, 112, 768, 43.5),
  'efficientdet_d3_896': _efficientdet('d3', 3, 6, 160, 896, 46.8),
  'efficientdet_d4_1024': _efficientdet('d4', 4, 7, 224, 1024, 49.3),
  'efficientdet_d5_1280': _efficientdet('d5', 5, 7, 288, 1280, 51.2),
  'efficientdet_d6_1280': _efficientdet('d6', 6, 8, 384, 1280, 52.1),
  'efficientdet_d7_1536': _efficientdet('d7', 6, 8, 384, 1536, 53.4, 5.0),
  'efficientdet_d7x_1536': _efficientdet('d7x', 7, 8, 384, 1536, 54.4),
  'resnet50_imagenet': _resnet(50, 77.1),
  'resnet101_imagenet': _resnet(101, 78.3),
  'resnet152_imagenet': _resnet(152, 78.7),
}


def names(data: str) -> list[str]:
  """Lists the names of what was trained on `data`."""
  return [name for name, known in KNOWN.items() if known.data == data]


# Settings of a backbone that its variables do not tell.
_UNTOLD = ('padding', 'se_inner_activation', 'se_gating_activation')


def name_for(data: str, model: Mapping[str, Any]) -> str | None:
  """Returns the name of the checkpoint for a model, judged by types and sizes of backbone and decoder; None without.

  Of several, the one that differs in the fewest settings that its variables do not tell (activation, padding, gates) is
  preferred; among these, one that agrees in activation.

  Args:
    data: `IMAGENET` compares backbones alone.
    model: `task.model` as a dictionary.
  """
  fitting = []
  for name in names(data):
    theirs = KNOWN[name].model
    if all(_size(theirs[part]) == _size(model[part]) for part in ('backbone', 'decoder') if part in theirs):
      fitting.append(name)
  return max(fitting, key=lambda name: _agreement(KNOWN[name].model, model), default=None)


def _agreement(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[int, bool]:
  """Returns minus the number of settings that differ, and whether the activation is the same."""
  activations = [model.get('norm_activation', {}).get('activation', 'relu') for model in (theirs, ours)]
  same_activation = len(set(activations)) == 1
  their_backbone, our_backbone = (model['backbone'].get(model['backbone']['type']) or {} for model in (theirs, ours))
  stated = {'padding': 'same', **{key: value for key, value in their_backbone.items() if key in _UNTOLD}}
  differing = sum(our_backbone.get(key, 'same') != value for key, value in stated.items())
  return -differing - (not same_activation), same_activation


def _size(part: Mapping[str, Any]) -> tuple[str, ...]:
  settings = part.get(part['type']) or {}
  return part['type'], *(str(settings.get(key, '')) for key in ('model_id', 'name', 'num_repeats', 'num_filters'))
