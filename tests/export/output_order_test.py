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

"""The outputs of a .tflite are in one order, whichever way a client asks for them."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf import failure
from nasfpn_tf.artifacts import signatures
from nasfpn_tf.export import output_order, sharing
from nasfpn_tf.predict import shipped


def _convert(function):
  concrete = function.get_concrete_function()
  return tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()


def orders(content):
  """Names of the outputs of each signature: as the file lists them, by position and by index of the tensor."""
  model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
  for definition in model.signatureDefs:
    names = {entry.tensorIndex: entry.name.decode() for entry in definition.outputs}
    graph = model.subgraphs[definition.subgraphIndex]
    assert [graph.tensors[index].name.decode() for index in names] == list(names.values())
    yield list(names.values()), [names[index] for index in graph.outputs], [names[index] for index in sorted(names)]


def test_outputs_trade_places():
  @tf.function(input_signature=[tf.TensorSpec([2, 3], name='x')])
  def function(x):
    y = tf.exp(x)
    z = tf.reduce_sum(y * y, axis=1)
    return {'c': y, 'a': z, 'b': tf.cos(y) * z[:, tf.newaxis]}

  content = _convert(function)
  fixed = output_order.fix_outputs(content, {'b': None, 'c': [2, 3], 'a': None})
  assert list(orders(fixed)) == [(['b', 'c', 'a'],) * 3]
  x = np.random.default_rng(0).normal(size=[2, 3]).astype(np.float32)
  expected = {name: value.numpy() for name, value in function(tf.constant(x)).items()}
  interpreter = Interpreter(model_content=fixed)
  for name, value in interpreter.get_signature_runner()(x=x).items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-5)
  interpreter.allocate_tensors()
  interpreter.set_tensor(interpreter.get_input_details()[0]['index'], x)
  interpreter.invoke()
  for name, detail in zip('bca', interpreter.get_output_details(), strict=True):
    np.testing.assert_allclose(interpreter.get_tensor(detail['index']), expected[name], rtol=1e-5)
  # Other outputs than those that are asked for: in the order of their names.
  assert list(orders(output_order.fix_outputs(content, {'q': [1]}))) == [(['a', 'b', 'c'],) * 3]


def test_a_file_without_signatures_is_blamed_on_the_disk():
  """The converter goes on without them where it cannot save its temporary model."""
  model = flatbuffer_utils.read_model_from_bytearray(
    bytearray(_convert(tf.function(tf.exp, input_signature=[tf.TensorSpec([1])])))
  )
  model.signatureDefs = []
  with pytest.raises(OSError, match='temporary files') as error:
    output_order.fix_outputs(sharing.pack(model), {'y': None})
  assert 'Make room' in failure.message(error.value)


@pytest.mark.parametrize('name', ['float', 'fp16', 'raw', 'post_process', 'int8'])
def test_every_file_has_the_documented_order(forms, name):
  with open(forms.tflite(name), 'rb') as file:
    content = file.read()
  documented = list(signatures.TFLITE_RAW if name == 'raw' else signatures.TFLITE_DETECTIONS)
  assert list(orders(content)) == [(documented,) * 3]


@pytest.mark.parametrize('name', shipped.DETECTORS)
def test_shipped_files_have_it_too(name):
  assert list(orders(pathlib.Path(shipped.path_of(name)).read_bytes())) == [(list(signatures.TFLITE_DETECTIONS),) * 3]


def test_scripts_that_guess_the_order_by_a_name_guess_right(forms):
  """Widely copied scripts take boxes, classes and scores from 1, 3, 0 after `StatefulPartitionedCall`, else 0, 1, 2."""
  interpreter = Interpreter(forms.tflite('float'))
  interpreter.allocate_tensors()
  interpreter.invoke()
  details = interpreter.get_output_details()
  places = (1, 3, 0) if 'StatefulPartitionedCall' in details[0]['name'] else (0, 1, 2)
  detections = interpreter.get_signature_runner()
  found = detections(inputs=np.zeros(detections.get_input_details()['inputs']['shape'], np.float32))
  for place, name in zip(places, ('boxes', 'classes', 'scores'), strict=True):
    np.testing.assert_array_equal(interpreter.get_tensor(details[place]['index']), found[f'detection_{name}'])
