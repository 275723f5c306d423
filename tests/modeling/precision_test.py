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

"""Tests of the choice of a precision."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf.modeling import precision


def test_layers_built_in_a_context_compute_in_its_precision():
  with precision.computing_in('bfloat16'):
    inside = tf_keras.layers.Dense(2)
  outside = tf_keras.layers.Dense(2)
  assert inside(np.ones([1, 3], np.float32)).dtype == tf.bfloat16 and inside.kernel.dtype == tf.float32
  assert outside(np.ones([1, 3], np.float32)).dtype == tf.float32


def test_an_unknown_precision_is_named():
  with pytest.raises(ValueError, match="'int4' is not one of float32, bfloat16"), precision.computing_in('int4'):
    pass


def test_the_fastest_call_is_chosen(monkeypatch):
  now = iter(np.cumsum([0.0] + [0.25, 0.0, 0.125, 0.0] * 9).tolist())
  monkeypatch.setattr(precision.time, 'perf_counter', lambda: next(now))
  chosen, medians = precision.fastest({'float32': lambda: None, 'bfloat16': lambda: None})
  assert (chosen, medians) == ('bfloat16', {'float32': 250.0, 'bfloat16': 125.0})
  assert precision.described(chosen, medians) == 'bfloat16: 125 ms an image, float32 250 ms'


@pytest.mark.parametrize(
  ('gpus', 'cpu', 'for_tpu', 'expected'),
  [
    ([], True, False, 'bfloat16'),
    ([], False, False, 'float32'),
    ([], False, True, 'bfloat16'),
    ([(8, 6)], False, False, 'bfloat16'),
    ([(8, 6), (7, 5)], True, False, 'float32'),
    ([None], True, False, 'float32'),
  ],
)
def test_what_the_device_computes_in(gpus, cpu, for_tpu, expected, monkeypatch):
  monkeypatch.setattr(precision.tf.config, 'list_physical_devices', lambda kind: gpus)
  monkeypatch.setattr(precision.tf.config.experimental, 'get_device_details', lambda gpu: {'compute_capability': gpu})
  monkeypatch.setattr(precision.processor, 'computes_bfloat16', lambda: cpu)
  assert precision.of_device(for_tpu)[0] == expected
