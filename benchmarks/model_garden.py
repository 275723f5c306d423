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

"""Builds Model Garden's RetinaNet with NAS-FPN with the settings and weights of one of ours, for comparison."""

from typing import Any

import tf_keras
from official.modeling.hyperparams import base_config
from official.vision.configs import retinanet
from official.vision.modeling import backbones, factory
from official.vision.modeling.decoders import nasfpn
from official.vision.modeling.retinanet_model import RetinaNetModel

from nasfpn_tf import config
from nasfpn_tf.interop import model_garden

KINDS = ('as_shipped', 'corrected')


class CorrectedNASFPN(nasfpn.NASFPN):
  """Model Garden's decoder with its own width inside the pyramid, where it resamples to 256 regardless."""

  def _resample_feature_map(self, inputs, input_level, target_level, target_num_filters=None):
    del target_num_filters
    return super()._resample_feature_map(inputs, input_level, target_level, self._config_dict['num_filters'])


def decoder_class(kind: str) -> type[nasfpn.NASFPN]:
  """Returns the decoder of one of `KINDS`."""
  return CorrectedNASFPN if kind == 'corrected' else nasfpn.NASFPN


def same_network(num_filters: int, kind: str) -> bool:
  """Tells whether Model Garden's model computes the same as ours, so that it can take our weights."""
  return kind == 'corrected' or num_filters == 256


def _shared(ours: base_config.Config, theirs: base_config.Config) -> dict[str, Any]:
  """Returns the settings of `ours` that Model Garden knows too.

  Raises:
    ValueError: another one differs from its default, so that Model Garden would build another network.
  """
  values, defaults, known = ours.as_dict(), type(ours)().as_dict(), theirs.as_dict()
  for key in values.keys() - known.keys():
    if values[key] != defaults[key]:
      raise ValueError(f'Model Garden has no {key} in {type(theirs).__name__}, so it cannot be {values[key]!r} here.')
  return {key: value for key, value in values.items() if key in known}


def task_config(ours: config.DetectionTask) -> retinanet.RetinaNetTask:
  """Converts a task of ours with a NAS-FPN decoder to Model Garden's configuration.

  Batch norm is not synchronized, as ours is not on one replica: that makes it faster.

  Raises:
    ValueError: Model Garden lacks a setting that is not at its default.
  """
  model, pyramid = ours.model, ours.model.decoder.feature_pyramid
  task = retinanet.RetinaNetTask()
  override = {key: getattr(model, key) for key in ('num_classes', 'input_size', 'min_level', 'max_level')}
  for key in ('anchor', 'head', 'norm_activation'):
    override[key] = _shared(getattr(model, key), getattr(task.model, key))
  override['head']['num_filters'] = model.head.num_filters or pyramid.num_filters
  override['norm_activation']['use_sync_bn'] = False
  keys = ('num_filters', 'num_repeats', 'use_separable_conv')
  override['decoder'] = {'type': 'nasfpn', 'nasfpn': {key: getattr(pyramid, key) for key in keys}}
  task.override({'model': override, 'losses': _shared(ours.losses, task.losses)})
  # The same backbone: one of ours is registered with Model Garden, but its class of configuration does not know it.
  task.model.backbone = ours.model.backbone
  return task


def build_model(task: retinanet.RetinaNetTask, kind: str, batch_size: int | None = None) -> RetinaNetModel:
  """Builds Model Garden's model of its task, with the decoder of one of `KINDS`."""
  model, norm = task.model, task.model.norm_activation
  decay = task.losses.l2_weight_decay
  regularizer = tf_keras.regularizers.l2(decay / 2.0) if decay else None
  input_specs = tf_keras.layers.InputSpec(shape=[batch_size, *model.input_size])
  backbone = backbones.factory.build_backbone(input_specs, model.backbone, norm, regularizer)
  pyramid = model.decoder.get()
  decoder = decoder_class(kind)(
    backbone.output_specs,
    min_level=model.min_level,
    max_level=model.max_level,
    num_filters=pyramid.num_filters,
    num_repeats=pyramid.num_repeats,
    use_separable_conv=pyramid.use_separable_conv,
    activation=norm.activation,
    norm_momentum=norm.norm_momentum,
    norm_epsilon=norm.norm_epsilon,
    kernel_regularizer=regularizer,
  )
  return factory.build_retinanet(input_specs, model, regularizer, backbone=backbone, decoder=decoder)


def copy_weights(ours: tf_keras.Model, theirs: RetinaNetModel) -> None:
  """Gives the peer our weights; they must be the `same_network`."""
  theirs.backbone.set_weights(ours.backbone.get_weights())
  model_garden.save_to_model_garden(ours.decoder, theirs.decoder)
  theirs.head.set_weights(ours.head.get_weights())
