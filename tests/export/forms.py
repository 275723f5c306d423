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
"""One small detector, trained for a moment and exported in every form, once for all tests that need it.

A test has it as its argument `forms`: the conftest.py of its directory has the fixture.
"""

import dataclasses
import fcntl
import os
import pathlib
import shutil

import pytest


@dataclasses.dataclass(frozen=True)
class Forms:
  """Where the forms are.

  Attributes:
    root: directory of everything.
  """

  root: pathlib.Path

  @property
  def records(self) -> str:
    """Prefix of the records, 12 images."""
    return str(self.root / 'set')

  @property
  def images(self) -> pathlib.Path:
    """Directory of the images in the records."""
    return self.root / 'set_images'

  @property
  def model_dir(self) -> str:
    """What training wrote."""
    return str(self.root / 'run')

  @property
  def saved_model(self) -> str:
    """Directory of SavedModel versions; there is version 1."""
    return str(self.root / 'saved_model')

  def tflite(self, name: str) -> str:
    """Path of 'float', 'fp16', 'raw' (uint8 input, no suppression), 'post_process' or 'int8'."""
    return str(self.root / f'{name}.tflite')


@pytest.fixture(scope='session')
def forms(tmp_path_factory) -> Forms:
  """The forms; made by whichever test process asks first."""
  base = tmp_path_factory.getbasetemp()
  base = base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base
  found = Forms(base / 'forms')
  with open(base / 'forms.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (found.root / 'done').exists():
      shutil.rmtree(found.root, ignore_errors=True)
      _make(found)
      (found.root / 'done').touch()
  return found


def _make(forms: Forms) -> None:
  import tf_keras

  from nasfpn_tf.export import calibration, saved_model, source, tflite
  from nasfpn_tf.training import trainer
  from tests.training import rectangles

  tf_keras.utils.set_random_seed(1)
  rectangles.write(forms.root, num_images=12)
  steps = 120
  trainer.run(
    rectangles.experiment(
      forms.records,
      # With the order of the images the detector is nearly the same in every run, and so is what it is sure of.
      task={'model': {'max_level': 7}, 'train_data': {'seed': 1}},
      trainer={
        'train_steps': steps,
        'steps_per_loop': 20,
        'checkpoint_interval': steps,
        'validation_interval': steps,
        'summary_interval': 20,
      },
    ),
    'train',
    forms.model_dir,
  )
  detector = source.load(forms.model_dir)
  saved_model.export_saved_model(detector, forms.saved_model)
  images = calibration.load_images(forms.records, 12)
  tflite.export_tflite(detector, forms.tflite('float'), images=images[:2])
  raw = tflite.Options(nms='none', input_dtype='uint8')
  tflite.export_tflite(detector, forms.tflite('raw'), raw, images[:2])
  tflite.export_tflite(detector, forms.tflite('post_process'), tflite.Options(nms='post_process'), images[:2])
  tflite.export_tflite(detector, forms.tflite('fp16'), tflite.Options(quant_type='fp16'), images[:2])
  tflite.export_tflite(detector, forms.tflite('int8'), tflite.Options(quant_type='int8'), images)
