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

"""A format that nobody knows is exported, found, run, evaluated and measured once it is in the table."""

import numpy as np
import pytest

from nasfpn_tf import predict
from nasfpn_tf.artifacts import formats
from nasfpn_tf.export import by_format, source
from nasfpn_tf.frontier import benchmark
from tests.artifacts import zipped


@pytest.fixture
def registered(monkeypatch):
  """The format in a table of its own."""
  monkeypatch.setattr(formats, '_FORMATS', dict(formats._FORMATS))
  return formats.register(zipped.FORMAT)


def test_a_format_is_an_entry_an_exporter_and_a_predictor(registered, forms, tmp_path):
  path = by_format.export_model(source.load(forms.model_dir), str(tmp_path / 'model.tflite.zip'), nms='none')
  assert path == str(tmp_path / 'model.tflite.zip') and formats.locate(path) == (registered, path)
  image = predict.read_image(str(forms.images / '0.jpg'))
  expected, found = predict.load_predictor(forms.tflite('float'))(image), predict.load_predictor(path)(image)
  assert found.names == expected.names and len(found.names)
  np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
  measured = benchmark.measure(benchmark.Options(path, input_path=forms.records, runs=2))
  assert measured.form == 'zipped' and measured.latency_ms.runs == 2 and measured.runtime.startswith('ai-edge-litert ')
  assert measured.metrics['AP'] > 0.2 and measured.size_bytes > 0


def test_formats_that_are_not_exported(forms, tmp_path):
  with pytest.raises(ValueError, match=r'an \.onnx cannot be exported by this project'):
    by_format.export_model(None, str(tmp_path / 'x.onnx'))
  with pytest.raises(ValueError, match=f"format 'zipped' is not one of {', '.join(formats.names())}"):
    by_format.export_model(None, str(tmp_path / 'x'), 'zipped')
