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

"""An imported FPNLite computes what the Object Detection API's computes.

data/odapi_mobilenetv2_fpnlite/ is the output of that code itself (tf-models-research-object-detection 2.8.0, the zoo's
configuration with depth_multiplier 0.05 and a predictor of 8 channels, random weights): its variables by name, and what
it computes for one image of 256 pixels: raw outputs at some positions, and the detections. Of the image's first 192
pixels, where levels 6 and 7 have odd sizes, it is the raw outputs of these.
"""

import functools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import zoo
from nasfpn_tf.modeling import detector
from nasfpn_tf.public_weights import importing, object_detection_api
from nasfpn_tf.training import params as params_lib

DATA = pathlib.Path(__file__).parent / 'data' / 'odapi_mobilenetv2_fpnlite'
KEPT = {3: 16, 4: 8, 5: 4, 6: 2, 7: 1}


@functools.cache
def _state():
  return {name: value.astype(np.float32) for name, value in np.load(DATA / 'state.npz').items()}


def _write(directory, values, pipeline=None):
  """Writes an archive's content as the zoo has it: checkpoint, SavedModel, configuration."""
  module = tf.Module()
  module.variables_ = [tf.Variable(value, name=name) for name, value in values.items()]
  checkpoint = tf.train.Checkpoint(model=module)
  checkpoint.write(str(directory / 'checkpoint' / 'ckpt-0'))
  checkpoint.write(str(directory / 'saved_model' / 'variables' / 'variables'))
  if pipeline:
    (directory / 'pipeline.config').write_text(pipeline)
  return str(directory)


def _normalized(pixels):
  return (pixels.astype(np.float32) - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375])


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
  """(model directory, report) of the checkpoint."""
  root = tmp_path_factory.mktemp('fpnlite')
  path = _write(root / 'published', _state())
  return root / 'run', importing.import_checkpoint('object_detection_api', path, str(root / 'run'), (256, 256))


@pytest.fixture(scope='module')
def model(imported):
  return zoo.load_detector(str(imported[0]))


def _by_aspect(outputs, like):
  """Brings outputs [1, height, width, scale, aspect, values] to the order of theirs."""
  return outputs.reshape([*outputs.shape[:3], 2, 3, -1]).swapaxes(3, 4).reshape(like.shape)


def test_computes_and_detects_the_same(imported, model):
  _, report = imported
  assert not report.missing
  assert not report.unused
  expected = np.load(DATA / 'outputs.npz')
  image = _normalized(expected['pixels'])
  classes, boxes, _ = model.head(model.decoder(model.backbone(image, training=False), training=False), training=False)
  for level, step in KEPT.items():
    for ours, name in ((classes, 'class'), (boxes, 'box')):
      theirs = expected[f'{name}_{level}']
      kept = ours[str(level)][:, ::step, ::step].numpy()
      np.testing.assert_allclose(_by_aspect(kept, theirs), theirs, 1e-4, 1e-4)
  found = model(image, training=False)  # Theirs are clipped to the image after the suppression, not before.
  best = np.s_[:40]
  np.testing.assert_array_equal(found['detection_classes'][0][best], expected['detection_classes'] + 1)
  np.testing.assert_allclose(found['detection_scores'][0][best], expected['detection_scores'], atol=1e-4)
  boxes = np.clip(found['detection_boxes'][0][best], 0, 256)
  np.testing.assert_allclose(boxes, expected['detection_boxes'] * 256, atol=1e-2)


def test_levels_of_odd_size_are_the_same(imported, model):
  other = {'task': {'model': {'input_size': [192, 192, 3]}}}
  settings = params_lib.load_params(config_files=str(imported[0]), params_override=other).task.model
  small = detector.build_detector(settings)
  for part in ('backbone', 'decoder', 'head'):
    getattr(small, part).set_weights(getattr(model, part).get_weights())
  expected = np.load(DATA / 'outputs.npz')
  image = _normalized(expected['pixels'][:, :192, :192])
  features = small.decoder(small.backbone(image, training=False), training=False)
  assert [features[level].shape[1] for level in '34567'] == [24, 12, 6, 3, 2]
  classes, boxes, _ = small.head(features, training=False)
  for level in '67':
    for ours, name in ((classes, 'class'), (boxes, 'box')):
      theirs = expected[f'odd_{name}_{level}']
      np.testing.assert_allclose(_by_aspect(ours[level].numpy(), theirs), theirs, atol=1e-4)


def test_model_directory_stretches_images(imported):
  task = params_lib.load_params(config_files=str(imported[0])).task
  assert not task.validation_data.parser.keep_aspect_ratio
  assert not task.train_data.parser.keep_aspect_ratio
  assert task.model.detection_generator.box_coder_weights == [10.0, 10.0, 5.0, 5.0]
  assert task.model.head.share_towers


def test_pipeline_config_is_read(tmp_path):
  (tmp_path / 'pipeline.config').write_text(
    'anchor_scale: 3.0\naspect_ratios: 1.0\naspect_ratios: 2.0\naspect_ratios: 0.5'
  )
  assert object_detection_api._described(str(tmp_path)) == {'anchor_scale': 3.0}
  (tmp_path / 'checkpoint').mkdir()
  assert object_detection_api._described(str(tmp_path / 'checkpoint' / 'ckpt-0')) == {'anchor_scale': 3.0}
  for line, problem in (
    ('y_scale: 5.0', 'y_scale is 5'),
    ('aspect_ratios: [1.0, 3.0]', r'aspect_ratios are \[1.0, 3.0\]'),
    ('activation: SWISH', 'activation is not RELU_6'),
    ('use_explicit_padding: true', 'use_explicit_padding is true'),
  ):
    (tmp_path / 'pipeline.config').write_text(line)
    with pytest.raises(ValueError, match=rf'pipeline\.config: {problem}, which differs from the published models'):
      object_detection_api._described(str(tmp_path))


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'', 'is no configuration of a detector'),
    (b'<html>Sign in</html>', 'is no configuration of a detector'),
    (bytes(range(256)), 'braces|no configuration'),
    (b'model { ssd { anchor_scale: 4.0', 'is damaged or not whole'),
    (b'y_scale: -', "is damaged .could not convert string to float: '-'."),
    (b'aspect_ratios: [1.0, 2..0]', 'is damaged'),
  ],
)
def test_a_damaged_configuration_is_named(tmp_path, content, message):
  (tmp_path / 'pipeline.config').write_bytes(content)
  with pytest.raises(ValueError, match=rf'pipeline\.config .*({message}).*: copy it again|pipeline\.config {message}'):
    object_detection_api._described(str(tmp_path))


def test_a_directory_of_its_name_is_no_configuration(tmp_path):
  (tmp_path / 'pipeline.config').mkdir()
  (tmp_path / 'checkpoint').mkdir()
  for given in (tmp_path, tmp_path / 'checkpoint' / 'ckpt-0'):
    with pytest.raises(OSError, match=r'Is a directory: .*pipeline\.config'):
      object_detection_api._described(str(given))


@pytest.mark.parametrize(
  ('names', 'message'),
  [
    (
      ['FeatureExtractor/MobilenetV2/Conv/weights'],
      'is of the TensorFlow 1 zoo, of which MnasFPN alone can be imported',
    ),
    (['conv1/kernel', 'dense/bias'], 'has no block_16_project/kernel; it has conv1/kernel, dense/bias'),
  ],
)
def test_another_model_is_refused(tmp_path, names, message):
  path = _write(tmp_path / 'other', {name: np.zeros([3, 3]) for name in names})
  with pytest.raises(ValueError, match=message):
    importing.import_checkpoint('object_detection_api', path, str(tmp_path / 'run'), (256, 256))
  assert not (tmp_path / 'run').exists()


def test_separate_towers_are_read_too():
  values = {}
  for name, value in _state().items():
    short = object_detection_api._SCOPE.search(name).group(1)
    if short.startswith('PredictionTower'):
      values |= {f'{kind}{short}': value for kind in ('Class', 'Box')}
    else:
      values[short] = value
  assert object_detection_api.model_settings(values, 'x')['head']['share_towers'] is False
