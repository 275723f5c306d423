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

"""Tests of SavedModels in TensorFlow Serving's layout."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import yaml

from nasfpn_tf import topology
from nasfpn_tf.export import saved_model, source, verification
from tests.export import samples


@pytest.fixture(scope='module')
def detector(forms):
  """The trained detector; nobody changes it."""
  return source.load(forms.model_dir)


@pytest.fixture(scope='module')
def small():
  """A smaller one, with random weights."""
  return samples.make_source(anytime=False, model=samples.ONE_PYRAMID)


def test_layout(forms):
  version = pathlib.Path(forms.saved_model) / '1'
  assert os.listdir(forms.saved_model) == ['1']
  for name in ('params.yaml', 'topology.json', 'labels.json'):
    assert (version / name).read_bytes() == (version / 'assets' / name).read_bytes()
  params = yaml.safe_load((version / 'params.yaml').read_text())
  inline = topology.resolve(params['task']['model']['decoder']['feature_pyramid']['topology'])
  assert inline == topology.get('nas_fpn') == topology.resolve(str(version / 'topology.json'))
  assert json.loads((version / 'labels.json').read_text())[1] == {'label': 2, 'id': 9, 'name': 'blue'}


def test_report_of_what_was_checked(forms):
  report = json.loads((pathlib.Path(forms.saved_model) / '1' / 'export.json').read_text())
  assert report['source'].endswith('run/ckpt-120')
  assert report['checked_images'] == 2
  assert set(report['max_error']) == {'box_encodings', 'class_logits'}
  assert max(report['max_error'].values()) <= verification.TOLERANCE


def test_weights_come_back_out_of_it(forms, detector):
  again = source.load(forms.saved_model)
  assert again.origin.endswith('saved_model/1/assets.extra/weights')
  assert again.labels == detector.labels
  for ours, theirs in zip(again.model.variables, detector.model.variables, strict=True):
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_frozen_has_no_variables(forms):
  version = os.path.join(forms.saved_model, '1')
  loaded = tf.saved_model.load(version)
  assert loaded.signatures['serving_default'].variables == ()
  graph = loaded.signatures['serving_default'].graph.as_graph_def()
  functions = [function.node_def for function in graph.library.function]
  assert not any(node.op == 'ReadVariableOp' for nodes in functions for node in nodes)
  # The weights are there once for all signatures.
  sizes = [
    os.path.getsize(os.path.join(version, name))
    for name in ('saved_model.pb', 'assets.extra/weights.data-00000-of-00001')
  ]
  assert sizes[0] < 2 * sizes[1] + 1e6


def _train_a_step(loaded, input_size):
  """What is loaded can be trained on: every weight has a gradient, and a step makes the loss smaller."""
  function = loaded.signatures['raw']
  inputs = tf.random.stateless_uniform([2, *input_size, 3], [1, 2], 0.0, 255.0)

  def loss():
    outputs = function(inputs=inputs)
    return sum(tf.reduce_mean(outputs[name] ** 2) for name in ('box_encodings', 'class_logits'))

  weights = [variable for variable in function.variables if variable.trainable]
  with tf.GradientTape() as tape:
    before = loss()
  gradients = tape.gradient(before, weights)
  for weight, gradient in zip(weights, gradients, strict=True):
    assert gradient is not None, weight.name
    assert np.isfinite(gradient.numpy()).all(), weight.name
  assert sum(np.abs(gradient).max() > 0 for gradient in gradients) > 0.9 * len(gradients)
  tf_keras.optimizers.SGD(1e-3).apply_gradients(zip(gradients, weights, strict=True))
  assert loss() < before


@pytest.fixture(scope='module')
def swish():
  """One with an activation that has a gradient of its own, as upsampling has."""
  norm_activation = {**samples.TINY['norm_activation'], 'activation': 'swish'}
  return samples.make_source(anytime=False, model={**samples.ONE_PYRAMID, 'norm_activation': norm_activation})


def test_variable_weights(swish, tmp_path):
  path = saved_model.export_saved_model(swish, str(tmp_path), weights='variable', images=samples.images(1))
  loaded = tf.saved_model.load(path)
  assert len(loaded.signatures['serving_default'].variables) == len(swish.model.variables)
  again = source.load(path)
  assert again.origin.endswith('1/variables/variables')
  assert again.params.task.model.norm_activation.activation == 'swish'
  assert os.listdir(os.path.join(path, 'assets.extra')) == ['tf_serving_warmup_requests']
  _train_a_step(loaded, swish.input_size)


def test_swish_which_has_a_gradient_of_its_own_is_frozen(swish, tmp_path):
  path = saved_model.export_saved_model(swish, str(tmp_path), weights='frozen', images=samples.images(1))
  assert source.load(path).params.task.model.norm_activation.activation == 'swish'
  assert json.loads((pathlib.Path(path) / 'export.json').read_text())['weights'] == 'frozen'


@pytest.fixture
def unwritten(monkeypatch):
  """What would have been written, as pairs of the source and the options; of the files there is only the directory."""
  noted = []

  def note(partial, written, unused_reference, accept=None, **options):
    os.makedirs(partial, exist_ok=True)
    noted.append((written, options))
    return {'max_error': {}, **(accept(partial) if accept else {})}

  monkeypatch.setattr(saved_model, '_write_verified', note)
  return noted


def test_large_models_keep_variables(small, unwritten, monkeypatch, tmp_path):
  size = 4 * sum(variable.shape.num_elements() for variable in small.model.variables)
  for most in (4 * size, 4 * size - 1):
    monkeypatch.setattr(saved_model, 'MOST_FROZEN_BYTES', most)
    saved_model.export_saved_model(small, str(tmp_path), images=samples.images(1))
  assert [options['frozen'] for _, options in unwritten] == [True, False]


def test_a_difference_leaves_nothing(monkeypatch, small, tmp_path):
  honest = verification.reference

  def wrong(*args):
    expected = honest(*args)
    return dataclasses.replace(expected, class_logits=expected.class_logits + 0.01)

  monkeypatch.setattr(verification, 'reference', wrong)
  with pytest.raises(verification.VerificationError, match=r'The SavedModel differs .* class_logits by 0\.01'):
    saved_model.export_saved_model(small, str(tmp_path / 'out'))
  assert not (tmp_path / 'out').exists()


def test_weights_that_are_not_finite_leave_nothing(tmp_path):
  detector = samples.make_source(anytime=False, model=samples.ONE_PYRAMID)
  detector.model.variables[0].assign(np.full(detector.model.variables[0].shape, np.nan))
  with pytest.raises(verification.VerificationError, match='NaN'):
    saved_model.export_saved_model(detector, str(tmp_path / 'out'))
  assert not (tmp_path / 'out').exists()


def test_an_existing_version_is_kept(forms, detector):
  before = sorted(os.listdir(os.path.join(forms.saved_model, '1')))
  with pytest.raises(FileExistsError, match='next free number'):
    saved_model.export_saved_model(detector, forms.saved_model, version=1)
  assert sorted(os.listdir(os.path.join(forms.saved_model, '1'))) == before


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'export_dir': 'gs://bucket/x'}, 'local disk'),
    ({'export_dir': 'x', 'version': -1}, 'whole numbers'),
    ({'export_dir': 'x', 'input_type': 'tensor'}, 'image_bytes, image_tensor, tf_example'),
    ({'export_dir': 'x', 'weights': 'half'}, 'auto, frozen, variable'),
  ],
)
def test_arguments_that_cannot_be(detector, arguments, message, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=message):
    saved_model.export_saved_model(detector, **arguments)
  assert not os.listdir(tmp_path)


def _operators_by_type(path):
  graph = tf.saved_model.load(path).signatures['raw'].graph.as_graph_def()
  nodes = [node for function in graph.library.function for node in function.node_def]
  return {node.attr['T'].type for node in nodes if node.op == 'Conv2D'}


def test_bfloat16_inside_and_float32_at_the_ends(small, tmp_path):
  seen = []
  accept = lambda path: seen.append(os.path.basename(path)) or {'AP': 0.5}  # noqa: E731
  path = saved_model.export_saved_model(small, str(tmp_path), images=samples.images(1), dtype='bfloat16', accept=accept)
  assert seen == ['.1.partial']
  assert _operators_by_type(path) == {tf.bfloat16.as_datatype_enum}
  for signature in tf.saved_model.load(path).signatures.values():
    outputs = tf.nest.flatten(signature.structured_outputs)
    assert {spec.dtype for spec in outputs} <= {tf.float32, tf.int32}
  report = json.loads((pathlib.Path(path) / 'export.json').read_text())
  assert (report['dtype'], report['dtype_reason'], report['AP']) == ('bfloat16', 'asked for', 0.5)
  # The weights are those of the model, to export again in float32.
  for ours, theirs in zip(source.load(path).model.variables, small.model.variables, strict=True):
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_bfloat16_that_loses_too_much_is_not_another_dtype(small, unwritten, tmp_path):
  def refuse(path):
    assert os.listdir(tmp_path / 'out') == [os.path.basename(path)]
    raise ValueError('AP too low')

  with pytest.raises(ValueError, match='AP too low'):
    saved_model.export_saved_model(
      small, str(tmp_path / 'out'), images=samples.images(1), dtype='bfloat16', accept=refuse
    )
  assert not (tmp_path / 'out').exists()
  assert [written.dtype for written, _ in unwritten] == ['bfloat16']


@pytest.mark.slow
def test_auto_is_float32_where_bfloat16_loses_too_much(small, monkeypatch, tmp_path):
  def refuse(path):
    if tf.bfloat16.as_datatype_enum in _operators_by_type(path):
      raise ValueError('AP too low')
    return {}

  monkeypatch.setattr(saved_model, '_faster', lambda *_: ('bfloat16', 'faster'))
  path = saved_model.export_saved_model(small, str(tmp_path), images=samples.images(1), dtype='auto', accept=refuse)
  report = json.loads((pathlib.Path(path) / 'export.json').read_text())
  assert (report['dtype'], report['dtype_reason']) == ('float32', 'bfloat16 is refused: AP too low')
  assert _operators_by_type(path) == {tf.float32.as_datatype_enum}


def test_auto_measures_where_there_are_instructions(small, unwritten, monkeypatch, tmp_path):
  monkeypatch.setattr(saved_model.precision, 'of_device', lambda: ('float32', 'no instructions'))
  path = saved_model.export_saved_model(small, str(tmp_path), images=samples.images(1), dtype='auto')
  report = json.loads((pathlib.Path(path) / 'export.json').read_text())
  assert (report['dtype'], report['dtype_reason']) == ('float32', 'no instructions')
  monkeypatch.setattr(saved_model.precision, 'of_device', lambda: ('bfloat16', 'instructions'))
  monkeypatch.setattr(
    saved_model.precision,
    'fastest',
    lambda calls: ('float32', {name: call() is None or 7.0 for name, call in calls.items()}),
  )
  path = saved_model.export_saved_model(small, str(tmp_path), images=samples.images(1), dtype='auto')
  report = json.loads((pathlib.Path(path) / 'export.json').read_text())
  assert report['dtype'] == 'float32' and 'ms an image' in report['dtype_reason']
  assert [written.dtype for written, _ in unwritten] == ['float32', 'float32']
