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

"""Tests of what is read from and written into .tflite files."""

import pytest
import tensorflow as tf

from nasfpn_tf.export import metadata


def _convert(function, spec, allow_custom_ops=False, **options):
  concrete = tf.function(function, input_signature=[spec], **options).get_concrete_function()
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
  converter.allow_custom_ops = allow_custom_ops
  return converter.convert()


def test_operators_are_counted():
  content = _convert(lambda x: {'y': tf.sigmoid(tf.exp(x)) + tf.exp(-x)}, tf.TensorSpec([2, 3], name='x'))
  assert metadata.count_ops(content) == {'EXP': 2, 'NEG': 1, 'LOGISTIC': 1, 'ADD': 1}
  metadata.check_portable(content)


def test_operators_of_others_are_named():
  content = _convert(lambda x: {'y': tf.math.erfinv(x)}, tf.TensorSpec([2, 3], name='x'), allow_custom_ops=True)
  with pytest.raises(ValueError, match='Erfinv'):
    metadata.check_portable(content)


def test_inputs_need_a_static_shape():
  content = _convert(lambda x: {'y': tf.exp(x)}, tf.TensorSpec([None, 3], name='x'))
  with pytest.raises(ValueError, match='static shape'):
    metadata.check_portable(content)


def test_signature_is_described():
  content = _convert(lambda x: {'y': tf.reduce_sum(x, axis=1)}, tf.TensorSpec([2, 3], name='x'))
  assert metadata.signature(content) == {
    'inputs': [{'name': 'x', 'shape': [2, 3], 'dtype': 'float32'}],
    'outputs': [{'name': 'y', 'shape': [2], 'dtype': 'float32'}],
  }


def test_what_surrounds_the_network_is_named():
  kernel = tf.ones([1, 1, 3, 2])

  def detect(x):
    features = tf.nn.conv2d(tf.abs(x - 3.0), kernel, 1, 'SAME')
    return {'y': tf.exp(tf.concat([tf.cos(features), features], axis=0))}

  names = metadata.names_outside_network(_convert(detect, tf.TensorSpec([1, 4, 4, 3], name='x')))
  assert [name.split(';')[0] for name in names[:3]] == ['sub', 'Abs', 'concat']
  assert len(names) == 4  # And what follows the concatenation, but neither the convolution nor the cosine.


def test_raw_outputs_need_a_suppression():
  with pytest.raises(ValueError, match='no NMS'):
    metadata.raw_outputs(_convert(lambda x: {'y': tf.exp(x)}, tf.TensorSpec([2], name='x')))
