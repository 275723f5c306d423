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

"""Exports of anytime detectors: every exit, at once and by refining, in one file of the size of one detector."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import predict, zoo
from nasfpn_tf.export import calibration, saved_model, source, tflite, verification
from nasfpn_tf.modeling import anytime
from tests.export import samples

SIZE, NUM_EXITS = samples.SIZE, samples.NUM_EXITS
STATE = {'level_3', 'level_4', 'level_5', 'image_info', 'exit_stage', 'model_key'}


@pytest.fixture(scope='module')
def made():
  return samples.make_source()


@pytest.fixture(scope='module')
def exported(made, tmp_path_factory):
  """Path of a SavedModel."""
  return saved_model.export_saved_model(made, str(tmp_path_factory.mktemp('exported')), images=samples.images(1))


@pytest.fixture(scope='module')
def floats(made, tmp_path_factory):
  """Path of a .tflite."""
  path = str(tmp_path_factory.mktemp('tflite') / 'float.tflite')
  tflite.export_tflite(made, path, images=samples.images(1))
  return path


@pytest.fixture(scope='module')
def trained(made, exported, tmp_path_factory):
  """Path of a model_dir."""
  directory = tmp_path_factory.mktemp('trained')
  for name in ('params.yaml', 'labels.json'):
    shutil.copy(os.path.join(exported, name), directory)
  tf.train.Checkpoint(model=made.model, **made.model.checkpoint_items).write(str(directory / 'ckpt-1'))
  return str(directory)


@pytest.fixture(scope='module')
def expected(made):
  """{exit: what the detector of this exit alone finds in the first image}."""
  exits = range(1, NUM_EXITS + 1)
  return {k: verification.reference(made.at_exit(k), samples.images(1)).detections[0] for k in exits}


def assert_found(found, expected):
  assert len(expected['scores']) > 2
  np.testing.assert_allclose(found.scores, expected['scores'], atol=1e-4)
  np.testing.assert_allclose(found.boxes, expected['boxes'], atol=1e-2)
  np.testing.assert_array_equal(found.classes, expected['classes'])


@pytest.mark.parametrize('form', [pytest.param('trained', marks=pytest.mark.slow), 'exported', 'floats'])
def test_every_exit_says_what_its_detector_says(form, expected, request):
  predictor = predict.load_predictor(request.getfixturevalue(form))
  image = samples.images(1)[0]
  assert predictor.num_exits == NUM_EXITS
  state = predictor.begin(image)
  assert_found(predictor.detect(state), expected[1])
  state = predictor.refine(state)
  assert_found(predictor.detect(state), expected[2])
  assert_found(predictor(image), expected[2])
  found = predict.Deadline(predictor, 1e6)(image)
  assert found.exit_stage == NUM_EXITS
  assert predict.Deadline(predictor, 1e-3)(image).exit_stage == 1


def test_signatures_of_a_saved_model(made, exported):
  signatures = tf.saved_model.load(exported).signatures
  plain = {'serving_default', 'image_tensor', 'image_bytes', 'tf_example', 'raw'}
  assert set(signatures) == plain | {'exit_1', 'exit_2', 'begin', 'refine_2', 'detect_1', 'detect_2'}
  images = np.stack([samples.images(1)[0]] * 3)
  state = signatures['begin'](inputs=tf.constant(images))
  assert set(state) == STATE and state['exit_stage'].numpy().tolist() == [1, 1, 1]
  assert state['level_3'].shape == (3, 8, 8, 16)
  assert set(signatures['refine_2'](**state)) == STATE
  at_once = signatures['exit_1'](inputs=tf.constant(images))
  for name, value in signatures['detect_1'](**state).items():
    np.testing.assert_allclose(value, at_once[name], atol=1e-4)


def test_wrong_states_of_a_saved_model(exported):
  signatures = tf.saved_model.load(exported).signatures
  state = signatures['begin'](inputs=tf.constant(np.stack(samples.images(2))))
  with pytest.raises(tf.errors.InvalidArgumentError, match='detect_2 takes a state of exit 2'):
    signatures['detect_2'](**state)
  with pytest.raises(tf.errors.InvalidArgumentError, match='refine_2 takes a state of exit 1'):
    signatures['refine_2'](**signatures['refine_2'](**state))
  with pytest.raises(tf.errors.InvalidArgumentError, match='refine_2: the state is of another model'):
    signatures['refine_2'](**{**state, 'model_key': state['model_key'] + 1})
  other = signatures['begin'](inputs=tf.constant(np.stack(samples.images(1))))
  with pytest.raises(tf.errors.InvalidArgumentError, match='level_4, level_5 and image_info are not of one batch'):
    signatures['detect_1'](**{**state, 'level_4': other['level_4']})


def test_weights_come_back_with_their_exits(made, exported):
  again = source.load(exported)
  assert isinstance(again.model, anytime.AnytimeRetinaNet)
  for ours, theirs in zip(again.model.variables, made.model.variables, strict=True):
    np.testing.assert_array_equal(ours, theirs)


def test_one_exit_alone_is_a_plain_detector(made, monkeypatch, tmp_path):
  image = samples.images(1)[0]
  detector_of_one = made.at_exit(1)
  alone = verification.reference(detector_of_one, [image])
  monkeypatch.setattr(verification, 'reference', lambda *_: alone)  # What it exports is compared with.
  path = saved_model.export_saved_model(detector_of_one, str(tmp_path / 'one'), images=[image])
  monkeypatch.undo()
  again = source.load(path)
  assert not isinstance(again.model, anytime.AnytimeRetinaNet)
  assert again.params.task.model.decoder.feature_pyramid.num_repeats == 1
  assert 'exit_1' not in tf.saved_model.load(path).signatures
  np.testing.assert_array_equal(verification.reference(again, [image]).class_logits, alone.class_logits)
  with pytest.raises(ValueError, match='no exits to choose from'):
    again.at_exit(1)
  with pytest.raises(ValueError, match='exit 3: the exits are 1 to 2'):
    made.at_exit(3)


@pytest.mark.slow
def test_an_exit_that_differs_is_refused(made, monkeypatch, tmp_path):
  honest = verification.reference

  def wrong(what, *args):
    expected = honest(what, *args)
    if isinstance(what.model, anytime.AnytimeRetinaNet):
      return expected
    moved = [{**found, 'scores': found['scores'] + 0.1} for found in expected.detections]
    return dataclasses.replace(expected, detections=moved)

  monkeypatch.setattr(verification, 'reference', wrong)
  with pytest.raises(verification.VerificationError, match='signature exit_1'):
    saved_model.export_saved_model(made, str(tmp_path / 'out'), images=samples.images(1))
  assert not (tmp_path / 'out').exists()
  with pytest.raises(verification.VerificationError, match=r'The TFLite file \(none\), exit 1'):
    tflite.export_tflite(made, str(tmp_path / 'out.tflite'), images=samples.images(1))
  assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_an_int8_file_has_every_exit(made, tmp_path):
  path = str(tmp_path / 'int8.tflite')
  images = samples.images(calibration.MIN_IMAGES)
  facts = tflite.export_tflite(made, path, tflite.Options(quant_type='int8', input_dtype='uint8'), images)
  assert facts['num_exits'] == NUM_EXITS and facts['max_error']['class_scores'] < 0.2
  assert facts['inputs'] == [{'name': 'inputs', 'shape': [1, SIZE, SIZE, 3], 'dtype': 'uint8'}]
  with open(path, 'rb') as file:
    content = file.read()
  pixels = verification.reference(made, images[:1]).inputs
  for exit_stage in (1, 2):
    at_once, stepwise = (tflite.run(content, pixels, exit_stage, way) for way in (False, True))
    # A state is float32 between int8 graphs: what is rounded, is rounded at the same places.
    assert np.abs(at_once['class_scores'] - stepwise['class_scores']).max() < 0.05
    expected = verification.reference(made.at_exit(exit_stage), images[:1])
    assert np.abs(at_once['class_scores'] - expected.class_scores).max() < 0.2


@pytest.mark.slow
def test_exits_hardly_need_space(tmp_path):
  """Of a published size; the size of the input, which the weights do not depend on, is small."""
  model = zoo.load_experiment('bccd_mobilenetv2_nasfpnlite_3x64_384x512', {'task.model.num_classes': 4}).task.model
  model.override({'input_size': [128, 128, 3], 'backbone': {'applications': {'weights': 'none'}}})
  plain, exits = (samples.make_source(enabled, model.as_dict()) for enabled in (False, True))
  assert not isinstance(plain.model, anytime.AnytimeRetinaNet) and exits.model.num_exits == 3
  size = (128, 128)

  saved = []
  for name, detector_source in (('plain', plain), ('exits', exits)):
    saved_model.export_saved_model(detector_source, str(tmp_path / name), images=samples.images(1, size))
    saved.append(sum(file.stat().st_size for file in (tmp_path / name).rglob('*') if file.is_file()))
  assert saved[1] < 1.05 * saved[0], saved
  images = [image[np.newaxis].astype(np.float32) for image in samples.images(calibration.MIN_IMAGES, size)]
  for quant_type in ('none', 'int8'):
    options = tflite.Options(quant_type=quant_type)
    plain_size, size_with_exits = (len(tflite.convert(it.model, size, options, images)) for it in (plain, exits))
    assert size_with_exits < 1.10 * plain_size, (quant_type, size_with_exits, plain_size)
