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

"""What several graphs of a file have in common is stored once, and the file says what it said before."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.export import sharing

SIDE = 64


class Twice(tf.Module):
  """Two functions of one kernel."""

  def __init__(self):
    super().__init__()
    self.kernel = tf.Variable(np.random.default_rng(0).normal(size=[SIDE, SIDE]).astype(np.float32))

  @tf.function(input_signature=[tf.TensorSpec([1, SIDE], name='x')])
  def one(self, x):
    return {'y': tf.nn.relu(x @ self.kernel)}

  @tf.function(input_signature=[tf.TensorSpec([1, SIDE], name='x')])
  def two(self, x):
    return {'y': tf.nn.relu(x @ self.kernel) @ self.kernel}


@pytest.fixture(scope='module')
def content(tmp_path_factory):
  """A file of two graphs, whose kernel has a scale for each column, as the converter wrote it."""
  module, path = Twice(), str(tmp_path_factory.mktemp('twice'))
  tf.saved_model.save(module, path, signatures={'one': module.one, 'two': module.two})
  converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=['one', 'two'])
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  return converter.convert()


def read(content):
  return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def kernels_of(model):
  quantized = [t for graph in model.subgraphs for t in graph.tensors if t.quantization]
  return [t for t in quantized if t.quantization.scale is not None and len(t.quantization.scale) == SIDE]


def assert_same_outputs(actual, expected):
  x = np.random.default_rng(1).normal(size=[1, SIDE]).astype(np.float32)
  outputs = [
    [Interpreter(model_content=file).get_signature_runner(key)(x=x)['y'] for key in ('one', 'two')]
    for file in (actual, expected)
  ]
  np.testing.assert_allclose(*outputs, rtol=1e-5)


def test_graphs_that_were_quantised_by_themselves(content):
  """Their scales differ by rounding, and each has a kernel."""
  model = read(content)
  kernels = kernels_of(model)
  assert len(kernels) == 2
  model.buffers.append(type(model.buffers[0])(data=model.buffers[kernels[1].buffer].data.copy()))
  kernels[1].buffer = len(model.buffers) - 1
  kernels[1].quantization.scale = kernels[1].quantization.scale * np.float32(1 + 3e-7)
  before = bytes(flatbuffer_utils.convert_object_to_bytearray(model))

  shared = sharing.share_buffers(before)
  sizes = [len(buffer.data) for buffer in read(shared).buffers if buffer.data is not None]
  assert sizes.count(SIDE**2) == 1
  assert len(shared) < len(before) - SIDE**2 - SIDE * (4 + 8)  # A kernel, its scales and zero points.
  first, second = kernels_of(read(shared))
  np.testing.assert_array_equal(first.quantization.scale, second.quantization.scale)
  assert_same_outputs(shared, content)


def test_scales_that_differ_stay(content):
  model = read(content)
  kernels_of(model)[1].quantization.scale *= np.float32(1.01)
  shared = sharing.share_buffers(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
  first, second = kernels_of(read(shared))
  np.testing.assert_allclose(second.quantization.scale, first.quantization.scale * 1.01, rtol=1e-6)


def test_packing_again_changes_nothing(content):
  packed = sharing.pack(read(content))
  assert len(packed) < len(content)
  assert sharing.pack(read(packed)) == packed
  assert_same_outputs(packed, content)


def test_weights_lie_where_the_format_wants_them(content):
  packed = np.frombuffer(sharing.pack(read(content)), np.uint8)
  model = schema.Model.GetRootAs(packed)
  data = [model.Buffers(index).DataAsNumpy() for index in range(model.BuffersLength())]
  places = [array.ctypes.data - packed.ctypes.data for array in data if isinstance(array, np.ndarray)]
  assert len(places) > 1 and not any(place % 16 for place in places), places
