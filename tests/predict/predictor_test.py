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

"""Tests of detectors in their different forms."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from nasfpn_tf import predict, zoo
from nasfpn_tf.artifacts import layout
from nasfpn_tf.modeling import precision
from nasfpn_tf.predict import saved_model, tflite


@pytest.fixture(scope='module')
def checkpoint(forms):
  """The Keras model."""
  return predict.load_predictor(forms.model_dir)


def _form(forms, name):
  return predict.load_predictor(forms.saved_model if name == 'saved_model' else forms.tflite(name))


def _count_common(expected, actual, score_tolerance):
  """How many of the expected detections have a counterpart: same class, close score, sides within 3 pixels of 128."""
  common = 0
  for box, score, label in zip(expected.boxes, expected.scores, expected.classes, strict=True):
    close = np.abs(actual.boxes - box).max(axis=1) < 3.0
    common += bool((close & (actual.classes == label) & (np.abs(actual.scores - score) <= score_tolerance)).any())
  return common


def test_a_checkpoint_computes_in_bfloat16_on_request(forms, checkpoint, monkeypatch):
  image = predict.read_image(str(forms.images / '1.jpg'))
  expected, actual = checkpoint(image), predict.load_predictor(forms.model_dir, dtype='bfloat16')(image)
  sure = expected.above(0.5)
  assert len(sure.scores) and _count_common(sure, actual, 0.15) == len(sure.scores)
  assert np.abs(actual.scores[: len(sure.scores)] - sure.scores).max() > 1e-5  # Really another precision.
  monkeypatch.setattr(precision, 'of_device', lambda: ('bfloat16', 'instructions'))
  monkeypatch.setattr(precision, 'fastest', lambda calls: (list(calls)[-1], dict.fromkeys(calls, 1.0)))
  assert predict.load_predictor(forms.model_dir, dtype='auto').dtype == 'bfloat16'
  with pytest.raises(ValueError, match='a SavedModel has a fixed precision'):
    predict.load_predictor(forms.saved_model, dtype='bfloat16')


# A larger and a smaller image than the network's input, neither of its proportions.
@pytest.mark.parametrize('shape', [(200, 150), (70, 110)])
@pytest.mark.parametrize('name', ['saved_model', 'float'])
def test_same_detections_as_the_checkpoint(forms, checkpoint, name, shape):
  with Image.open(forms.images / '1.jpg') as picture:
    image = np.asarray(picture.resize(shape[::-1]))
  expected, actual = checkpoint(image), _form(forms, name)(image)
  assert len(expected.scores)
  assert actual.names == expected.names
  np.testing.assert_allclose(actual.scores, expected.scores, atol=1e-4)
  np.testing.assert_allclose(actual.boxes, expected.boxes, atol=0.05)


@pytest.mark.parametrize(('name', 'score_tolerance'), [('raw', 0.02), ('post_process', 1e-3)])
def test_same_objects_as_the_checkpoint(forms, checkpoint, name, score_tolerance):
  """Rounded images ('raw' takes uint8) and suppression before clipping: near the same, not the same."""
  predictor = _form(forms, name)
  expected, common = 0, 0
  for number in range(12):
    image = predict.read_image(str(forms.images / f'{number}.jpg'))
    certain = checkpoint(image).above(0.3)
    expected += len(certain.scores)
    common += _count_common(certain, predictor(image), score_tolerance)
  assert expected >= 6
  assert common >= 0.9 * expected


def test_evaluated_on_records(forms, checkpoint):
  of_model = predict.evaluate_records(checkpoint, forms.records)
  assert of_model['AP50'] > 0.3  # It has learned something, so that the comparison says something.
  assert predict.evaluate_records(_form(forms, 'saved_model'), forms.records) == pytest.approx(of_model, abs=1e-3)
  for name, tolerance in (('float', 1e-3), ('raw', 0.01), ('post_process', 0.01), ('int8', 0.08)):
    metrics = predict.evaluate_records(_form(forms, name), forms.records)
    assert metrics['AP'] == pytest.approx(of_model['AP'], abs=tolerance), name


def test_detections_say_what_they_are(checkpoint, forms):
  found = checkpoint(predict.read_image(str(forms.images / '0.jpg')))
  assert set(found.names) <= {'red', 'blue'}
  assert list(found.scores) == sorted(found.scores, reverse=True)
  assert checkpoint.label_of(2) == {'label': 2, 'id': 9, 'name': 'blue'}
  assert checkpoint.label_of(5)['name'] == '5'
  best = found.above(float(found.scores[0]))
  assert len(best.boxes) == len(best.names) == 1


@pytest.mark.parametrize(
  'image', [np.zeros([8, 8], np.uint8), np.zeros([8, 8, 3], np.float32), np.zeros([8, 8, 4], np.uint8)]
)
def test_what_is_no_image(checkpoint, image):
  with pytest.raises(ValueError, match='uint8'):
    checkpoint(image)


def test_highest_version_is_taken(forms, tmp_path, monkeypatch):
  loaded = []
  monkeypatch.setattr(saved_model, 'SavedModelPredictor', loaded.append)
  for version in ('2', '11'):
    (tmp_path / version).mkdir()
    graph = saved_model_pb2.SavedModel(meta_graphs=[tf.compat.v1.MetaGraphDef()])
    (tmp_path / version / 'saved_model.pb').write_bytes(graph.SerializeToString())
  predict.load_predictor(str(tmp_path))
  assert loaded == [str(tmp_path / '11')]


@pytest.mark.parametrize('name', ['absent', 'absent.tflite', 'empty'])
def test_nothing_to_load(tmp_path, name):
  (tmp_path / 'empty').mkdir()
  with pytest.raises(FileNotFoundError, match=name):
    predict.load_predictor(str(tmp_path / name))


def test_tflite_without_its_json(forms, tmp_path):
  shutil.copy(forms.tflite('float'), tmp_path / 'x.tflite')
  with pytest.raises(FileNotFoundError, match=r'x\.json.*keep both together'):
    predict.load_predictor(str(tmp_path / 'x.tflite'))
  (tmp_path / 'x.json').write_text('{}')
  with pytest.raises(ValueError, match=r'x\.json.*export_tflite'):
    predict.load_predictor(str(tmp_path / 'x.tflite'))


def test_tflite_with_the_json_of_another(forms, tmp_path):
  for name, of in (('float', 'raw'), ('raw', 'int8')):
    shutil.copy(forms.tflite(name), tmp_path / 'x.tflite')
    shutil.copy(layout.sidecar_path(forms.tflite(of)), tmp_path / 'x.json')
    with pytest.raises(ValueError, match=r'x\.tflite: its content is not what .*x\.json describes'):
      predict.load_predictor(str(tmp_path / 'x.tflite'))


def test_tflite_of_another_tool(forms, tmp_path):
  double = tf.function(lambda x: 2.0 * x).get_concrete_function(tf.TensorSpec([1, 2]))
  converter = tf.lite.TFLiteConverter.from_concrete_functions([double])
  (tmp_path / 'x.tflite').write_bytes(converter.convert())
  shutil.copy(layout.sidecar_path(forms.tflite('float')), tmp_path / 'x.json')
  with pytest.raises(ValueError, match=r'x\.tflite: its content is not what .*x\.json describes'):
    predict.load_predictor(str(tmp_path / 'x.tflite'))


@pytest.mark.parametrize('name', ['checkpoint', 'saved_model', 'float'])
def test_labels_beyond_the_classes_of_the_model(forms, tmp_path, name):
  labels = [{'label': k, 'id': k, 'name': 'x'} for k in (1, 2, 3)]
  if name == 'float':
    path, file = tmp_path / 'x.tflite', tmp_path / 'x.json'
    shutil.copy(forms.tflite('float'), path)
    facts = json.loads(pathlib.Path(layout.sidecar_path(forms.tflite('float'))).read_text())
    file.write_text(json.dumps({**facts, 'labels': labels}))
  else:
    path, file = tmp_path / 'copy', tmp_path / 'copy' / 'labels.json'
    shutil.copytree(forms.model_dir if name == 'checkpoint' else os.path.join(forms.saved_model, '1'), path)
    file.write_text(json.dumps(labels))
  with pytest.raises(ValueError, match=rf'{file.name}: names labels 1 to 3, but the model has labels 1 to 2'):
    predict.load_predictor(str(path))


def test_weights_that_are_not_finite(forms, tmp_path):
  model = zoo.load_detector(forms.model_dir)
  model.head.trainable_variables[0].assign_add(tf.fill(model.head.trainable_variables[0].shape, np.inf))
  for name in ('params.yaml', 'labels.json'):
    shutil.copy(os.path.join(forms.model_dir, name), tmp_path)
  tf.train.Checkpoint(**model.checkpoint_items).write(str(tmp_path / 'ckpt-1'))
  with pytest.raises(ValueError, match=r'ckpt-1.: weights are NaN or infinite: .*kernel.* use an earlier checkpoint'):
    predict.load_predictor(str(tmp_path), str(tmp_path / 'ckpt-1'))


def test_post_process_never_leaves_a_class_out(forms, tmp_path, monkeypatch):
  """The operator does, with several threads but fewer than classes: then it gets one thread."""
  from ai_edge_litert import interpreter

  used = []
  honest = interpreter.Interpreter
  monkeypatch.setattr(
    interpreter, 'Interpreter', lambda model_path, num_threads: used.append(num_threads) or honest(model_path)
  )
  path = shutil.copy(forms.tflite('post_process'), tmp_path / 'x.tflite')
  facts = json.loads(pathlib.Path(layout.sidecar_path(forms.tflite('post_process'))).read_text())
  for num_classes in (2, 3):
    facts['post_processing']['num_classes'] = num_classes
    path.with_suffix('.json').write_text(json.dumps(facts))
    tflite.TFLitePredictor(str(path), num_threads=2)
  assert used == [2, 1]


def test_broken_tflite(forms, tmp_path):
  content = pathlib.Path(forms.tflite('float')).read_bytes()
  (tmp_path / 'x.tflite').write_bytes(content[: len(content) // 2])
  shutil.copy(layout.sidecar_path(forms.tflite('float')), tmp_path / 'x.json')
  with pytest.raises(ValueError, match=r'x\.tflite'):
    predict.load_predictor(str(tmp_path / 'x.tflite'))


def test_labels_of_every_form_are_the_same(forms, checkpoint):
  with open(os.path.join(forms.model_dir, 'labels.json'), encoding='utf-8') as file:
    labels = {label['label']: label for label in json.load(file)}
  assert checkpoint.labels == labels
  for name in ('saved_model', 'float'):
    assert _form(forms, name).labels == labels
