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

"""Tests of training that rounds as an int8 file will."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf import predict
from nasfpn_tf.export import calibration, source, tflite
from nasfpn_tf.layers import merging_cell
from nasfpn_tf.modeling import detector
from nasfpn_tf.modeling.weights import restore
from nasfpn_tf.training import quantization_aware, task, trainer
from tests.export import forms as exported
from tests.training import rectangles

forms = exported.forms

_IMAGES = np.random.default_rng(0).normal(size=[2, rectangles.SIZE, rectangles.SIZE, 3]).astype(np.float32)


def _build():
  params = rectangles.experiment('x').task.model
  params.num_classes = 3
  params.decoder.feature_pyramid.use_separable_conv = True
  return detector.build_detector(params)


def _raw(model):
  outputs = model(_IMAGES, training=False)
  return {
    key: tf.concat([tf.reshape(v, [-1]) for v in outputs[key].values()], 0) for key in ('cls_outputs', 'box_outputs')
  }


@pytest.fixture(scope='module')
def rounded():
  """A detector that rounds, what it gave before, and its `Rounding`."""
  tf_keras.utils.set_random_seed(1)
  model = _build()
  for variable in model.variables:
    if 'gamma' in variable.name:  # As after training: those of residual cells begin with 0.
      variable.assign(tf.ones_like(variable))
  before = _raw(model)
  rounding = quantization_aware.prepare(model)
  rounding.calibrate(model, [_IMAGES])
  return model, before, rounding


def test_what_it_gives_is_close_and_not_the_same(rounded):
  model, before, _ = rounded
  for name, value in _raw(model).items():
    error = float(tf.reduce_max(tf.abs(value - before[name])))
    # A range of int8 holds zero; the errors of the layers before add to its 256 steps.
    span = float(tf.maximum(tf.reduce_max(before[name]), 0.0) - tf.minimum(tf.reduce_min(before[name]), 0.0))
    assert 0 < error < 0.2 * span, name


def test_every_convolution_and_cell_rounds(rounded):
  model, _, rounding = rounded
  layers = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.Layer)]
  kernels = [v for v in model.trainable_variables if 'kernel' in v.name.rsplit('/', 1)[-1]]
  assert len(rounding.kernels) == len(kernels) > 20
  cells = [layer for layer in layers if isinstance(layer, merging_cell.MergingCell)]
  assert len(cells) == 5
  for cell in cells:
    values = cell.rounding('merged', tf.random.stateless_uniform([4000], [1, 2], 0, 2.0))
    assert len(np.unique(values)) <= 256
  # A range that no value has passed would be [0, 0].
  unused = [layer.name for layer in rounding.ranges if float(layer.variables[1]) - float(layer.variables[0]) <= 0]
  # Two of the seven cells are sums, which have no product.
  assert len(unused) == sum(cell.get_config()['op'] == 'sum' for cell in cells)


@pytest.mark.parametrize('is_depthwise', [False, True], ids=['full', 'depthwise'])
def test_kernels_round_by_channel(is_depthwise):
  kernel = tf.Variable(np.random.default_rng(1).normal(size=[3, 3, 4, 2]).astype(np.float32) * [[[[1.0, 100.0]]]])
  rounded = quantization_aware.KernelRounding(kernel, is_depthwise)(kernel).numpy()
  channels = (4, 2) if is_depthwise else (2,)
  step = np.abs(kernel.numpy()).reshape(-1, *channels).max(axis=0) / 127
  np.testing.assert_allclose(rounded, np.round(kernel.numpy() / step) * step, atol=1e-4 * float(step.max()))


def test_range_in_calibration_training_and_use():
  layer = quantization_aware.ActivationRange()
  low, high = layer.variables
  layer.calibrating = True
  value = tf.constant([-1.0, 0.3, 3.0])
  np.testing.assert_array_equal(layer(value), value)
  layer(tf.constant([0.0, 2.0]))
  assert (float(low), float(high)) == (-1.0, 3.0)
  layer.calibrating = False
  np.testing.assert_allclose(layer(tf.constant([9.0, 0.3])), [3.0, 0.3], atol=4 / 255)
  assert float(high) == 3.0
  layer(tf.constant([-1.0, 9.0]), training=True)
  assert 3.0 < float(high) < 3.1


def test_every_weight_has_a_gradient(rounded):
  model, _, _ = rounded
  with tf.GradientTape() as tape:
    outputs = model(_IMAGES, training=True)
    loss = tf.add_n([tf.reduce_sum(v**2) for part in ('cls_outputs', 'box_outputs') for v in outputs[part].values()])
  gradients = tape.gradient(loss, model.trainable_variables)
  assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)


def test_its_checkpoint_is_one_of_the_detector(rounded, tmp_path):
  model, _, rounding = rounded
  path = tf.train.Checkpoint(**model.checkpoint_items, rounding=rounding).write(str(tmp_path / 'ckpt-1'))
  plain = _build()
  restore.restore(plain, path)
  assert len(plain.variables) < len(model.variables)
  for mine, theirs in zip(plain.head.variables, model.head.variables, strict=True):
    np.testing.assert_array_equal(mine, theirs)


def test_what_cannot_be(rounded):
  model, _, rounding = rounded
  with pytest.raises(ValueError, match='rounds already'):
    quantization_aware.prepare(model)
  with pytest.raises(ValueError, match='but got none'):
    rounding.calibrate(model, [])


def test_it_fine_tunes_a_trained_detector():
  params = rectangles.experiment('x', task={'quantization_aware': True})
  with pytest.raises(ValueError, match=r'task\.init_checkpoint'):
    task.DetectionTask(params.task).initialize(_build())


@pytest.mark.slow
def test_fine_tuned_and_exported(forms, tmp_path):
  params = rectangles.experiment(
    forms.records,
    task={'quantization_aware': True, 'init_checkpoint': forms.model_dir, 'model': {'max_level': 7}},
    trainer={
      'train_steps': 4,
      'steps_per_loop': 2,
      'checkpoint_interval': 4,
      'validation_interval': 4,
      # That of docs/deploy.md; at the rate of a training from scratch four steps unlearn the detector.
      'optimizer_config': {'learning_rate': {'constant': {'learning_rate': 0.0001}}},
    },
  )
  model_dir, file = str(tmp_path / 'qat'), str(tmp_path / 'qat.tflite')
  trainer.run(params, 'train', model_dir)
  options = tflite.Options(quant_type='int8')
  tflite.export_tflite(source.load(model_dir), file, options, calibration.load_images(forms.records, 12))
  of_float, of_model, of_file = (
    predict.evaluate_records(predict.load_predictor(path), forms.records) for path in (forms.model_dir, model_dir, file)
  )
  assert of_float['AP50'] > 0.3
  assert of_model['AP'] > of_float['AP'] - 0.1
  assert of_file['AP'] > of_float['AP'] - 0.1
