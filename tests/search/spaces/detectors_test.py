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

"""The joint space of detectors: counts, both ways between tokens and detectors, its cheapest, what it refuses."""

import numpy as np
import pytest

from nasfpn_tf import topology
from nasfpn_tf.search import searchers, spaces
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.detectors import DetectorSpace
from nasfpn_tf.search.spaces.pyramids import PyramidSpace

SPACE = DetectorSpace()
SMALL = DetectorSpace([64, [32, 128]], [[3, 4], [4, 5]], [1], [8, 16], [0, 1], 2, ('sum',))


def test_counts_are_those_of_an_enumeration():
  sequences = list(SMALL.sequences())
  assert len(sequences) == SMALL.size() == len({SMALL.decode(tokens).digest for tokens in sequences})
  assert SMALL.size() == 2 * 1 * 2 * 2 * 2 * PyramidSpace(2, 3, 4, ('sum',)).size()
  pyramids = PyramidSpace(7, 3, 6).size() + PyramidSpace(7, 3, 7).size()
  assert SPACE.size() == 3 * 4 * 4 * 3 * pyramids


def test_a_detector_comes_back_from_its_json():
  rng = np.random.default_rng(0)
  for _ in range(20):
    tokens = SPACE.sample(rng)
    detector = SPACE.decode(tokens)
    again = SPACE.read(detector.to_dict())
    assert again.digest == detector.digest and SPACE.encode(again) == tokens
    assert SPACE.drawing(detector.to_dict()).startswith('<svg')
  other = DetectorSpace(num_filters=(40,))
  with pytest.raises(ValueError, match=r'is not in the space .*: its num_filters is'):
    other.encode(detector)
  assert spaces.build(SPACE.to_json()).digest == SPACE.digest != other.digest


def test_an_architecture_is_changes_to_a_training():
  model = SMALL.decode(SMALL.sequence(SMALL.size() - 1)).to_dict()['task']['model']
  assert model['input_size'] == [32, 128, 3] and (model['min_level'], model['max_level']) == (4, 5)
  pyramid = model['decoder']['feature_pyramid']
  assert (pyramid['num_repeats'], pyramid['num_filters']) == (1, 16)
  assert model['head'] == {'num_convs': 1, 'num_filters': 16}
  assert topology.PyramidSpec.from_json(pyramid['topology']).levels == range(4, 6)


def test_features_have_one_length_and_tell_all_detectors_apart():
  features = np.stack([SMALL.features(tokens) for tokens in SMALL.sequences()])
  assert len(np.unique(features, axis=0)) == SMALL.size()


def test_the_cheapest_has_the_fewest_multiply_adds_of_its_levels():
  space = DetectorSpace([64], [[3, 4], [3, 5]], [1], [8], [1], 4)

  def cost(tokens):
    spec = space.decode(tokens).pyramid
    return topology.multiply_adds(spec, 1, 8, (64, 64), {3: 8, 4: 8, 5: 8})

  cheapest = [cost(tokens) for tokens in space.cheapest()]
  rng = np.random.default_rng(0)
  assert min(cheapest) <= min(cost(space.sample(rng)) for _ in range(200))


@pytest.mark.parametrize('kind', searchers.SEARCHERS)
def test_every_searcher_searches_it(kind):
  searcher = searchers.build(kind, SMALL, 0)
  assert all(SMALL.check(trial.tokens) for trial in searcher.propose(0, 3))


@pytest.mark.parametrize(
  'options, message',
  [
    ({'input_size': [100]}, r'input_size \[100, 100\] is not a multiple of 128'),
    ({'input_size': []}, r'input_size \[\] must be one or more numbers of pixels'),
    ({'input_size': ['256']}, 'input_size .* must be'),
    ({'levels': [[3, 4, 5]]}, 'levels .* must be one or more pairs'),
    ({'levels': [[5, 3]]}, 'leave no range of levels'),
    ({'num_filters': [64, 64]}, 'num_filters .* each once'),
    ({'num_repeats': [0]}, 'num_repeats .* positive whole numbers'),
    ({'num_convs': [1.5]}, 'num_convs .* must be'),
    ({'num_filters': [10**9]}, 'num_filters .* up to 65536'),
    ({'input_size': [2**30]}, 'input_size .* up to 65536'),
    ({'levels': [[3, 60000]]}, r'leave no range of levels within 0\.\.20'),
    ({'num_cells': 3}, 'raise num_cells'),
    ({'ops': ['product']}, 'ops'),
  ],
)
def test_impossible_options_are_named(options, message):
  with pytest.raises(SearchError, match=message):
    spaces.build({'name': 'detector', **options})
