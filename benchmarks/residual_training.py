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

"""Trains as scripts/train.py does, with another form of the residual connection; `residual_forms` runs it.

python -m benchmarks.residual_training FORM --config_file=... --model_dir=...
"""

import functools
import pathlib
import runpy
import sys
import types
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers.feature_pyramid import FeaturePyramid, PyramidStage
from nasfpn_tf.modeling.decoders import feature_pyramid
from nasfpn_tf.training import optimizer

FORMS = {
  'published': 'no residual connection',
  'cell, gamma 0': 'every output cell adds the input of its level; its batch norm begins with gamma 0',
  'cell, gamma 0.1': 'the same with gamma 0.1',
  'cell, gamma 1': 'the same with gamma 1',
  'cell, scalar': 'the same with gamma 1 and a learned factor that begins with 0 (ReZero)',
  'stage, gamma 0': 'the inputs are added to the outputs behind the last cell; later cells read outputs without them',
  'later stages, gamma 0': 'as the first, from the second pyramid on',
}
# Learning rate of the pyramids after the first, which are otherwise as 'cell, gamma 0'.
LATER_RATES = {'cell, gamma 0, later at half rate': 0.5, 'cell, gamma 0, later at double rate': 2.0}
_BUILD_OPTIMIZER = optimizer.build_optimizer
_TRAIN = pathlib.Path(__file__).resolve().parent.parent / 'scripts' / 'train.py'


class _Scaled(tf_keras.layers.Layer):
  """Multiplies what a layer gives by one learned number."""

  def __init__(self, inner: tf_keras.layers.Layer):
    super().__init__(name=f'{inner.name}_scaled', dtype=inner.dtype_policy)
    self.inner = inner
    self.scale = self.add_weight('scale', [], initializer='zeros')

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    return tf.cast(self.scale, self.compute_dtype) * self.inner(inputs, training=training)


class _AddingStage(PyramidStage):
  """A pyramid whose inputs are added behind its last cell."""

  def _run(self, features: Sequence[tf.Tensor], training: bool | None) -> list[tf.Tensor]:
    outputs = super()._run(features, training)
    return [feature + output for feature, output in zip(features, outputs, strict=True)]


def build(form: str, *args, **kwargs) -> FeaturePyramid:
  """Creates a `FeaturePyramid` in one of `FORMS` or `LATER_RATES`, not yet built; arguments as of that layer."""
  in_cells = form.startswith(('cell', 'later'))
  pyramid = FeaturePyramid(*args, **{**kwargs, 'residual': in_cells})
  outputs = [(cell, spec) for stage in pyramid.stages for cell, spec in zip(stage.cells, stage.spec.cells, strict=True)]
  outputs = [cell for cell, spec in outputs if spec.is_output]
  if form == 'stage, gamma 0':
    config = pyramid.stages[0].get_config()
    pyramid.stages = [_AddingStage.from_config({**config, 'name': stage.name}) for stage in pyramid.stages]
    outputs = [
      cell
      for stage in pyramid.stages
      for cell, spec in zip(stage.cells, stage.spec.cells, strict=True)
      if spec.is_output
    ]
  elif form == 'later stages, gamma 0':
    config = pyramid.stages[0].get_config()
    first = PyramidStage.from_config({**config, 'residual': False})
    pyramid.stages = [first, *pyramid.stages[1:]]
    return pyramid
  gamma = {'cell, gamma 0.1': 0.1, 'cell, gamma 1': 1.0, 'cell, scalar': 1.0, 'published': 1.0}.get(form, 0.0)
  for cell in outputs:
    cell.conv_norm.norm.gamma_initializer = tf_keras.initializers.Constant(gamma)
    if form == 'cell, scalar':
      cell.conv_norm = _Scaled(cell.conv_norm)
  return pyramid


def build_optimizer(form: str, params: Any, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
  """Builds the optimizer, with a rate of its own for pyramids after the first if the form is of `LATER_RATES`.

  Raises:
    ValueError: the configuration has another rate for the backbone, too.
  """
  if form not in LATER_RATES:
    return _BUILD_OPTIMIZER(params, model)
  if params.task.backbone_lr_multiplier != 1.0:
    raise ValueError(f'{form}: task.backbone_lr_multiplier must be 1.')
  later = [variable for stage in model.decoder.stages[1:] for variable in stage.trainable_variables]
  # The multiplier of the backbone is the one that an optimizer has; here it is that of these variables.
  scaled = types.SimpleNamespace(backbone=types.SimpleNamespace(trainable_variables=later))
  return _BUILD_OPTIMIZER(params.replace(task={'backbone_lr_multiplier': LATER_RATES[form]}), scaled)


def main() -> None:
  form = sys.argv.pop(1)
  if form not in {**FORMS, **LATER_RATES}:
    sys.exit(f'residual_training: {form!r} is none of {", ".join([*FORMS, *LATER_RATES])}.')
  feature_pyramid.FeaturePyramid = functools.partial(build, form)
  optimizer.build_optimizer = functools.partial(build_optimizer, form)
  sys.argv[0] = str(_TRAIN)
  runpy.run_path(str(_TRAIN), run_name='__main__')


if __name__ == '__main__':
  main()
