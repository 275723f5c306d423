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
"""Forms of the residual connection: how each begins, and that it is the form of its name that is trained."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import necks, residual_forms, residual_training
from nasfpn_tf.training import params as params_lib
from tests.layers.feature_pyramid_test import _features
from tests.training import rectangles


def built(form):
  pyramid = residual_training.build(form, 'nas_fpn', num_repeats=2, num_filters=8)
  pyramid(_features())
  return pyramid


@pytest.mark.parametrize('form', [*residual_training.FORMS, *residual_training.LATER_RATES])
def test_how_it_begins(form):
  pyramid = built(form)
  projected = pyramid.project(_features())
  first, second = (list(stage.values()) for stage in pyramid.stage_outputs(_features()))

  def same(a, b):
    return all(np.allclose(x, y, atol=1e-6) for x, y in zip(a, b, strict=True))

  begins_with_zero = form.endswith(('gamma 0', 'scalar', 'rate'))
  assert same(first, second) == begins_with_zero
  assert same(projected, first) == (begins_with_zero and not form.startswith('later'))
  extra = 2 * 5 if form == 'cell, scalar' else 0
  assert pyramid.count_params() == built('published').count_params() + extra


@pytest.mark.parametrize('form, rate', residual_training.LATER_RATES.items())
def test_later_pyramids_learn_at_their_rate(form, rate):
  params = params_lib.load_params(None, 'digits_resnet10_nasfpnlite_2x48_256')
  params.trainer.optimizer_config.override({'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.0}}})
  pyramid = built(form)
  model = types.SimpleNamespace(decoder=pyramid)
  made = residual_training.build_optimizer(form, params, model)
  variables = [stage.trainable_variables[0] for stage in pyramid.stages]
  before = [variable.numpy() for variable in variables]
  made.apply_gradients([(tf.ones_like(variable), variable) for variable in variables])
  steps = [np.mean(old - variable.numpy()) for old, variable in zip(before, variables, strict=True)]
  assert steps[0] > 0 and steps[1] == pytest.approx(rate * steps[0], rel=1e-3)


def test_added_behind_the_last_cell_is_not_read_by_cells():
  cell, stage = (built(form) for form in ('cell, gamma 1', 'stage, gamma 0'))
  for pyramid in (cell, stage):
    for variable in pyramid.variables:
      variable.assign(0.1 * tf.ones_like(variable))
  outputs = zip(cell(_features()).values(), stage(_features()).values(), strict=True)
  differences = [float(tf.reduce_max(tf.abs(a - b))) for a, b in outputs]
  assert differences[1] > 1e-3, 'P4 reads P3'


def test_a_run_is_told_its_form(tmp_path, monkeypatch):
  programs = []

  def run(neck, seed, params, settings):
    programs.append((settings.program, settings.output_dir))
    return {'neck': neck.label, 'seed': seed, 'AP': 0.25 * len(programs), 'AP50': 0.5}

  monkeypatch.setattr(necks, 'run', run)
  monkeypatch.setattr(necks, '_input_filters', lambda model: {'3': 32, '4': 96, '5': 1280})
  prefix = rectangles.write(tmp_path)
  settings = necks.Settings(prefix, prefix, str(tmp_path), ['bccd_mobilenetv2_nasfpnlite_3x64_384x512'], seeds=(0, 1),
                            necks=('nas_fpn:1x16',), steps=2)  # fmt: skip
  residual_forms.compare(settings, ['published', 'cell, gamma 0.1'])
  assert programs[:2] == [
    (('-m', 'benchmarks.residual_training', 'published'), str(tmp_path / 'published')),
    (('-m', 'benchmarks.residual_training', 'cell, gamma 0.1'), str(tmp_path / 'cell_gamma_0_1')),
  ]
  assert '| nas_fpn_1x16 | published | 50.00 | 35.36 | 25.0, 75.0 | 50.00 |' in (tmp_path / 'forms.md').read_text()
  assert len(json.loads((tmp_path / 'records.json').read_text())) == 4
  with pytest.raises(ValueError, match=r"'cell' is none of published"):
    residual_forms.compare(settings, ['cell'])
