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

"""The graph of a .tflite: its parts, their multiply-adds, and files that are cut off behind them."""

import pytest
from ai_edge_litert.interpreter import Interpreter

from nasfpn_tf import zoo
from nasfpn_tf.frontier import fitting, tflite_graph
from nasfpn_tf.frontier.record import PARTS
from nasfpn_tf.modeling import cost


def _content(path):
  with open(path, 'rb') as file:
    return file.read()


def test_multiply_adds_are_those_of_the_keras_model(forms):
  model = zoo.load_detector(forms.model_dir)
  wanted = cost.multiply_adds_by_part(model, (128, 128))
  wanted = {'backbone': wanted['backbone'], 'neck': wanted['decoder'], 'head': wanted['head']}
  for name in ('float', 'fp16', 'int8', 'raw', 'post_process'):
    graph = tflite_graph.TFLiteGraph(_content(forms.tflite(name)))
    assert graph.multiply_adds() == wanted, name
    assert graph.input_shape == (1, 128, 128, 3)
  # Batch norms are folded, but the head has a copy of its kernels for each level.
  assert graph.params() > cost.count_params(model) - 4 * 4000


@pytest.mark.parametrize('name', ['float', 'fp16', 'int8'])
def test_a_cut_file_computes_what_the_whole_one_does(name, forms):
  content = _content(forms.tflite(name))
  graph = tflite_graph.TFLiteGraph(content)
  image = fitting.fit(_image(), (128, 128))
  whole = Interpreter(model_content=content, experimental_preserve_all_tensors=True, num_threads=1)
  sizes = []
  for part in PARTS[:-1]:
    cut = Interpreter(model_content=graph.cut(part), num_threads=1)
    for interpreter in (whole, cut):
      interpreter.allocate_tensors()
      (details,) = interpreter.get_input_details()
      interpreter.set_tensor(details['index'], image[None].astype(details['dtype']))
      interpreter.invoke()
    outputs = cut.get_output_details()
    assert len(outputs) >= (3 if part == 'backbone' else 5)
    for output in outputs:
      expected = whole.get_tensor(output['index']).astype(float)
      # Kernels are chosen by what is to be computed, so the last digits differ.
      limit = 1.0 if name == 'int8' else 1e-3
      assert abs(cut.get_tensor(output['index']).astype(float) - expected).max() <= limit
    sizes.append(len(cut._get_ops_details()))
  assert 0 < sizes[0] < sizes[1] < sizes[2] < len(whole._get_ops_details())


def test_files_that_have_no_parts_or_are_none(forms):
  with pytest.raises(ValueError, match='not a TFLite file'):
    tflite_graph.TFLiteGraph(b'nothing of the kind')
  content = _content(forms.tflite('float'))
  with pytest.raises(ValueError, match="no signature 'exit_2', only serving_default"):
    tflite_graph.TFLiteGraph(content, 'exit_2')
  graph = tflite_graph.TFLiteGraph(content)
  wanted = sum(graph.multiply_adds().values())
  for tensor in graph._graph.tensors:
    tensor.name = b''
  nameless = tflite_graph.TFLiteGraph(bytes(tflite_graph.flatbuffer_utils.convert_object_to_bytearray(graph._model)))
  assert not nameless.has_parts and nameless.multiply_adds() == {'network': wanted}
  with pytest.raises(ValueError, match='cannot be truncated'):
    nameless.cut('neck')


def _image():
  import numpy as np

  rows = np.arange(96)[:, None, None] + np.arange(120)[None, :, None]
  return np.broadcast_to(rows * np.array([1, 0, 1]) % 256, (96, 120, 3)).astype(np.uint8)
