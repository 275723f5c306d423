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

"""What the tests share: where the data is, and the contract every layer keeps.

Use: `from tests import testing`.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest


def repo_root() -> pathlib.Path:
  """Root of this repository."""
  return pathlib.Path(__file__).resolve().parent.parent


def shared_data(name: str) -> pathlib.Path:
  """Path of `../shared/data/<name>`, data sets that are not part of the repository; skips the test where absent."""
  path = repo_root().parent / 'shared' / 'data' / name
  if not path.exists():
    pytest.skip(f'data set {name!r} is not beside the repository (../shared/data/{name})')
  return path


def shared_weights(name: str) -> pathlib.Path:
  """Path of `../shared/weights/<name>`, weights that are not part of the repository; skips the test where absent."""
  path = repo_root().parent / 'shared' / 'weights' / name
  if not path.exists():
    pytest.skip(f'weights {name!r} are not beside the repository (../shared/weights/{name})')
  return path


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
  """Asserts equal structures whose arrays differ by at most `tolerance`, absolutely."""
  import tensorflow as tf

  tf.nest.assert_same_structure(expected, actual, check_types=False)  # Keras turns tuples into lists.
  for a, e in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
    np.testing.assert_allclose(_numpy(a), _numpy(e), rtol=0, atol=tolerance)


def run_layer_test(
  layer_class: type,
  kwargs: Mapping[str, Any],
  inputs: Any,
  expected_shapes: Any,
  expected_dtype: str = 'float32',
  differs_in_training: bool = True,
  check_bfloat16: bool = True,
  check_gradients: bool = True,
  custom_check: Callable[[Any], None] | None = None,
) -> Any:
  """The contract of a layer in one call.

  Checks the shapes and dtypes of the outputs, the static shapes of a functional model, that the layer rebuilt from its
  config has the same weights and gives the same outputs once it has their values, that a functional model around it
  survives both of Keras' save formats, that training differs from inference, that a gradient reaches every trainable
  weight, and that under mixed_bfloat16 the weights are float32 and the outputs bfloat16.

  Args:
    layer_class: the class.
    kwargs: arguments of its constructor.
    inputs: a structure of arrays for `call`, with the batch first.
    expected_shapes: the structure of the outputs, with shapes as tuples.
    expected_dtype: dtype of the outputs in float32.
    differs_in_training: whether `training=True` changes the outputs.
    check_bfloat16: whether the layer computes in the policy's dtype.
    check_gradients: whether the outputs depend on the trainable weights differentiably.
    custom_check: called with the built layer.

  Returns:
    The layer, built, in inference state.
  """
  import tensorflow as tf

  inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
  layer = layer_class(**kwargs)
  outputs = layer(inputs, training=False)
  _assert_shapes(outputs, expected_shapes, expected_dtype)
  if check_gradients:
    _check_gradients(layer, inputs)
  _check_rebuilt(layer_class, layer, inputs)
  _check_saved(layer_class, layer, inputs)
  if differs_in_training:
    trained = layer_class(**kwargs)(inputs, training=True)
    pairs = zip(tf.nest.flatten(trained), tf.nest.flatten(outputs), strict=True)
    assert any(np.abs(_numpy(t) - _numpy(o)).max() > 1e-3 for t, o in pairs), 'training=True changes nothing'
  if check_bfloat16:
    _check_bfloat16(layer_class, kwargs, inputs, expected_shapes)
  if custom_check is not None:
    custom_check(layer)
  return layer


def _numpy(x: Any) -> np.ndarray:
  """Anything as float64 (NumPy knows bfloat16 only by an extension type)."""
  return np.asarray(x).astype(np.float64)


def _assert_shapes(outputs: Any, expected: Any, dtype: str) -> None:
  import tensorflow as tf

  shapes = tf.nest.map_structure(lambda x: tuple(x.shape), outputs)
  assert shapes == expected, f'shapes {shapes}, expected {expected}'
  for output in tf.nest.flatten(outputs):
    assert output.dtype == dtype, f'dtype {output.dtype}, expected {dtype}'
    assert np.isfinite(_numpy(output)).all(), 'an output is not finite'


def _check_gradients(layer: Any, inputs: Any) -> None:
  import tensorflow as tf

  with tf.GradientTape() as tape:
    outputs = layer(inputs, training=False)
    # Inference and a random weighting: batch norm in training hides the sum and the scale of its input.
    random = [tf.random.stateless_normal(o.shape, [1, 2], dtype=o.dtype) for o in tf.nest.flatten(outputs)]
    loss = tf.add_n([tf.reduce_sum(o * r) for o, r in zip(tf.nest.flatten(outputs), random, strict=True)])
  for weight, gradient in zip(layer.trainable_weights, tape.gradient(loss, layer.trainable_weights), strict=True):
    assert gradient is not None, f'no gradient reaches {weight.name}'
    assert np.isfinite(_numpy(gradient)).all(), f'the gradient of {weight.name} is not finite'
    assert np.abs(_numpy(gradient)).max() > 0, f'the gradient of {weight.name} is zero'


def _check_rebuilt(layer_class: type, layer: Any, inputs: Any) -> None:
  config = layer.get_config()
  rebuilt = layer_class.from_config(config)
  assert rebuilt.get_config() == config, 'the config changes when the layer is rebuilt from it'
  rebuilt(inputs, training=False)
  names = [(w.name.split('/')[1:], tuple(w.shape), w.trainable) for w in layer.weights]
  assert [(w.name.split('/')[1:], tuple(w.shape), w.trainable) for w in rebuilt.weights] == names
  rebuilt.set_weights(layer.get_weights())
  assert_close(rebuilt(inputs, training=False), layer(inputs, training=False), 0.0)


def _check_saved(layer_class: type, layer: Any, inputs: Any) -> None:
  import tempfile

  import tensorflow as tf
  import tf_keras

  symbolic = tf.nest.map_structure(lambda x: tf_keras.Input(x.shape[1:], dtype=x.dtype), inputs)
  model = tf_keras.Model(symbolic, layer_class.from_config(layer.get_config())(symbolic))
  model.set_weights(layer.get_weights())
  expected = layer(inputs, training=False)
  tf.nest.map_structure(lambda s, o: s.shape[1:].assert_is_compatible_with(o.shape[1:]), model.output, expected)
  with tempfile.TemporaryDirectory() as directory:
    for name in ('model.keras', 'model.h5'):
      path = f'{directory}/{name}'
      model.save(path)
      loaded = tf_keras.models.load_model(path)
      assert_close(loaded(inputs, training=False), expected, 1e-6)


def _check_bfloat16(layer_class: type, kwargs: Mapping[str, Any], inputs: Any, expected_shapes: Any) -> None:
  layer = layer_class(**kwargs, dtype='mixed_bfloat16')
  outputs = layer(inputs, training=True)
  _assert_shapes(outputs, expected_shapes, 'bfloat16')
  assert {w.dtype.name for w in layer.weights} <= {'float32'}, 'weights must stay float32 under mixed_bfloat16'
