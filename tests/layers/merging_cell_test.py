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

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.layers.merging_cell import MergingCell
from nasfpn_tf.layers.resample import resample
from tests import testing

WIDTH = 4


def _features(*levels, seed=0, finest_side=16):
  rng = np.random.default_rng(seed)
  sides = [finest_side >> (level - 3) for level in levels]
  return [rng.normal(size=[2, side, side, WIDTH]).astype('float32') for side in sides]


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _merged(cell, features):
  """What the cell convolves, before its activation."""
  seen = []
  cell._activation = lambda x: seen.append(x) or tf.nn.relu(x)
  cell(features)
  return seen[0].numpy()


@pytest.mark.parametrize(
  ('level', 'op', 'input_levels', 'num_joined'),
  [
    (4, 'sum', (4, 6), 0),
    (5, 'sum', (3, 4), 1),
    (7, 'sum', (7,), 0),
    (4, 'global_pooling', (4, 6), 0),
    (5, 'global_pooling', (3, 4), 1),
    (4, 'global_average_pooling', (4, 6), 0),
    (4, 'weighted_sum', (4, 3, 5), 0),
  ],
)
def test_keeps_the_layer_contract(level, op, input_levels, num_joined):
  side = 16 >> (level - 3)
  testing.run_layer_test(
    MergingCell,
    {
      'level': level, 'op': op, 'input_levels': input_levels, 'num_filters': WIDTH, 'num_joined': num_joined,
      'dropblock_keep_prob': 0.9, 'activation': 'relu6', 'kernel_regularizer': 'l2',
    },
    _features(*input_levels, *[level] * num_joined),
    (2, side, side, WIDTH),
  )  # fmt: skip


@pytest.mark.parametrize('levels', [(3, 5), (5, 3), (6, 5), (3, 4), (4, 4)])
def test_sum(levels):
  features = _features(*levels)
  expected = sum(np.asarray(resample(f, level, 4)) for f, level in zip(features, levels, strict=True))
  np.testing.assert_allclose(_merged(MergingCell(4, 'sum', levels, WIDTH), features), expected, atol=1e-6)


@pytest.mark.parametrize('levels', [(3, 5), (5, 3), (6, 5), (5, 6), (3, 4), (4, 3), (4, 4), (3, 3), (6, 6)])
def test_attention_of_global_pooling_comes_from_the_coarser_input_or_else_the_first(levels):
  features = _features(*levels)
  pairs = list(zip(features, levels, strict=True))
  if levels[0] < levels[1]:
    pairs.reverse()
  coarse, fine = (np.asarray(resample(f, level, 4)) for f, level in pairs)
  expected = coarse + fine * _sigmoid(pairs[0][0].max(axis=(1, 2), keepdims=True))
  cell = MergingCell(4, 'global_pooling', levels, WIDTH)
  np.testing.assert_allclose(_merged(cell, features), expected, atol=1e-6)


@pytest.mark.parametrize('levels', [(6, 3), (3, 6), (5, 4), (4, 4)])
def test_attention_of_global_average_pooling_comes_from_the_finer_input_or_else_the_second(levels):
  features = _features(*levels)
  pair = [np.asarray(resample(f, level, 4)) for f, level in zip(features, levels, strict=True)]
  fine, coarse = pair if levels[0] < levels[1] else reversed(pair)
  expected = fine + coarse * _sigmoid(fine.mean(axis=(1, 2), keepdims=True))
  cell = MergingCell(4, 'global_average_pooling', levels, WIDTH)
  np.testing.assert_allclose(_merged(cell, features), expected, atol=1e-6)


def test_weighted_sum_normalises_the_learned_weights():
  features = _features(4, 3, 5)
  cell = MergingCell(4, 'weighted_sum', (4, 3, 5), WIDTH)
  cell(features)
  resampled = [np.asarray(resample(f, level, 4)) for f, level in zip(features, (4, 3, 5), strict=True)]
  np.testing.assert_allclose(_merged(cell, features), sum(resampled) / 3.0001, atol=1e-6)
  cell.fusion_weights.assign([1.0, -2.0, 3.0])
  expected = (1.0 * resampled[0] + 3.0 * resampled[2]) / 4.0001
  np.testing.assert_allclose(_merged(cell, features), expected, atol=1e-6)


def test_joined_features_are_added_after_the_merge():
  features = _features(4, 6, 4, 4)
  without = _merged(MergingCell(4, 'global_pooling', (4, 6), WIDTH), features[:2])
  cell = MergingCell(4, 'global_pooling', (4, 6), WIDTH, num_joined=2)
  np.testing.assert_allclose(_merged(cell, features), without + features[2] + features[3], atol=1e-6)


def test_order_within_the_cell_is_activation_convolution_norm_dropblock():
  features = _features(4, 4)
  cell = MergingCell(4, 'sum', (4, 4), WIDTH, dropblock_keep_prob=0.5, dropblock_size=2)
  cell(features)
  convolved = cell.conv_norm(tf.nn.relu(features[0] + features[1]), training=True)
  trained = cell(features, training=True).numpy()
  assert (trained == 0).any()
  kept = trained != 0
  np.testing.assert_allclose(trained[kept], 2 * convolved.numpy()[kept], rtol=1e-5)
  assert (cell(features, training=False).numpy() < 0).any(), 'there is no activation after the norm'


def test_without_dropblock_there_is_no_such_layer():
  assert MergingCell(4, 'sum', (4, 4), WIDTH).dropblock is None


def test_bad_cells_are_explained():
  with pytest.raises(ValueError, match=r"op 'mean' is unknown.*global_pooling"):
    MergingCell(4, 'mean', (4, 4), WIDTH)
  with pytest.raises(ValueError, match=r'global_pooling takes exactly two inputs, not 3'):
    MergingCell(4, 'global_pooling', (4, 4, 5), WIDTH)
  with pytest.raises(ValueError, match=r'takes 3 features, 2 were given'):
    MergingCell(4, 'sum', (4, 4), WIDTH, num_joined=1)(_features(4, 4))
  with pytest.raises(ValueError, match=r'num_filters=8 channels, not \[4, 4\]'):
    MergingCell(4, 'sum', (4, 4), 8)(_features(4, 4))
