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
"""A backbone is one module and one line; what is registered is known to configurations, checks and factory."""

import dataclasses
import importlib

import numpy as np
import pytest
import tf_keras
import yaml
from official.modeling import hyperparams
from official.vision.configs import backbones as mg_backbones
from official.vision.modeling.backbones import factory

from nasfpn_tf import config
from nasfpn_tf.config import checking
from nasfpn_tf.export import saved_model, source
from nasfpn_tf.layers.conv_options import ConvOptions
from nasfpn_tf.modeling import backbones, detector, validation
from nasfpn_tf.modeling.backbones import amoebanet_cell, registry
from nasfpn_tf.training import trainer
from tests.modeling.backbones import tiny  # The one line.
from tests.training import rectangles


@dataclasses.dataclass
class Other(hyperparams.Config):
  """Settings of no backbone."""

  depth: int = 1


def model_config(**overrides):
  return config.Detector(num_classes=3, input_size=[128, 128, 3], backbone={'type': 'tiny'}).replace(**overrides)


def test_a_backbone_of_one_module_is_trained_and_exported(tmp_path):
  params = rectangles.experiment(
    rectangles.write(tmp_path / 'records', num_images=4),
    task={'model': {'backbone': {'type': 'tiny', 'tiny': {'num_filters': 6}}}},
    trainer={'train_steps': 2},
  )
  trainer.run(params, 'train', str(tmp_path / 'run'))
  saved = yaml.safe_load((tmp_path / 'run' / 'params.yaml').read_text())['task']['model']['backbone']
  assert saved == {'type': 'tiny', 'tiny': {'num_filters': 6}}
  trained = source.load(str(tmp_path / 'run'))
  assert isinstance(trained.model.backbone, tiny.TinyNet) and trained.model.backbone.output_specs['3'][-1] == 12
  fresh = detector.build_detector(trained.params.task.model).backbone.get_layer('norm_5')
  assert np.any(trained.model.backbone.get_layer('norm_5').moving_variance != fresh.moving_variance)
  images = np.random.default_rng(0).integers(0, 256, [2, 96, 128, 3], np.uint8)
  exported = saved_model.export_saved_model(trained, str(tmp_path / 'saved_model'), images=list(images))
  assert isinstance(source.load(exported).model.backbone, tiny.TinyNet)


def test_the_builder_is_given_settings_shape_and_options():
  model = detector.build_detector(
    model_config(
      input_size=[128, 256, 3],
      backbone={'tiny': {'num_filters': 2}},
      norm_activation={'activation': 'swish', 'norm_momentum': 0.5, 'norm_epsilon': 0.25},
    ),
    tf_keras.regularizers.l2(0.5),
  )
  assert model.backbone.output_specs['3'].as_list() == [None, 16, 32, 4]
  conv, norm = (model.backbone.get_layer(f'{kind}_2') for kind in ('conv', 'norm'))
  assert (norm.momentum, norm.epsilon) == (0.5, 0.25) and conv.kernel_regularizer.l2 == 0.5


def test_its_settings_are_checked_as_others_are():
  with pytest.raises(ValueError, match=r'model.backbone.tiny.num_filters must be an integer, not 0\.5'):
    validation.check(model_config(backbone={'tiny': {'num_filters': 0.5}}))
  with pytest.raises(KeyError, match='num_filter'):
    model_config(backbone={'tiny': {'num_filter': 2}})
  with pytest.raises(ValueError, match=r"'tinny' is unknown; did you mean 'tiny'"):
    validation.check(model_config(backbone={'type': 'tinny'}))


def test_configurations_have_the_section():
  settings = config.Backbone({'type': 'tiny', 'tiny': {'num_filters': 3}})
  assert type(settings.get()) is tiny.Tiny and settings.get().num_filters == 3
  assert settings.as_dict() == {'type': 'tiny', 'tiny': {'num_filters': 3}}
  assert config.Backbone().tiny is not config.Backbone().tiny
  checking.check(settings, 'backbone')


def test_registering_twice_is_harmless_but_another_backbone_of_the_name_is_not(monkeypatch):
  importlib.reload(backbones.amoebanet)
  monkeypatch.setitem(factory._REGISTERED_BACKBONE_CLS, 'amoebanet', lambda **kwargs: None)
  with pytest.raises(KeyError, match='amoebanet'):
    importlib.reload(backbones.amoebanet)
  with pytest.raises(KeyError, match=r"'scale_permuted'.*ScalePermuted, not Other"):
    config.add_backbone('scale_permuted', Other)


def test_what_is_known_before_building():
  assert registry.traits('spinenet').stride == registry.traits('scale_permuted').stride == 128
  assert registry.traits('tiny') == registry.traits('resnet') == registry.Traits()
  assert list(registry.traits('scale_permuted').levels(config.ScalePermuted())) == [3, 4, 5, 6, 7]
  assert registry.recomputable_blocks() == (amoebanet_cell.AmoebaCell,)


def test_all_of_the_project_are_registered():
  names = {field.name for field in dataclasses.fields(config.Backbone)}
  names -= {field.name for field in dataclasses.fields(mg_backbones.Backbone)}
  assert names == {'applications', 'amoebanet', 'scale_permuted'} <= set(factory._REGISTERED_BACKBONE_CLS)
  assert ConvOptions().activation == config.Detector().norm_activation.activation
