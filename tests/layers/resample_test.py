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

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.layers import resample as resample_lib
from nasfpn_tf.layers.resample import resample


def _feature(*shape):
  return tf.constant(np.random.default_rng(0).normal(size=shape).astype('float32'))


@pytest.fixture(params=[False, True], ids=['resize', 'tpu'])
def on_tpu(request, monkeypatch):
  """Both forms of upsampling."""
  monkeypatch.setattr(resample_lib, '_on_tpu', lambda: request.param)
  return request.param


@pytest.mark.parametrize('levels_up', [1, 2, 3])
def test_upsampling_repeats_every_value(levels_up, on_tpu):
  x = _feature(2, 3, 5, 4)
  factor = 2**levels_up
  expected = np.repeat(np.repeat(x, factor, axis=1), factor, axis=2)
  np.testing.assert_array_equal(resample(x, 3 + levels_up, 3), expected)


@pytest.mark.parametrize('levels_down', [1, 2, 3])
def test_downsampling_takes_the_maximum_of_every_block(levels_down):
  factor = 2**levels_down
  x = _feature(2, 2 * factor, 3 * factor, 4)
  expected = np.reshape(x, [2, 2, factor, 3, factor, 4]).max(axis=(2, 4))
  np.testing.assert_array_equal(resample(x, 3, 3 + levels_down), expected)


def test_same_level_is_the_identity():
  x = _feature(1, 2, 2, 3)
  assert resample(x, 4, 4) is x


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_gradient_of_upsampling_sums_over_the_copies(dtype, jit_compile, on_tpu):
  x = tf.cast(_feature(2, 3, 5, 4), dtype)
  upstream = tf.cast(tf.round(_feature(2, 12, 20, 4) * 4), dtype)

  @tf.function(jit_compile=jit_compile)
  def gradient(x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = resample(x, 5, 3)
    return tape.gradient(y, x, upstream)

  expected = np.reshape(tf.cast(upstream, 'float32'), [2, 3, 4, 5, 4, 4]).sum(axis=(2, 4))
  np.testing.assert_array_equal(tf.cast(gradient(x), 'float32'), expected)


def test_upsampling_is_one_resize_op():
  graph = tf.function(lambda x: resample(x, 4, 3)).get_concrete_function(tf.TensorSpec([None, 4, 4, 2])).graph
  types = [op.type for op in graph.get_operations()]
  assert types.count('ResizeNearestNeighbor') == 1
  assert not {'Tile', 'Pack', 'Reshape'} & set(types)


def test_upsampling_on_tpu_has_no_gather(monkeypatch):
  monkeypatch.setattr(resample_lib, '_on_tpu', lambda: True)
  compiled = tf.function(lambda x: resample(x, 4, 3), jit_compile=True, autograph=False)
  x = _feature(2, 4, 4, 2)
  hlo = compiled.experimental_get_compiler_ir(x)(stage='optimized_hlo')
  assert 'broadcast' in hlo
  assert 'gather' not in hlo and 'custom-call' not in hlo
