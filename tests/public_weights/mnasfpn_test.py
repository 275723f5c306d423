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
"""An imported MnasFPN computes what the Object Detection API's computes.

data/odapi_mobilenetv2_mnasfpn/ is the output of that code itself (tf-models-research-object-detection 2.8.0 under
tf.compat.v1, the zoo's configuration with depth_multiplier 0.05, min_depth 8 and a predictor of 8 channels, random
weights): its checkpoint, and what it computes for one image of 256 pixels: raw outputs at some positions, and the
detections.
"""

import pathlib
import shutil

import numpy as np
import pytest

import nasfpn_tf
from nasfpn_tf import topology, zoo
from nasfpn_tf.export import source, tflite
from nasfpn_tf.modeling.weights import known
from nasfpn_tf.public_weights import importing, mnasfpn, named_checkpoint, object_detection_api
from nasfpn_tf.training import params as params_lib

DATA = pathlib.Path(__file__).parent / 'data' / 'odapi_mobilenetv2_mnasfpn'
KEPT = {3: 16, 4: 8, 5: 4, 6: 2}


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
  """(model directory, report) of the checkpoint."""
  run = tmp_path_factory.mktemp('mnasfpn') / 'run'
  return run, importing.import_checkpoint('object_detection_api', str(DATA), str(run), (256, 256))


def _by_aspect(outputs, like):
  """Brings outputs [1, height, width, scale, aspect, values] to the order of theirs."""
  return outputs.reshape([*outputs.shape[:3], 3, 3, -1]).swapaxes(3, 4).reshape(like.shape)


def test_computes_and_detects_the_same(imported):
  run, report = imported
  assert not report.missing
  assert not report.unused
  model = zoo.load_detector(str(run))
  expected = np.load(DATA / 'outputs.npz')
  pixels = expected['pixels'].astype(np.float32)
  image = (pixels - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375])
  classes, boxes, _ = model.head(model.decoder(model.backbone(image, training=False), training=False), training=False)
  for level, step in KEPT.items():
    for ours, name in ((classes, 'class'), (boxes, 'box')):
      theirs = expected[f'{name}_{level}']
      kept = ours[str(level)][:, ::step, ::step].numpy()
      np.testing.assert_allclose(_by_aspect(kept, theirs), theirs, 1e-4, 1e-4)
  found = model(image, training=False)  # Theirs are clipped to the image after the suppression, not before.
  best = np.s_[:40]
  np.testing.assert_array_equal(found['detection_classes'][0][best], expected['detection_classes'][best] + 1)
  np.testing.assert_allclose(found['detection_scores'][0][best], expected['detection_scores'][best], atol=1e-4)
  corners = np.clip(found['detection_boxes'][0][best], 0, 256)
  np.testing.assert_allclose(corners, expected['detection_boxes'][best] * 256, atol=1e-2)


@pytest.mark.slow
def test_becomes_an_int8_tflite_that_detects_the_same(imported, tmp_path):
  """A minute. Where two neighbors have nearly the same score, rounding may choose the other one."""
  expected = np.load(DATA / 'outputs.npz')
  image = expected['pixels'][0]
  path = str(tmp_path / 'mnasfpn_int8.tflite')
  shifted = [np.roll(image, 16 * n, axis=1) for n in range(16)]
  facts = tflite.export_tflite(source.load(str(imported[0])), path, tflite.Options(quant_type='int8'), shifted)
  assert facts['quant_type'] == 'int8' and facts['ops']['CONV_2D'] > 100 and facts['ops']['DEPTHWISE_CONV_2D'] > 50
  found = nasfpn_tf.load(path)(image, score_threshold=0.0)
  np.testing.assert_allclose(found.scores[:40], expected['detection_scores'][:40], atol=0.01)
  theirs = np.clip(expected['detection_boxes'][:40] * 256, 0, 256)
  is_found = [np.any(np.all(np.abs(found.boxes - corners) < 1, axis=1)) for corners in theirs]
  assert np.sum(is_found) >= 36


def test_model_directory_says_what_no_variable_tells(imported):
  task = params_lib.load_params(config_files=str(imported[0])).task
  pyramid, backbone = task.model.decoder.mnas_fpn, task.model.backbone.applications
  assert topology.PyramidSpec.from_json((imported[0] / 'topology.json').read_text()) == topology.MNAS_FPN
  assert (pyramid.num_repeats, pyramid.num_filters, pyramid.expansions) == (4, 8, [16, 8, 8, 8, 8])
  assert pyramid.kernel_sizes == [3, 3, 3, 5, 3]
  assert (pyramid.norm_epsilon, backbone.norm_epsilon, task.model.norm_activation.norm_epsilon) == (0.01, 0.01, 0.001)
  assert task.model.detection_generator.box_coder_weights == [10.0, 10.0, 5.0, 5.0]
  assert (task.model.anchor.anchor_size, task.model.anchor.num_scales) == (3.0, 3)
  assert task.model.head.share_towers
  assert not task.validation_data.parser.keep_aspect_ratio


def test_the_configuration_is_that_of_the_published_model():
  """Its settings are what the importer reads off the checkpoint, but for the widths of the narrow model."""
  name = 'mobilenetv2_mnasfpn_4x48_320'
  model = params_lib.load_params(config_files=name).task.model
  read = mnasfpn.model_settings(mnasfpn.renamed(named_checkpoint.read(str(DATA))), 'narrow', {})
  narrow = {'decoder.mnas_fpn': ('num_filters', 'expansions', 'topology'), 'backbone.applications': ('alpha',)}
  widths = {'head': ('num_filters',)}
  for section, without in (narrow | widths | {'anchor': (), 'detection_generator': (), 'norm_activation': ()}).items():
    settings, ours = read, model
    for key in section.split('.'):
      settings, ours = settings[key], getattr(ours, key)
    for key, value in settings.items():
      if key not in (*without, 'use_sync_bn'):
        assert getattr(ours, key) == value, f'{section}.{key}'
  assert model.decoder.mnas_fpn.expansions == [256, 128, 128, 128, 96]
  assert known.name_for(known.COCO, model.as_dict()) == name


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    (
      'FeatureExtractor/MnasFPN/cell_0/block_3/SepConv/depthwise_weights',
      'it has no FeatureExtractor/MnasFPN/cell_0/bl',
    ),
    ('FeatureExtractor/MnasFPN/cell_2/block_3/SepConv/depthwise_weights', '1 of the model without a value'),
    ('FeatureExtractor/MobilenetV2/expanded_conv_7/expand/BatchNorm/gamma', '1 of the model without a value'),
  ],
)
def test_another_model_is_refused(tmp_path, monkeypatch, name, message):
  values = named_checkpoint.read(str(DATA))
  del values[name]
  monkeypatch.setattr(named_checkpoint, 'read', lambda path: values)
  with pytest.raises(ValueError, match=message):
    importing.import_checkpoint('object_detection_api', 'x', str(tmp_path / 'run'), (256, 256))
  assert not (tmp_path / 'run').exists()


def test_pipeline_config_overrides_the_published_anchors(tmp_path):
  for file in DATA.glob('model.ckpt.*'):
    shutil.copy(file, tmp_path)
  (tmp_path / 'pipeline.config').write_text('anchor_scale: 4.0 score_threshold: 0.3')
  settings = object_detection_api.open_checkpoint(str(tmp_path)).settings
  assert settings['anchor']['anchor_size'] == 4.0
  assert settings['detection_generator']['pre_nms_score_threshold'] == 0.3
