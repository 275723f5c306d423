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
"""Other detectors of tensorflow/tpu compute here what its code computes; R50-NAS-FPN is in importing_test.py.

data/tpu_r50_fpn/, data/tpu_spinenet/ and data/tpu_spinenet_mobile/ are the output of tensorflow/tpu itself (commit
7dc921f, models/official/detection, run with tf.compat.v1): ResNet-50 with 1/32 of the channels and FPN @ 8, SpineNet
with 1/25 of the channels and two blocks in the place of each, and Mobile SpineNet with 0.15 of the channels and a head
of 8, all with 3 classes and random weights; their checkpoints and what they compute for one image, of the finer levels
at every eighth, fourth and second position, and the 100 detections.
"""

import functools
import pathlib
import shutil

import numpy as np
import pytest
from official.vision.modeling.backbones import spinenet, spinenet_mobile

from nasfpn_tf import zoo
from nasfpn_tf.public_weights import importing

DATA = pathlib.Path(__file__).parent / 'data'
KEPT = {3: 8, 4: 4, 5: 2, 6: 1, 7: 1}
NARROW = {'endpoints_num_filters': 8, 'filter_size_scale': 0.04, 'resample_alpha': 0.5, 'block_repeats': 2}
NARROW_MOBILE = {'endpoints_num_filters': 8, 'filter_size_scale': 0.15, 'block_repeats': 1}
SWISH = {'norm_activation': {'activation': 'swish'}, 'anchor': {'anchor_size': 3.0}}
KNOWN = {'tpu_r50_fpn': (128, None), 'tpu_spinenet': (256, SWISH), 'tpu_spinenet_mobile': (256, SWISH)}


@pytest.fixture
def narrow(monkeypatch):
  monkeypatch.setitem(spinenet.SCALING_MAP, '49', NARROW)
  monkeypatch.setitem(spinenet_mobile.SCALING_MAP, '49', NARROW_MOBILE)


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
  """Imports a checkpoint, once; returns the report and the directory."""

  @functools.cache
  def run(name):
    size, known_model = KNOWN[name]
    checkpoint, directory = str(DATA / name / 'model.ckpt-0'), str(tmp_path_factory.mktemp(name) / 'run')
    report = importing.import_checkpoint('tpu', checkpoint, directory, (size, size), known_model=known_model)
    return report, directory

  return run


@pytest.mark.parametrize(
  'name, num_with_area, num_tied',
  [
    ('tpu_r50_fpn', 69, 0),
    pytest.param('tpu_spinenet', 58, 6, marks=pytest.mark.slow),
    pytest.param('tpu_spinenet_mobile', 98, 0, marks=pytest.mark.slow),
  ],
)
def test_outputs_and_detections_are_those_of_the_authors_code(narrow, imported, name, num_with_area, num_tied):
  size, _ = KNOWN[name]
  report, run = imported(name)
  assert not report.missing
  assert not report.unused
  model = zoo.load_detector(run)
  expected = np.load(DATA / name / 'outputs.npz')
  pixels = expected['pixels'].astype(np.float32) / np.float32(255)
  image = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
  features = model.backbone(image, training=False)
  if model.decoder is not None:
    features = model.decoder(features, training=False)
  classes, boxes, _ = model.head(features, training=False)
  for level, step in KEPT.items():
    positions = np.s_[:, ::step, ::step]
    np.testing.assert_allclose(classes[str(level)][positions], expected[f'class_{level}'], atol=1e-4)
    np.testing.assert_allclose(boxes[str(level)][positions], expected[f'box_{level}'], atol=1e-4)
  found = model(image, image_shape=np.array([[size, size]]), training=False)
  corners = expected['detection_boxes'][0]
  kept = np.flatnonzero(np.all(corners[:, 2:] > corners[:, :2], axis=1))  # Those without area are dropped here.
  assert len(kept) == num_with_area
  scores = expected['detection_scores'][0][kept]
  np.testing.assert_allclose(found['detection_scores'][0][: len(kept)], scores, rtol=0, atol=1e-4)
  # Scores that differ by less than their rounding have no order.
  order = []
  for n in kept:
    same_box = np.all(np.abs(found['detection_boxes'][0] - corners[n]) <= 1e-2, axis=1)
    same_class = found['detection_classes'][0] == expected['detection_classes'][0, n]
    order.append(np.flatnonzero(same_box & same_class).item())
  assert sorted(order) == list(range(len(kept)))
  assert np.sum(order != np.arange(len(kept))) <= num_tied
  np.testing.assert_allclose(scores[order], scores, rtol=0, atol=1e-6)


def test_mobile_spinenet_needs_the_settings_of_its_gates(narrow, imported):
  _, run = imported('tpu_spinenet_mobile')
  other = {'task': {'model': {'backbone': {'spinenet_mobile': {'se_inner_activation': 'relu'}}}}}
  with pytest.raises(ValueError, match=r"spinenet_mobile\.se_inner_activation is 'swish' there and 'relu' here"):
    zoo.load_detector(run, params_override=other)


def test_activation_of_a_spinenet_is_not_guessed(tmp_path):
  for file in (DATA / 'tpu_spinenet').glob('model.ckpt*'):
    shutil.copy(file, tmp_path)
  with pytest.raises(ValueError, match=r'trained with ReLU or with swish; its variables do not tell\. .*params\.yaml'):
    importing.import_checkpoint('tpu', str(tmp_path), str(tmp_path / 'run'))
  (tmp_path / 'params.yaml').write_text('batch_norm_activation: {activation: swish}\nanchor: {anchor_size: 3.0}\n')
  with pytest.raises(ValueError, match=r'a SpineNet of another size .* than 49S, 49, '):  # It is as narrow as none.
    importing.import_checkpoint('tpu', str(tmp_path), str(tmp_path / 'run'))
  (tmp_path / 'params.yaml').write_text('task: {}\n')
  with pytest.raises(ValueError, match=r'params\.yaml is not of a training with tensorflow/tpu'):
    importing.import_checkpoint('tpu', str(tmp_path), str(tmp_path / 'run'))
  with pytest.raises(ValueError, match=r'a Mobile SpineNet of another size .* than 49, 49S, 49XS'):
    importing.import_checkpoint('tpu', str(DATA / 'tpu_spinenet_mobile'), str(tmp_path / 'run'), known_model=SWISH)
  assert not (tmp_path / 'run').exists()
