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


"""Running a .tflite by its signatures."""

import numpy as np
import pytest

from nasfpn_tf.artifacts import tflite_runner


def test_floats_are_real_already():
  value = np.ones(2, np.float32)
  assert tflite_runner.to_real(value, {'quantization': (0.0, 0)}) is value
  assert tflite_runner.to_real(np.array([3, 5], np.uint8), {'quantization': (0.5, 3)}).tolist() == [0.0, 1.0]


def test_a_file_that_is_none(tmp_path):
  (tmp_path / 'x.tflite').write_bytes(b'nothing of the kind')
  with pytest.raises(ValueError, match=r'x\.tflite: LiteRT cannot load it'):
    tflite_runner.TFLiteRunner(str(tmp_path / 'x.tflite'))


def test_signatures_are_run_by_name(forms):
  runner = tflite_runner.TFLiteRunner(forms.tflite('raw'), num_threads=1)
  (inputs,) = tflite_runner.describe(runner.input_details())
  assert inputs == {'name': 'inputs', 'shape': [1, 128, 128, 3], 'dtype': 'uint8'}
  found = runner.run(inputs=np.zeros(inputs['shape'], np.uint8))
  assert {name: value.shape for name, value in found.items()} == {
    entry['name']: tuple(entry['shape']) for entry in tflite_runner.describe(runner.output_details())
  }
  with pytest.raises(ValueError, match='exit_2'):
    runner.input_details('exit_2')
