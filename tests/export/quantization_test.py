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

"""Tests of what becomes integers and what stays in float."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.artifacts import tflite_runner
from nasfpn_tf.export import quantization

_IMAGES = [np.random.default_rng(i).uniform(0, 255, [1, 8, 8, 3]).astype(np.float32) for i in range(4)]


def _converter():
  """Of two convolutions, in the layers `body` and `head`."""
  kernel = tf.random.stateless_normal([3, 3, 3, 3], [1, 2])

  @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 3], name='inputs')])
  def detect(inputs):
    with tf.name_scope('net'):
      with tf.name_scope('body'):
        features = tf.nn.relu(tf.nn.conv2d(inputs / 255.0, kernel, 1, 'SAME'))
      with tf.name_scope('head'):
        scores = tf.nn.conv2d(features, kernel, 1, 'SAME')
      return {'scores': tf.sigmoid(tf.reshape(scores, [1, 64, 3])), 'boxes': 4.0 * tf.nn.relu(features)}

  converter = tf.lite.TFLiteConverter.from_concrete_functions([detect.get_concrete_function()], tf.Module())
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  return converter, detect


def _dataset():
  for image in _IMAGES:
    yield [quantization.with_full_range(image)]


def _input_types(content, kind, position):
  """Types of an input of all operators of a kind."""
  model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
  (graph,) = model.subgraphs
  return [
    flatbuffer_utils.type_to_name(graph.tensors[op.inputs[position]].type)
    for op in graph.operators
    if flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) == kind
  ]


@pytest.mark.parametrize(
  ('scopes', 'types'), [((), ['INT8', 'INT8']), (('head',), ['INT8', 'FLOAT32'])], ids=['all', 'float_head']
)
def test_layers_that_stay_in_float(scopes, types):
  content = quantization.quantize(_converter()[0], _dataset, scopes)
  assert _input_types(content, 'CONV_2D', 1) == types
  # What a layer in float gives is not rounded behind it.
  assert _input_types(content, 'RESHAPE', 0) == types[1:]


def test_a_layer_that_is_not_there():
  with pytest.raises(ValueError, match="of the layer 'tail'"):
    quantization.quantize(_converter()[0], _dataset, ['head', 'tail'])


@pytest.mark.parametrize('dtype', [tf.uint8, tf.float32], ids=['uint8', 'float32'])
def test_whole_integer_file(dtype):
  converter, detect = _converter()
  runner = Interpreter(model_content=quantization.quantize_whole(converter, _dataset, dtype)).get_signature_runner()
  (given,) = runner.get_input_details().values()
  assert given['dtype'] == dtype.as_numpy_dtype
  if dtype.is_integer:
    assert given['quantization'] == (1.0, 0)  # A pixel is what it says.
  image = np.rint(_IMAGES[0])
  found, details = runner(inputs=image.astype(given['dtype'])), runner.get_output_details()
  assert details['scores']['quantization'][0] != details['boxes']['quantization'][0]
  for name, expected in detect(tf.constant(image)).items():
    assert found[name].dtype == np.uint8
    np.testing.assert_allclose(
      tflite_runner.to_real(found[name], details[name]), expected, atol=0.05 * float(tf.reduce_max(tf.abs(expected)))
    )
