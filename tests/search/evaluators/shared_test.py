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

"""Shared weights: the same detector as one built alone, weights that stay, statistics that fit, resuming."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf import topology
from nasfpn_tf.modeling import detector
from nasfpn_tf.search.evaluators import resident, shared
from nasfpn_tf.search.evaluators.bank import Bank
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.backbones import BackboneSpace
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Trial
from nasfpn_tf.training import checkpoints, preemption, recipe
from tests.training import rectangles

SPACE = PyramidSpace(num_cells=5, min_level=4, max_level=7)
MODEL = {'min_level': 4, 'max_level': 7, 'decoder': {'feature_pyramid': {'num_repeats': 2}}}
SPECS = [SPACE.decode(SPACE.sample(np.random.default_rng(seed))) for seed in range(3)]


def trial(number):
  return Trial.of(SPACE, number, SPACE.encode(SPECS[number]))


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=4)


def config(prefix, model=MODEL, **keys):
  """As the evaluator's part of a search configuration, which is JSON."""
  params = rectangles.experiment(prefix, task={'model': model})
  common = {
    'task': params.task.as_dict(),
    'trainer': params.trainer.as_dict(),
    'runtime': {'mixed_precision_dtype': 'float32'},
  }
  ours = {'seed': 1, 'warm_up_steps': 3, 'steps_per_trial': 1, 'calibration_batches': 2}
  return json.loads(json.dumps({'params_override': common, **ours, **keys}))


@pytest.fixture(scope='module')
def search(prefix, tmp_path_factory):
  """(search directory, measurements of three trials, shared weights)."""
  directory = tmp_path_factory.mktemp('search')
  found = [shared.evaluate(trial(i), str(directory / 'trials' / f'{i:06d}'), config(prefix), SPACE) for i in range(3)]
  weights = next(iter(resident._resident.values()))
  return directory, found, weights


def test_trials_are_measured_and_the_bank_is_kept(search):
  directory, found, weights = search
  assert [m.status for m in found] == ['ok'] * 3 and all(m.ap == m.reward and m.cost > 0 for m in found)
  assert weights.step == 3 + 3
  assert [path.name for path in (directory / 'shared_weights').glob('*.index')] == ['ckpt-6.index']


def test_another_process_goes_on_with_the_same_weights(search, prefix):
  directory, found, weights = search
  again = shared.SharedWeights({**config(prefix), 'bank_dir': str(directory / 'shared_weights')}, SPACE, SPECS[0])
  again.train(2)  # Nothing is left to train for this trial.
  assert again.step == 6
  for variable, value in zip(again._bank.trainable_variables, weights._bank.trainable_variables, strict=True):
    np.testing.assert_array_equal(variable.numpy(), value.numpy())
  assert again.average_precision(SPECS[2]) == pytest.approx(found[2].ap, abs=1e-6)


def check_is_the_detector_built_alone(weights, spec):
  """The bank's detector with a pyramid computes what one does that is built with it and has the same weights."""
  bank = weights._bank
  bank.choose(spec)
  params = weights.child.experiment_of(spec.to_dict())
  alone = detector.build_detector(recipe.complete(params, 'train').params.task.model)
  assert len(bank.detector.variables) == len(alone.variables)
  for part in ('backbone', 'head'):
    getattr(alone, part).set_weights(getattr(bank.detector, part).get_weights())
  alone.decoder.projection.set_weights(bank.detector.decoder.projection.get_weights())
  for mine, theirs in zip(alone.decoder.stages, bank.detector.decoder.stages, strict=True):
    assert mine.residual == theirs.residual
    for cell, source in zip(mine.cells, theirs.cells, strict=True):
      cell.conv_norm.conv.set_weights(source.conv_norm.conv.get_weights())
      cell.conv_norm.norm.set_weights(source.conv_norm.norm.get_weights())
  images = tf.random.stateless_normal([2, rectangles.SIZE, rectangles.SIZE, 3], seed=[1, 2])
  a, b = alone(images, training=True), bank.detector(images, training=True)
  for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4)


def test_a_child_is_the_detector_that_would_be_built_alone(search):
  check_is_the_detector_built_alone(search[2], SPECS[1])


def test_children_share_convolutions_and_the_norms_of_equal_levels(search):
  bank = search[2]._bank
  units = []
  for spec in SPECS:
    bank.choose(spec)
    units.append([cell.conv_norm for cell in bank.detector.decoder.stages[1].cells])
  all_levels = [[cell.level for cell in spec.cells] for spec in SPECS]
  same_level = 0
  for a, b, levels_a, levels_b in zip(units, units[1:], all_levels, all_levels[1:], strict=False):
    for x, y, level_x, level_y in zip(a, b, levels_a, levels_b, strict=True):
      assert x.conv is y.conv
      assert (x.norm is y.norm) == (level_x == level_y)
      same_level += level_x == level_y
  assert 0 < same_level < 2 * len(units[0])
  kernels = {id(unit.conv) for unit in units[0]}
  assert len(kernels) == len(units[0]), 'every position has a convolution of its own'


@pytest.mark.parametrize('separable', [False, True], ids=['dense', 'separable'])
def test_in_a_new_bank_channels_mean_the_same_before_and_after_a_cell(prefix, separable):
  tf_keras.utils.set_random_seed(0)
  params = rectangles.experiment(prefix, task={'model': MODEL})
  model = recipe.complete(params, 'train').params.task.model
  model.decoder.feature_pyramid.use_separable_conv = separable
  bank = Bank(detector.build_detector(model))
  image = np.random.default_rng(0).normal(size=[1, 32, 32, model.decoder.feature_pyramid.num_filters])
  for stage in bank.detector.decoder.stages:
    for cell in stage.cells:
      before, after = (np.reshape(values, [-1, image.shape[-1]]) for values in (image, cell.conv_norm.conv(image)))
      correlations = np.corrcoef(before.T, after.T)[: image.shape[-1], image.shape[-1] :]
      assert np.diag(correlations).min() > 0.5
      assert np.abs(correlations - np.diag(np.diag(correlations))).max() < 0.5


RESIDUAL = {**MODEL, 'decoder': {'feature_pyramid': {'num_repeats': 2, 'residual': True}}}


def test_in_the_space_a_cell_is_an_output_in_every_pyramid_or_in_none():
  """So that a batch norm of a residual bank, which begins with gamma 0 at outputs, is never at both."""
  for space in (SPACE, PyramidSpace(), PyramidSpace(num_cells=9)):
    specs = [space.decode(space.sample(np.random.default_rng(seed))) for seed in range(20)]
    outputs = {tuple(cell.is_output for cell in spec.cells) for spec in specs}
    num_inner = space.num_cells - specs[0].num_levels
    assert outputs == {(False,) * num_inner + (True,) * specs[0].num_levels}


@pytest.mark.slow
def test_residual_pyramids_share_weights(prefix, tmp_path):
  keys = config(prefix, RESIDUAL, warm_up_steps=2)
  weights = shared.SharedWeights({**keys, 'bank_dir': str(tmp_path / 'bank')}, SPACE, SPECS[0])
  stages = weights._bank.detector.decoder.stages
  for spec in SPECS:  # Untrained, a pyramid of any topology passes on what it is given.
    weights._bank.choose(spec)
    stages = weights._bank.detector.decoder.stages
    gammas = [[float(tf.reduce_max(cell.conv_norm.norm.gamma)) for cell in stage.cells] for stage in stages]
    assert gammas == [[0.0 if cell.is_output else 1.0 for cell in spec.cells]] * 2
    features = [
      tf.random.stateless_normal([1, side, side, stages[0].cells[0].conv_norm.conv.filters], seed=[side, 0])
      for side in (8, 4, 2, 1)
    ]
    for given, found in zip(features, stages[0](features, training=False), strict=True):
      np.testing.assert_allclose(found, given, atol=1e-6)
  found = [shared.evaluate(trial(i), str(tmp_path / 'trials' / f'{i:06d}'), keys, SPACE) for i in range(2)]
  assert [m.status for m in found] == ['ok'] * 2 and all(m.cost > 0 for m in found)
  trained = next(iter(resident._resident.values()))
  gammas = [tf.reduce_max(tf.abs(cell.conv_norm.norm.gamma)) for cell in trained._bank.detector.decoder.stages[0].cells]
  assert all(gamma > 0 for gamma in gammas)
  check_is_the_detector_built_alone(trained, SPECS[2])


def test_what_belongs_to_one_pyramid_is_not_shared(prefix, tmp_path):
  each_edge = {**MODEL, 'decoder': {'feature_pyramid': {'num_repeats': 2, 'project_each_edge': True}}}
  with pytest.raises(SearchError, match=r'unset task\.model\.decoder\.feature_pyramid\.project_each_edge'):
    shared.SharedWeights({**config(prefix, each_edge), 'bank_dir': str(tmp_path)}, SPACE, SPECS[0])
  weights = shared.SharedWeights({**config(prefix, RESIDUAL), 'bank_dir': str(tmp_path)}, SPACE, SPECS[0])
  first_output = topology.PyramidSpec(
    'other',
    4,
    7,
    [
      topology.CellSpec(4, 'sum', (0, 1), is_output=True),
      topology.CellSpec(5, 'sum', (1, 4)),
      *(topology.CellSpec(level, 'sum', (level - 4, 5), is_output=True) for level in (5, 6, 7)),
    ],
  )
  with pytest.raises(SearchError, match='outputs in other cells than the shared weights of a residual pyramid'):
    weights._choose(first_output)


def test_statistics_depend_on_weights_and_images_alone(search):
  bank = search[2]._bank
  rng = np.random.default_rng(0)
  batches = [tf.constant(rng.normal(size=[2, rectangles.SIZE, rectangles.SIZE, 3]), tf.float32) for _ in range(2)]
  backbone = bank.detector.backbone.get_weights()

  def statistics(spec):
    bank.choose(spec)
    bank.calibrate(batches)
    return [v.numpy() for v in bank.detector.decoder.non_trainable_variables]

  first = statistics(SPECS[0])
  other = statistics(SPECS[1])
  again = statistics(SPECS[0])
  for a, b in zip(first, again, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
  assert any(a.shape != b.shape or np.abs(a - b).max() > 1e-3 for a, b in zip(first, other, strict=True))
  for a, b in zip(backbone, bank.detector.backbone.get_weights(), strict=True):
    np.testing.assert_array_equal(a, b)


def test_statistics_of_one_batch_are_its_own(search):
  """With them, inference is what training sees, but for the variance's n / (n - 1)."""
  bank = search[2]._bank
  bank.choose(SPECS[0])
  images = tf.random.stateless_normal([4, rectangles.SIZE, rectangles.SIZE, 3], seed=[3, 4])
  features = {key: tf.identity(value) for key, value in bank.detector.backbone(images, training=True).items()}
  wanted = bank.detector.decoder.project(features, training=True)
  bank.calibrate([images])
  features = bank.detector.backbone(images, training=True)
  found = bank.detector.decoder.project(features, training=False)
  np.testing.assert_allclose(found[0], wanted[0], atol=0.02)


def test_a_stopped_training_of_the_bank_saves_and_goes_on(search, prefix, tmp_path, monkeypatch):
  weights = search[2]
  before = weights.step
  with monkeypatch.context() as patched:
    patched.setattr(preemption.Preemption, 'exit_if_told', lambda self, save: (save(), exit(preemption.EXIT_CODE)))
    with pytest.raises(SystemExit, match='42'):
      weights.train(6)
  assert before < weights.step < 3 + 7
  assert checkpoints.step_of(checkpoints.newest_intact(str(search[0] / 'shared_weights'))) == weights.step
  weights.train(6)
  assert weights.step == 3 + 7


def test_what_cannot_be_shared_ends_the_search(search, prefix, tmp_path):
  weights = search[2]
  with pytest.raises(SearchError, match=r'has 4 cells .* are for 5'):
    space = PyramidSpace(num_cells=4, min_level=4, max_level=7)
    weights.average_precision(space.decode(space.sample(np.random.default_rng(0))))
  with pytest.raises(SearchError, match='weighted_sum has weights'):
    space = PyramidSpace(num_cells=5, min_level=4, max_level=7, ops=('weighted_sum',))
    weights.average_precision(space.decode(space.sample(np.random.default_rng(0))))
  for keys, message in (
    ({'warm_up_steps': -1}, 'warm_up_steps is -1'),
    ({'steps_per_trial': '5'}, 'must be an integer'),
    ({'warmup_steps': 1}, "'warmup_steps' does"),
    ({'reward': {'target': 1e3, 'exponent': -0.1}}, "no architecture of the space 'nasfpn' costs 1000 multiply_adds"),
  ):
    with pytest.raises(SearchError, match=message):
      shared.evaluate(trial(0), str(tmp_path / 'trials' / '0'), config(prefix, **keys), SPACE)


def test_a_start_that_is_missing_or_of_another_model_ends_the_search(search, prefix, tmp_path):
  bank = checkpoints.newest_intact(str(search[0] / shared.BANK_DIR))
  work_dir = str(tmp_path / 'trials' / '0')
  for start, message in (('absent', r'absent is not a checkpoint'), (bank, r'does not fit the model')):
    keys = config(prefix)
    keys['params_override']['task']['init_checkpoint'] = str(start)
    with pytest.raises(SearchError, match=message):
      shared.evaluate(trial(0), work_dir, keys, SPACE)


def test_former_configurations_repeat_the_operations_of_the_space(search, prefix, tmp_path):
  directory, _, weights = search
  keys = config(prefix, ops=['global_pooling', 'sum'], bank_dir=str(directory / 'shared_weights'))
  assert shared.SharedWeights(keys, SPACE, SPECS[0])._space is weights._space is SPACE
  for ops in (['sum'], 'sum', ['sum', 'global_pooling', 'weighted_sum'], [1]):
    with pytest.raises(SearchError, match=r'ops is .*, but the operations of the space .*: remove evaluator\.ops'):
      shared.evaluate(trial(0), str(tmp_path / 'trials' / '0'), config(prefix, ops=ops), SPACE)


def test_backbones_share_no_weights(prefix, tmp_path):
  space = BackboneSpace()
  sample = Trial.of(space, 0, space.sample(np.random.default_rng(0)))
  with pytest.raises(SearchError, match="shared supports spaces of pyramids, not 'spinenet'; choose proxy"):
    shared.evaluate(sample, str(tmp_path / 'trials' / '0'), config(prefix), space)
