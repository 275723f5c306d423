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

"""SavedModels as others load them: TensorFlow's C API, saved_model_cli, TensorFlow Serving's requests, ONNX.

The C API has the loader that TensorFlow Serving uses. What needs packages that the project does not depend on is
skipped where they are not installed.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import predict
from tests import testing

pytestmark = pytest.mark.slow

_OUTPUTS = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections')


@pytest.fixture(scope='module')
def picture(forms):
  """Path of an image."""
  return str(forms.images / '0.jpg')


@pytest.fixture(scope='module')
def expected(forms, picture):
  """What the Keras model finds in it."""
  return predict.load_predictor(forms.model_dir)(predict.read_image(picture))


def _assert_found(expected, boxes, scores, classes, count):
  """Arrays [1, N, ...] and [1] are the detections of the model."""
  count = int(np.reshape(count, [-1])[0])
  assert count == len(expected.scores) > 0
  # A tolerance of a hundredth of a pixel: a decoded JPEG is the same everywhere, the arithmetic nearly.
  np.testing.assert_allclose(np.reshape(boxes, [-1, 4])[:count], expected.boxes, atol=1e-2)
  np.testing.assert_allclose(np.reshape(scores, [-1])[:count], expected.scores, atol=1e-4)
  np.testing.assert_array_equal(np.reshape(classes, [-1])[:count], expected.classes)


def test_c_program_serves_it(forms, picture, expected, tmp_path):
  compiler = shutil.which('gcc') or shutil.which('cc')
  if not compiler:
    pytest.skip('no C compiler')
  package = pathlib.Path(tf.__file__).parent
  program = str(tmp_path / 'serve')
  source = str(pathlib.Path(__file__).parent / 'serve.c')
  libraries = ['-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2']
  link = [f'-L{package}', f'-Wl,-rpath,{package}', *libraries]
  subprocess.run([compiler, '-Wall', '-Werror', f'-I{package}/include', source, '-o', program, *link], check=True)
  version = os.path.join(forms.saved_model, '1')
  definition = _meta_graph(version).signature_def['serving_default']
  names = [definition.inputs['inputs'].name, *(definition.outputs[name].name for name in _OUTPUTS)]
  done = subprocess.run([program, version, picture, *names], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  _assert_found(expected, *(np.array(line.split(), float) for line in done.stdout.splitlines()))
  done = subprocess.run(
    [program, version, picture, 'absent:0', *names[1:]], capture_output=True, text=True, check=False
  )
  assert done.returncode == 1
  assert 'absent:0' in done.stderr


def _meta_graph(directory):
  from tensorflow.core.protobuf import saved_model_pb2

  data = pathlib.Path(directory, 'saved_model.pb').read_bytes()
  (meta_graph,) = saved_model_pb2.SavedModel.FromString(data).meta_graphs
  return meta_graph


def _saved_model_cli(*arguments):
  command = [sys.executable, '-m', 'tensorflow.python.tools.saved_model_cli', *arguments]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_saved_model_cli(forms, picture, expected, tmp_path):
  version = os.path.join(forms.saved_model, '1')
  shown = _saved_model_cli('show', '--dir', version, '--tag_set', 'serve', '--signature_def', 'serving_default')
  assert 'DT_STRING' in shown
  assert 'shape: (-1, 100, 4)' in shown
  np.save(tmp_path / 'picture.npy', predict.read_image(picture)[np.newaxis])
  _saved_model_cli(
    *('run', '--dir', version, '--tag_set', 'serve', '--signature_def', 'image_tensor', '--outdir', str(tmp_path)),
    *('--inputs', f'inputs={tmp_path}/picture.npy'),
  )
  _assert_found(expected, *(np.load(tmp_path / f'{name}.npy') for name in _OUTPUTS))
  assert 'not contain' in _saved_model_cli('scan', '--dir', version, '--tag_set', 'serve')


def test_requests_over_grpc(forms, picture, expected):
  pytest.importorskip('tensorflow_serving', reason='tensorflow-serving-api is not installed')
  import grpc
  from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

  from tests.export import prediction_service

  service = prediction_service.PredictionService('toy', forms.saved_model)
  assert service.num_warmup_requests == 3
  with prediction_service.serving(service) as address, grpc.insecure_channel(address) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = 'toy'
    request.inputs['inputs'].CopyFrom(tf.make_tensor_proto([pathlib.Path(picture).read_bytes()] * 2))
    answer = stub.Predict(request, timeout=60.0)
    found = [tf.make_ndarray(answer.outputs[name]) for name in _OUTPUTS]
    for row in range(2):
      _assert_found(expected, *(value[row : row + 1] for value in found))
    assert answer.model_spec.version.value == 1
    request.inputs['inputs'].CopyFrom(tf.make_tensor_proto([b'no image']))
    with pytest.raises(grpc.RpcError, match='INVALID_ARGUMENT'):
      stub.Predict(request, timeout=60.0)


def test_documented_request_over_rest(forms, picture, expected, tmp_path):
  for program in ('bash', 'curl', 'base64'):
    if not shutil.which(program):
      pytest.skip(f'no {program}')
  from tests.export import rest_service

  text = (testing.repo_root() / 'docs/deploy.md').read_text(encoding='utf-8')
  (command,) = (block for block in re.findall(r'```bash\n(.*?)```', text, re.DOTALL) if '/v1/models/' in block)
  (name,) = set(re.findall(r'\w+\.jpg', command))
  shutil.copyfile(picture, tmp_path / name)
  with rest_service.serving('cells', os.path.join(forms.saved_model, '1')) as address:
    command = command.replace('localhost:8501', address)
    done = subprocess.run(['bash', '-c', command], cwd=tmp_path, capture_output=True, text=True, check=True)
  answer = json.loads(done.stdout)
  assert 'predictions' in answer, f'{answer}\n{done.stderr}'
  (found,) = answer['predictions']
  _assert_found(expected, *(np.array(found[name])[np.newaxis] for name in _OUTPUTS))
  assert set(re.search(r'"predictions": \[\{(.*?)\}\]', text, re.DOTALL)[1].split('"')[1::2]) == set(found)


def test_onnx(forms, picture, expected, tmp_path):
  pytest.importorskip('tf2onnx', reason='tf2onnx is not installed')
  onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
  version, path = os.path.join(forms.saved_model, '1'), str(tmp_path / 'toy.onnx')
  command = [sys.executable, '-m', 'tf2onnx.convert', '--saved-model', version, '--signature_def', 'raw']
  done = subprocess.run([*command, '--opset', '17', '--output', path], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
  # The toy's input is of the images' size: nothing to letterbox.
  image = predict.read_image(picture)[np.newaxis].astype(np.float32)
  boxes, scores = session.run(['decoded_boxes', 'decoded_box_scores'], {'inputs': image})
  of_tf = tf.saved_model.load(version).signatures['raw'](inputs=tf.constant(image))
  np.testing.assert_allclose(boxes, of_tf['decoded_boxes'], atol=1e-2)
  np.testing.assert_allclose(scores, of_tf['decoded_box_scores'], atol=1e-4)
  # Each detection of the model is among them.
  for box, score, label in zip(expected.boxes, expected.scores, expected.classes, strict=True):
    errors = np.abs(boxes[0].clip(0, image.shape[1]) - box).max(axis=1) + np.abs(scores[0, :, label - 1] - score)
    assert errors.min() < 1e-2
