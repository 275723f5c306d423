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

"""A format of a test: a .tflite and its JSON file in one ZIP archive. What writes it, and what runs it."""

import os
import tempfile
import zipfile

from nasfpn_tf.artifacts import formats, layout
from nasfpn_tf.export import tflite as exporter
from nasfpn_tf.predict import tflite as predictor

FORMAT = formats.Format(
  name='zipped',
  description='a .tflite.zip',
  suffix='.tflite.zip',
  exporter='tests.artifacts.zipped:export',
  predictor='tests.artifacts.zipped:ZippedPredictor',
  runtime='ai-edge-litert',
)


def export(source, path, *, images=(), **options):
  """Writes the archive."""
  with tempfile.TemporaryDirectory() as directory:
    file = exporter.export(source, os.path.join(directory, 'model.tflite'), images=images, **options)
    with zipfile.ZipFile(path, 'w') as archive:
      for part in (file, layout.sidecar_path(file)):
        archive.write(part, os.path.basename(part))
  return path


class ZippedPredictor(predictor.TFLitePredictor):
  """Runs what is in the archive."""

  def __init__(self, path):
    self._directory = tempfile.TemporaryDirectory()
    with zipfile.ZipFile(path) as archive:
      archive.extractall(self._directory.name)
    super().__init__(os.path.join(self._directory.name, 'model.tflite'))
