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
"""Checks a detector's configuration before anything is built; errors name the key."""

from collections.abc import Iterable

from official.modeling import tf_utils
from official.vision.modeling.backbones import (
  efficientnet,
  mobiledet,
  mobilenet,
  resnet,
  resnet_deeplab,
  revnet,
  spinenet,
  spinenet_mobile,
)
from official.vision.modeling.backbones import factory as backbone_factory
from official.vision.modeling.decoders import factory as decoder_factory

from nasfpn_tf import config
from nasfpn_tf.config import checking
from nasfpn_tf.modeling import anytime, candidates, postprocess
from nasfpn_tf.modeling.backbones import explicit_padding, registry
from nasfpn_tf.modeling.decoders import feature_pyramid, mnas_fpn, smoothed_fpn, ssd
from nasfpn_tf.topology.spec import MAX_LEVEL

# Model Garden's backbones of which there are several.
_MODEL_IDS = {
  'resnet': resnet.RESNET_SPECS,
  'dilated_resnet': resnet_deeplab.RESNET_SPECS,
  'revnet': revnet.REVNET_SPECS,
  'efficientnet': efficientnet.SCALING_MAP,
  'spinenet': spinenet.SCALING_MAP,
  'spinenet_mobile': spinenet_mobile.SCALING_MAP,
  'mobilenet': mobilenet.SUPPORTED_SPECS_MAP,
  'mobiledet': mobiledet.SUPPORTED_SPECS_MAP,
}
OWN_NMS_SETTINGS = ('pre_nms_per_class', 'pre_nms_per_level', 'box_coder_plus_one')
_MG_NMS_VERSIONS = ('v1', 'v2', 'v3', 'batched', 'tflite')


def check(model_config: config.Detector) -> None:
  """Raises a ValueError that names the first wrong value of a model's configuration."""
  checking.check(model_config, 'model')
  if model_config.num_classes < 2:
    raise ValueError(
      f'model.num_classes is {model_config.num_classes}; it includes the background, class 0, so one kind of object'
      f' needs num_classes 2.'
    )
  if not 1 <= model_config.min_level < model_config.max_level:
    raise ValueError(
      f'model.min_level {model_config.min_level} and model.max_level {model_config.max_level} leave no range of levels.'
    )
  if model_config.max_level > MAX_LEVEL:
    raise ValueError(f'model.max_level {model_config.max_level} is more than {MAX_LEVEL}: no image is that large.')
  _check_size(model_config)
  _check_names(model_config)
  _check_numbers(model_config)
  _check_head(model_config)
  _check_anytime(model_config)
  levels = registry.traits(model_config.backbone.type).levels
  if levels is not None:
    check_levels(model_config, levels(model_config.backbone.get()))


def _check_names(model_config: config.Detector) -> None:
  for part, registered in (
    ('backbone', backbone_factory._REGISTERED_BACKBONE_CLS),
    ('decoder', decoder_factory._REGISTERED_DECODER_CLS),
  ):
    kind = getattr(model_config, part).type
    if kind not in registered:
      raise ValueError(f'model.{part}.type {kind!r} is unknown; {checking.nearest(str(kind), sorted(registered))}')
  backbone = model_config.backbone
  model_ids = _MODEL_IDS.get(backbone.type)
  if model_ids is not None and backbone.get().model_id not in model_ids:
    hint = checking.nearest(str(backbone.get().model_id), map(str, model_ids))
    raise ValueError(f'model.backbone.{backbone.type}.model_id {backbone.get().model_id!r} is unknown; {hint}')
  padding = getattr(backbone.get(), 'padding', explicit_padding.SAME)
  paddings = explicit_padding.PADDINGS.get(backbone.type, (explicit_padding.SAME,))
  if padding not in paddings:
    hint = checking.nearest(padding, paddings)
    raise ValueError(f'model.backbone.{backbone.type}.padding {padding!r} is unknown; {hint}')
  activations = {'norm_activation.activation': model_config.norm_activation.activation}
  for key in ('se_inner_activation', 'se_gating_activation'):
    if hasattr(backbone.get(), key):
      activations[f'backbone.{backbone.type}.{key}'] = getattr(backbone.get(), key)
  for key, activation in activations.items():
    try:
      tf_utils.get_activation(activation)
    except ValueError as e:
      raise ValueError(
        f"model.{key} {activation!r} is unknown; use one of tf_keras's or Model Garden's, such as relu, relu6, swish,"
        ' hard_swish or sigmoid.'
      ) from e
  versions = (*postprocess.NMS_VERSIONS, *_MG_NMS_VERSIONS)
  generator = model_config.detection_generator
  version = generator.nms_version
  if version not in versions:
    raise ValueError(
      f'model.detection_generator.nms_version {version!r} is unknown; {checking.nearest(version, versions)}'
    )
  for key in OWN_NMS_SETTINGS:
    if getattr(generator, key) and version not in postprocess.NMS_VERSIONS:
      raise ValueError(
        f"model.detection_generator.{key} needs nms_version 'class_offset', not Model Garden's {version!r}."
      )
  candidates.selection(generator.pre_nms_per_class, generator.pre_nms_per_level)


def _check_size(model_config: config.Detector) -> None:
  size = model_config.input_size
  if len(size) != 3 or size[2] != 3:
    raise ValueError(f'model.input_size must be [height, width, 3], not {size}.')
  level = config.aligned_level(model_config)
  stride, whose = 2**level, f'level {level}' + (' (model.max_level)' if level == model_config.max_level else '')
  backbone = model_config.backbone.type
  stride, whose = max((stride, whose), (registry.traits(backbone).stride, backbone))
  for side, pixels in zip(('height', 'width'), size[:2], strict=True):
    if pixels < stride or pixels % stride:
      nearest = max(stride, round(pixels / stride) * stride)
      raise ValueError(
        f'model.input_size {size}: {side} {pixels} is not a multiple of {stride}, the stride of {whose}; the nearest is'
        f' {nearest}.'
      )


def _check_numbers(model_config: config.Detector) -> None:
  """Checks every number that has a lower bound."""
  pyramid = model_config.decoder.get()
  generator = model_config.detection_generator
  for key, value, least in (
    ('decoder.num_repeats', getattr(pyramid, 'num_repeats', 1), 1),
    ('decoder.num_filters', getattr(pyramid, 'num_filters', 1), 1),
    ('decoder.dropblock_size', getattr(pyramid, 'dropblock_size', 1), 1),
    ('decoder.dropblock_ramp_steps', getattr(pyramid, 'dropblock_ramp_steps', 0), 0),
    ('decoder.norm_epsilon', getattr(pyramid, 'norm_epsilon', 0), 0),
    ('backbone.norm_epsilon', getattr(model_config.backbone.get(), 'norm_epsilon', 0), 0),
    ('head.num_convs', model_config.head.num_convs, 0),
    ('head.num_filters', model_config.head.num_filters, 0),
    ('anchor.num_scales', model_config.anchor.num_scales, 1),
    ('detection_generator.pre_nms_top_k', generator.pre_nms_top_k, 1),
    ('detection_generator.max_num_detections', generator.max_num_detections, 1),
  ):
    if value < least:
      for part in ('backbone', 'decoder'):
        key = key.replace(f'{part}.', f'{part}.{getattr(model_config, part).type}.')
      raise ValueError(f'model.{key} is {value}; it must be at least {least}.')
  if model_config.decoder.type == ssd.NAME and min(pyramid.extra_filters, default=2) < 2:
    raise ValueError(f'model.decoder.ssd.extra_filters is {pyramid.extra_filters}; each must be at least 2.')
  keep_prob = getattr(pyramid, 'dropblock_keep_prob', 1.0)
  if not 0.0 < keep_prob <= 1.0:
    raise ValueError(
      f'model.decoder.{model_config.decoder.type}.dropblock_keep_prob is {keep_prob}; it must be above 0 and at most 1'
      ' (1: no DropBlock).'
    )
  anchor = model_config.anchor
  if anchor.anchor_size <= 0 or not anchor.aspect_ratios or min(anchor.aspect_ratios) <= 0:
    raise ValueError(
      f'model.anchor: anchor_size {anchor.anchor_size} and aspect_ratios {anchor.aspect_ratios} must be positive,'
      f' and at least one aspect ratio is needed.'
    )
  for key in ('pre_nms_score_threshold', 'nms_iou_threshold'):
    value = getattr(generator, key)
    if not 0.0 <= value <= 1.0:
      raise ValueError(f'model.detection_generator.{key} is {value}; it must be between 0 and 1.')


def _check_head(model_config: config.Detector) -> None:
  if model_config.decoder.type == ssd.NAME and model_config.head.share_level_convs:
    raise ValueError(
      "model.head.share_level_convs is true, but with decoder 'ssd' every level has a different width: set it to false."
    )
  if model_config.head.share_towers and (
    model_config.decoder.type not in (smoothed_fpn.NAME, mnas_fpn.NAME) or model_config.head.attribute_heads
  ):
    raise ValueError(
      f'model.head.share_towers needs model.decoder.type {smoothed_fpn.NAME!r} or {mnas_fpn.NAME!r}, not'
      f' {model_config.decoder.type!r}, and no attribute_heads.'
    )


def _check_anytime(model_config: config.Detector) -> None:
  if not model_config.anytime.enabled:
    return
  if model_config.decoder.type != feature_pyramid.NAME:
    raise ValueError(
      f'model.anytime.enabled is not available with model.decoder.type {model_config.decoder.type!r}, only with'
      f' {feature_pyramid.NAME!r}: the others have no exits.'
    )
  if model_config.head.attribute_heads:
    raise ValueError('model.anytime.enabled cannot be combined with model.head.attribute_heads.')
  anytime.exit_weights(model_config)


def check_levels(model_config: config.Detector, levels: Iterable[int]) -> None:
  """Raises a ValueError if the backbone's levels lack one that the decoder reads.

  The finest level has to be among them; the pyramid makes the coarser ones.
  """
  levels = sorted(levels)
  needed = [model_config.min_level]
  if model_config.decoder.type == 'identity':
    needed = range(model_config.min_level, model_config.max_level + 1)
  missing = [level for level in needed if level not in levels]
  if missing:
    raise ValueError(
      f'model.backbone {model_config.backbone.type!r} has levels {", ".join(map(str, levels))}, but decoder'
      f' {model_config.decoder.type!r} of levels {model_config.min_level}..{model_config.max_level} needs level'
      f' {missing[0]}: change model.min_level or model.max_level, or use another backbone.'
    )
