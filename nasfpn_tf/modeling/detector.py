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

"""Builds a detector from a configuration: task, export, search and frontier all call `build_detector`."""

# Registers Model Garden's backbones, decoders and tasks (its `registry_imports` also registers a mock task).
import official.vision  # noqa: F401
import tensorflow as tf
import tf_keras
from official.vision.modeling import factory, retinanet_model
from official.vision.modeling.backbones import factory as backbone_factory
from official.vision.modeling.decoders import factory as decoder_factory
from official.vision.modeling.layers import detection_generator as mg_detection_generator

from nasfpn_tf import config
from nasfpn_tf.modeling import anytime, postprocess, recompute, shared_tower, validation
from nasfpn_tf.modeling.backbones import explicit_padding, squeeze_excitation
from nasfpn_tf.modeling.decoders import ssd


def build_detector(
  model_config: config.Detector, l2_regularizer: tf_keras.regularizers.Regularizer | None = None
) -> retinanet_model.RetinaNetModel:
  """Builds a detector; its variables exist when this returns.

  Args:
    model_config: what to build; it is left as it is. The weights depend on no size: for images of another `input_size`
      build the detector with it and load the same checkpoint.
    l2_regularizer: regularizer of the kernels.

  Returns:
    Model Garden's RetinaNet: `model(images, image_shape=None, anchor_boxes=None, training=None)`, images as the input
    pipeline makes them (normalized with ImageNet's mean and deviation). `checkpoint_items` are 'backbone', 'decoder'
    and 'head', so Model Garden's backbone checkpoints load. With `anytime.enabled` an `AnytimeRetinaNet`, whose
    items also have 'early_heads'.

  Raises:
    ValueError: naming the key, its value and what would do, if the configuration has a value of a wrong type, a type
      or a name that does not exist, sizes that do not fit, or levels that the backbone lacks.
  """
  validation.check(model_config)
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    # Nothing to synchronize with, and the synchronized batch norm has no fused kernel: 15-20 % of a step on a CPU.
    model_config = model_config.replace(norm_activation={'use_sync_bn': False})
  input_specs = tf_keras.layers.InputSpec(shape=[None, *model_config.input_size])
  backbone = backbone_factory.build_backbone(
    input_specs=input_specs,
    backbone_config=model_config.backbone,
    norm_activation_config=model_config.norm_activation,
    l2_regularizer=l2_regularizer,
  )
  settings = model_config.backbone.get()
  explicit_padding.apply(backbone, getattr(settings, 'padding', explicit_padding.SAME))
  if model_config.backbone.type == 'spinenet_mobile':
    squeeze_excitation.apply(backbone, settings.se_inner_activation, settings.se_gating_activation)
  validation.check_levels(model_config, map(int, backbone.output_specs))
  pyramid = decoder_factory.build_decoder(
    input_specs=backbone.output_specs, model_config=model_config, l2_regularizer=l2_regularizer
  )
  width = model_config.head.num_filters or _pyramid_width(model_config, backbone)
  # The factory builds the head; the rest of its model is replaced below.
  parts_config = model_config.replace(head={'num_filters': width}, detection_generator={'nms_version': 'v2'})
  parts = factory.build_retinanet(
    input_specs, parts_config, l2_regularizer=l2_regularizer, backbone=backbone, decoder=pyramid
  )
  if pyramid is None:
    # The factory builds a head only behind a decoder.
    parts.head({level: tf_keras.Input(shape[1:]) for level, shape in backbone.output_specs.items()})
  head = parts.head
  if model_config.head.share_towers:
    head = shared_tower.SharedTowerHead(**head.get_config(), name=head.name)
    head({level: tf_keras.Input(shape[1:]) for level, shape in pyramid.output_specs.items()})
  kind, exits = retinanet_model.RetinaNetModel, {}
  if model_config.anytime.enabled:
    kind = anytime.AnytimeRetinaNet
    exits = {'early_heads': anytime.build_early_heads(head, pyramid, model_config.anytime.share_heads)}
  model = kind(
    backbone,
    pyramid,
    head,
    build_detection_generator(model_config),
    min_level=model_config.min_level,
    max_level=model_config.max_level,
    num_scales=model_config.anchor.num_scales,
    aspect_ratios=model_config.anchor.aspect_ratios,
    anchor_size=model_config.anchor.anchor_size,
    **exits,
  )
  if model_config.recompute_backbone:
    recompute.recompute_blocks(backbone)
  if model_config.recompute_head:
    for each in getattr(model, 'heads', [head]):
      recompute.recompute_towers(each)
  model.built = True  # Every part of it has been called.
  return model


def _pyramid_width(model_config: config.Detector, backbone: tf_keras.Model) -> int:
  """Returns the number of channels of the features that the head reads."""
  if model_config.decoder.type in ('identity', ssd.NAME):
    return backbone.output_specs[str(model_config.min_level)][-1]
  return model_config.decoder.get().num_filters


def build_detection_generator(model_config: config.Detector) -> tf_keras.layers.Layer:
  """Builds the post-processing layer of `model_config.detection_generator`, ours or Model Garden's."""
  options = model_config.detection_generator.as_dict()
  del options['decode_boxes']
  tflite = options.pop('tflite_post_processing')
  if options['nms_version'] in postprocess.NMS_VERSIONS:
    return postprocess.DetectionGenerator(**options, name='detection_generator')
  for ours in validation.OWN_NMS_SETTINGS:
    del options[ours]
  tflite['input_image_size'] = tuple(model_config.input_size[:2])
  return mg_detection_generator.MultilevelDetectionGenerator(
    **options, tflite_post_processing_config=tflite, name='detection_generator'
  )
