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

"""Tests of TFLite files."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from nasfpn_tf.artifacts import layout, signatures
from nasfpn_tf.export import metadata, model_metadata, source, tflite, verification
from nasfpn_tf.predict import read_image, shipped


@pytest.fixture(scope='module')
def detector(forms):
  """The trained detector."""
  return source.load(forms.model_dir)


def _facts(path):
  return json.loads(pathlib.Path(layout.sidecar_path(path)).read_text())


@pytest.mark.parametrize('name', ['float', 'raw', 'post_process', 'int8'])
def test_builtin_operators_and_static_shapes(forms, name):
  model = flatbuffer_utils.read_model(forms.tflite(name))
  graph = model.subgraphs[0]
  custom = {code.customCode.decode() for code in model.operatorCodes if code.customCode}
  assert custom == ({'TFLite_Detection_PostProcess'} if name == 'post_process' else set())
  assert 'ADD_N' not in _facts(forms.tflite(name))['ops']
  for index in [*graph.inputs, *graph.outputs]:
    tensor = graph.tensors[index]
    assert len(tensor.shape)
    assert tensor.shapeSignature is None or -1 not in list(tensor.shapeSignature)


@pytest.mark.parametrize('name', ['float', 'fp16', 'post_process', 'int8', 'raw'])
def test_outputs_in_their_order(forms, name):
  """By signature, by position, and by ascending index of the tensor, which TFLite Support's metadata writer goes by."""
  model = flatbuffer_utils.read_model(forms.tflite(name))
  (signature,) = model.signatureDefs
  names = signatures.TFLITE_RAW if name == 'raw' else signatures.TFLITE_DETECTIONS
  assert tuple(entry.name.decode() for entry in signature.outputs) == names
  indices = [entry.tensorIndex for entry in signature.outputs]
  assert indices == sorted(indices) == list(model.subgraphs[signature.subgraphIndex].outputs)
  details = Interpreter(model_path=forms.tflite(name)).get_output_details()
  assert [detail['index'] for detail in details] == indices
  shapes = [list(detail['shape']) for detail in details]
  if name == 'raw':
    assert [len(shape) for shape in shapes] == [3, 3] and shapes[0][2] == 4 and shapes[1][2] == 2
  else:
    assert shapes == [[1, 100, 4], [1, 100], [1, 100], [1]]


@pytest.mark.parametrize(('name', 'dtype', 'outputs'), [('float', 'float32', 4), ('raw', 'uint8', 2)])
def test_signature(forms, name, dtype, outputs):
  facts = _facts(forms.tflite(name))
  assert facts['inputs'] == [{'name': 'inputs', 'shape': [1, 128, 128, 3], 'dtype': dtype}]
  assert len(facts['outputs']) == outputs


@pytest.mark.parametrize('name', ['float', 'raw', 'post_process'])
def test_float_files_say_what_the_model_says(forms, name):
  assert max(_facts(forms.tflite(name))['max_error'].values()) <= verification.TOLERANCE


def test_facts_beside_the_file(forms):
  facts = _facts(forms.tflite('int8'))
  assert facts['size_bytes'] == os.path.getsize(forms.tflite('int8'))
  assert facts['calibration_images'] == 12
  assert facts['labels'][0] == {'label': 1, 'id': 7, 'name': 'red'}
  assert 1e-6 < facts['max_error']['class_scores'] < 0.5  # Quantized, and it says by how much that tells.
  assert facts['post_processing']['num_classes'] == 2


def test_int8_is_for_the_network_alone(forms):
  model = flatbuffer_utils.read_model(forms.tflite('int8'))
  graph = model.subgraphs[0]
  operators = [(flatbuffer_utils.opcode_to_name(model, op.opcodeIndex), op) for op in graph.operators]
  names = [name for name, _ in operators]

  def is_quantised(op):
    kinds = {
      flatbuffer_utils.type_to_name(graph.tensors[index].type) for index in [*op.inputs, *op.outputs] if index >= 0
    }
    return 'INT8' in kinds

  first = names.index('CONV_2D')
  last = max(i for i, name in enumerate(names) if name == 'DEQUANTIZE')
  assert all(is_quantised(op) for name, op in operators if name == 'CONV_2D')
  assert not any(is_quantised(op) for name, op in operators[:first] if name != 'QUANTIZE')
  # Scores, decoding and suppression.
  assert not any(is_quantised(op) for _, op in operators[last + 1 :])
  assert {'CONCATENATION', 'TOPK_V2', 'LOGISTIC', 'EXP', 'NON_MAX_SUPPRESSION_V4'} <= set(names[last + 1 :])
  assert os.path.getsize(forms.tflite('int8')) < 0.6 * os.path.getsize(forms.tflite('float'))


def test_int8_boxes_and_scores_have_their_own_scales(forms):
  model = flatbuffer_utils.read_model(forms.tflite('int8'))
  graph = model.subgraphs[0]
  made_by = {index: op for op in graph.operators for index in op.outputs}
  boxes, logits, *_ = metadata.raw_outputs(pathlib.Path(forms.tflite('int8')).read_bytes())
  scales = []
  for index in (boxes, logits):
    dequantize = made_by[made_by[index].inputs[0]]  # Of the finest level, in front of the concatenation.
    scales.append(float(graph.tensors[dequantize.inputs[0]].quantization.scale[0]))
  assert scales[0] != scales[1]
  assert min(scales) > 0
  assert max(scales) < 0.2


def test_a_difference_leaves_nothing(monkeypatch, forms, detector, tmp_path):
  content = pathlib.Path(forms.tflite('float')).read_bytes()
  honest = verification.reference

  def wrong(*args):
    expected = honest(*args)
    return dataclasses.replace(expected, box_encodings=expected.box_encodings + 0.01)

  monkeypatch.setattr(verification, 'reference', wrong)
  monkeypatch.setattr(tflite, 'convert', lambda *unused_args: content)
  with pytest.raises(verification.VerificationError, match=r'file \(none\) differs .* box_encodings by 0\.01'):
    tflite.export_tflite(detector, str(tmp_path / 'out' / 'x.tflite'))
  assert not os.listdir(tmp_path)


def test_a_quantised_file_far_from_the_model_is_refused(monkeypatch, forms, detector, tmp_path):
  content = pathlib.Path(forms.tflite('int8')).read_bytes()
  images = [read_image(str(path)) for path in sorted(forms.images.iterdir())]
  monkeypatch.setattr(tflite, 'convert', lambda *unused_args: content)
  options = tflite.Options(quant_type='int8', tolerance=1e-6)
  with pytest.raises(verification.VerificationError, match=r'\(int8\) differs .* class_scores'):
    tflite.export_tflite(detector, str(tmp_path / 'x.tflite'), options, images)
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'quant_type': 'int4'}, 'none, fp16, dynamic, int8_float_heads, int8'),
    ({'input_dtype': 'int8'}, 'float32, uint8'),
    ({'nms': 'fast'}, 'builtin, post_process, none'),
    ({'quant_type': 'int8', 'output_dtype': 'uint8'}, 'NMS is in float'),
  ],
)
def test_options_that_do_not_exist(options, message):
  with pytest.raises(ValueError, match=message):
    tflite.Options(**options)


@pytest.mark.parametrize('quant_type', tflite.CALIBRATED)
def test_int8_needs_distinct_images(detector, quant_type, tmp_path):
  images = [np.full([128, 128, 3], min(i, 8), np.uint8) for i in range(20)]
  with pytest.raises(ValueError, match='at least 10, and there are 9'):
    tflite.export_tflite(detector, str(tmp_path / 'x.tflite'), tflite.Options(quant_type=quant_type), images)


def test_int8_is_not_for_untrained_models(monkeypatch, detector, tmp_path):
  images = [np.full([128, 128, 3], i, np.uint8) for i in range(12)]
  honest = verification.reference

  def untrained(*args):
    expected = honest(*args)
    return dataclasses.replace(expected, class_logits=np.full_like(expected.class_logits, -4.6))

  monkeypatch.setattr(verification, 'reference', untrained)
  with pytest.raises(verification.VerificationError, match=r'ckpt-120: the model finds nothing .* 0\.01.*not trained'):
    tflite.export_tflite(detector, str(tmp_path / 'x.tflite'), tflite.Options(quant_type='int8'), images)
  assert not os.listdir(tmp_path)


def test_labels_are_in_the_file(forms):
  for name in ('float', 'raw', 'post_process', 'int8'):
    assert model_metadata.read_labels(pathlib.Path(forms.tflite(name)).read_bytes()) == ['red', 'blue']


def test_refused_by_who_asked_for_it(monkeypatch, forms, detector, tmp_path):
  content = pathlib.Path(forms.tflite('float')).read_bytes()
  monkeypatch.setattr(tflite, 'convert', lambda *unused_args: content)

  def refuse(path):
    assert {'labels', 'nms'} <= set(_facts(path))  # A whole file, that a predictor can load.
    raise ValueError('AP is 0')

  with pytest.raises(ValueError, match='AP is 0'):
    tflite.export_tflite(detector, str(tmp_path / 'x.tflite'), accept=refuse)
  assert not os.listdir(tmp_path)
  facts = tflite.export_tflite(detector, str(tmp_path / 'x.tflite'), accept=lambda path: {'AP': 0.5})
  assert facts['AP'] == _facts(str(tmp_path / 'x.tflite'))['AP'] == 0.5
  assert sorted(os.listdir(tmp_path)) == ['x.json', 'x.tflite']


def test_file_name_has_to_end_in_tflite(detector, tmp_path):
  with pytest.raises(ValueError, match=r'\.tflite'):
    tflite.export_tflite(detector, str(tmp_path / 'x.bin'))


def test_post_process_has_no_soft_nms(forms, tmp_path):
  soft = source.load(forms.model_dir, params_override='task.model.detection_generator.soft_nms_sigma=0.5')
  with pytest.raises(ValueError, match='soft_nms_sigma'):
    tflite.export_tflite(soft, str(tmp_path / 'x.tflite'), tflite.Options(nms='post_process'))
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize('name', ['float', 'fp16', 'int8', 'raw', 'post_process', *shipped.DETECTORS])
def test_a_file_resized_to_other_images_refuses(forms, name):
  path = shipped.path_of(name) if name in shipped.DETECTORS else forms.tflite(name)
  interpreter = Interpreter(path)
  (details,) = interpreter.get_input_details()
  height, width = details['shape'][1:3]
  for shape in ([2, height, width, 3], [1, 2 * height, width, 3], [1, height // 2, width // 2, 3]):
    interpreter = Interpreter(path)
    interpreter.resize_tensor_input(details['index'], shape)
    with pytest.raises(RuntimeError, match='failed to prepare'):
      interpreter.allocate_tensors()
