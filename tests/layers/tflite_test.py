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

"""The pyramid as TFLite: builtin ops that mobile delegates know, in float and in int8."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import interpreter as litert

from nasfpn_tf.layers.feature_pyramid import FeaturePyramid

CHANNELS = {'3': 8, '4': 8, '5': 8}


def _features(seed):
  rng = np.random.default_rng(seed)
  return {
    level: rng.normal(size=[2, 128 >> int(level), 128 >> int(level), c]).astype('float32')
    for level, c in CHANNELS.items()
  }


def _trained_pyramid(name, separable):
  tf_keras.utils.set_random_seed(0)  # How well untrained weights quantize is a matter of luck.
  pyramid = FeaturePyramid(
    name, num_repeats=1, num_filters=8, use_separable_conv=separable, activation='relu6', norm_momentum=0.5,
    dropblock_keep_prob=0.9,
  )  # fmt: skip
  for seed in range(5):
    pyramid(_features(seed), training=True)
  return pyramid


def _convert(pyramid, int8):
  signature = {level: tf.TensorSpec([1, *f.shape[1:]], name=f'level_{level}') for level, f in _features(0).items()}
  serve = tf.function(lambda features: pyramid(features, training=False), input_signature=[signature])
  module = tf.Module()
  module.pyramid, module.serve = pyramid, serve
  converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], module)
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
  if int8:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: (
      {f'level_{level}': f[:1] for level, f in _features(seed).items()} for seed in range(20)
    )
  return litert.Interpreter(model_content=converter.convert())


def _run(interpreter, features):
  """{spatial side: output} in float."""
  interpreter.allocate_tensors()
  for detail in interpreter.get_input_details():
    value = next(f[:1] for f in features.values() if tuple(f.shape[1:]) == tuple(detail['shape'][1:]))
    scale, zero = detail['quantization']
    if scale:
      value = np.clip(np.round(value / scale + zero), -128, 127).astype('int8')
    interpreter.set_tensor(detail['index'], value)
  interpreter.invoke()
  outputs = {}
  for detail in interpreter.get_output_details():
    value = interpreter.get_tensor(detail['index'])
    scale, zero = detail['quantization']
    outputs[value.shape[1]] = (value.astype('float32') - zero) * scale if scale else value
  return outputs


def _ops(interpreter):
  names = collections.Counter(op['op_name'] for op in interpreter._get_ops_details())
  del names['DELEGATE']  # How the interpreter runs them, not part of the model.
  return names


@pytest.mark.parametrize(('name', 'separable'), [('nas_fpn', False), ('nas_fpn', True), ('bifpn', True)])
def test_float_is_builtin_ops_and_the_same_numbers(name, separable):
  pyramid = _trained_pyramid(name, separable)
  interpreter = _convert(pyramid, int8=False)
  ops = _ops(interpreter)
  # The norms and activations are folded into the convolutions; nothing is copied, cast or added n-ary.
  assert set(ops) <= {
    'CONV_2D', 'DEPTHWISE_CONV_2D', 'RESIZE_NEAREST_NEIGHBOR', 'MAX_POOL_2D', 'REDUCE_MAX', 'LOGISTIC', 'ADD', 'MUL',
    'RELU6',
  }  # fmt: skip
  features = _features(9)
  expected = pyramid({level: f[:1] for level, f in features.items()}, training=False)
  actual = _run(interpreter, features)
  for output in expected.values():
    np.testing.assert_allclose(actual[output.shape[1]], output, atol=1e-4)


def test_int8_stays_int8_throughout():
  pyramid = _trained_pyramid('nas_fpn', True)
  interpreter = _convert(pyramid, int8=True)
  interpreter.allocate_tensors()
  dtypes = {detail['dtype'] for detail in interpreter.get_tensor_details()}
  assert dtypes <= {np.int8, np.int32}, 'float or 64 bit tensors would break a delegate up'
  features = _features(9)
  expected = pyramid({level: f[:1] for level, f in features.items()}, training=False)
  actual = _run(interpreter, features)
  for output in expected.values():
    error = np.mean((actual[output.shape[1]] - output) ** 2) / np.var(output)
    assert error < 0.05
