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

"""What an imported detector is for: it gets exits, becomes a SavedModel and a .tflite, and learns other classes."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import zoo
from nasfpn_tf.export import saved_model, source, tflite
from nasfpn_tf.predict import detector as predict
from nasfpn_tf.public_weights import importing
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import task as task_lib
from tests import testing

pytestmark = pytest.mark.slow

CHECKPOINT = pathlib.Path(__file__).parent / 'data' / 'tpu_r50_nasfpn' / 'model.ckpt-0'
SIZE = (128, 128)


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
  directory = str(tmp_path_factory.mktemp('imported') / 'run')
  importing.import_checkpoint('tpu', str(CHECKPOINT), directory, SIZE)
  return directory


def _image():
  return np.random.default_rng(0).integers(0, 256, [96, 128, 3]).astype(np.uint8)


def test_gets_exits(imported):
  override = {'task': {'init_checkpoint': imported, 'model': {'anytime': {'enabled': True}}}}
  task = task_lib.DetectionTask(params_lib.load_params(config_files=imported, params_override=override).task)
  model = task.build_model()
  task.initialize(model)
  assert model.num_exits == 7
  image = tf.random.stateless_normal([1, *SIZE, 3], [0, 1])
  expected = zoo.load_detector(imported)(image, image_shape=tf.constant([SIZE]), training=False)
  found = model(image, image_shape=tf.constant([SIZE]), training=False)
  np.testing.assert_allclose(found['detection_scores'], expected['detection_scores'], atol=1e-5)
  np.testing.assert_allclose(found['detection_boxes'], expected['detection_boxes'], atol=1e-3)
  early = model.at_exit(1)(image, image_shape=tf.constant([SIZE]), training=False)
  assert not np.allclose(early['detection_scores'], expected['detection_scores'])


def test_becomes_a_savedmodel_and_a_tflite(imported, tmp_path):
  detector = source.load(imported)
  exported = saved_model.export_saved_model(detector, str(tmp_path / 'exported'), images=[_image()])
  tflite.export_tflite(detector, str(tmp_path / 'detector.tflite'), images=[_image()])
  expected = predict.load(imported)(_image())
  for path in (exported, str(tmp_path / 'detector.tflite')):
    found = predict.load(path)(_image())
    np.testing.assert_allclose(found.scores[:10], expected.scores[:10], atol=1e-3)
    assert list(found.classes[:10]) == list(expected.classes[:10])


def test_learns_the_classes_of_another_data_set(imported, tmp_path):
  """Two steps on blood cells, by the commands of docs/weights.md."""
  data = testing.shared_data('bccd')
  scripts = testing.repo_root() / 'scripts'

  def run(name, *arguments):
    result = subprocess.run([sys.executable, scripts / name, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]

  run(
    'create_tfrecord.py',
    '--format=coco',
    f'--annotations={data}/annotations/instances_test.json',
    f'--image_dir={data}/images',
    f'--output_prefix={tmp_path}/bccd',
  )
  run(
    'train.py',
    '--mode=train_and_eval',
    f'--config_file={imported}/params.yaml',
    f'--model_dir={tmp_path}/run',
    f'--params_override=task.init_checkpoint={imported},task.init_checkpoint_modules=fitting,task.freeze_backbone=true,'
    f'task.model.num_classes=4,task.train_data.input_path={tmp_path}/bccd*,task.validation_data.input_path='
    f'{tmp_path}/bccd*,task.train_data.global_batch_size=2,task.validation_data.take_examples=2,trainer.train_steps=2,'
    'trainer.validation_interval=2,trainer.checkpoint_interval=2,trainer.steps_per_loop=1,trainer.summary_interval=1',
  )
  trained = zoo.load_detector(str(tmp_path / 'run'))
  assert trained.head.get_config()['num_classes'] == 4
  given = zoo.load_detector(imported)
  for ours, theirs in zip(trained.backbone.get_weights(), given.backbone.get_weights(), strict=True):
    np.testing.assert_array_equal(ours, theirs)
  pairs = zip(trained.decoder.trainable_variables, given.decoder.trainable_variables, strict=True)
  assert 0 < max(np.abs(ours.numpy() - theirs.numpy()).max() for ours, theirs in pairs) < 1.0  # Two steps from them.
