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

"""SpineNet's space: what it holds, counts, masks, encode and decode."""

import collections
import itertools
import math

import numpy as np
import pytest

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.backbones import BackboneSpace
from nasfpn_tf.topology import spinenet

TINY = {'intermediate_levels': (2, 3), 'min_level': 3, 'max_level': 4, 'offsets': (0, 1), 'window': 2}
SMALL = {**TINY, 'max_level': 3, 'blocks': ('residual',)}


def test_spinenet_49_is_a_point_of_the_space():
  space = BackboneSpace()
  tokens = space.encode(spinenet.SPINENET_49)
  assert space.decode(tokens).digest == spinenet.SPINENET_49.digest
  assert BackboneSpace(window=4).encode(spinenet.SPINENET_49)  # The widest step back is of four blocks.
  with pytest.raises(
    ValueError,
    match=r"'spinenet_49' is not in the space .*: token 3 is illegal at step 20 \(parent\); legal there: 4, 5",
  ):
    BackboneSpace(window=3).encode(spinenet.SPINENET_49)


def test_size_by_hand():
  """Parents, types, output orders; and the level sequences that permutations and offsets of (2, 3) reach."""
  space = BackboneSpace(**TINY)
  reached = {
    tuple(level + offset for level, offset in zip(order, moves, strict=True))
    for order in itertools.permutations((2, 3))
    for moves in itertools.product((0, 1), repeat=2)
  }
  parents = math.comb(2, 2) * math.comb(2, 2) * math.comb(4, 2) * math.comb(5, 2)
  assert space.size() == parents * len(reached) * math.factorial(2) * 2**4


def test_the_papers_space():
  """The published choices, with draws of block and offset that come to the same levels counted once."""
  space = BackboneSpace()
  parents = math.prod(math.comb(min(n, 5), 2) for n in range(2, 12)) * math.prod(math.comb(n, 2) for n in range(12, 17))
  rest = parents * math.factorial(5) * 2**15
  assert space.size() % rest == 0
  sequences = space.size() // rest
  draws = math.factorial(10) // (math.factorial(3) * math.factorial(5)) * 4**10
  assert math.factorial(10) // (math.factorial(3) * math.factorial(5)) < sequences < draws
  assert space.num_steps == 60


def test_size_is_the_number_of_distinct_backbones():
  space = BackboneSpace(**SMALL)
  found = [space.decode(tokens) for tokens in space.sequences()]
  assert len(found) == space.size() == len({spec.digest for spec in found})


def test_masks_and_counts_agree_on_every_prefix():
  space = BackboneSpace(**SMALL)
  for length in range(space.num_steps):
    begun = collections.Counter(tokens[: length + 1] for tokens in space.sequences())
    for prefix in {key[:-1] for key in begun}:
      counts = [begun[(*prefix, token)] for token in range(space.num_choices(length))]
      assert space.completions(prefix) == counts


def test_decode_and_encode_are_inverse():
  space, rng = BackboneSpace(), np.random.default_rng(0)
  for _ in range(20):
    tokens = space.sample(rng)
    spec = space.decode(tokens)
    assert space.encode(spec) == tokens
    assert space.read(spec.to_dict()) == spec
    assert list(spec.outputs) == [3, 4, 5, 6, 7]
    levels = sorted(block.level for block in spec.blocks[:10])
    moved = [level - base for level, base in zip(levels, space.intermediate_levels, strict=True)]
    assert set(moved) <= {-1, 0, 1, 2}


def test_levels_that_no_order_and_no_offsets_give_are_masked():
  space = BackboneSpace(**TINY)  # Levels 2, 3 and 4; of the two intermediate blocks one is at 2 or 3.
  assert space.legal((0, 1)).tolist() == [True, True, True]
  after_4 = (0, 1, 2, 0, 1, 2)
  assert space.legal(after_4).tolist() == [True, True, False]
  after_2 = (0, 1, 0, 0, 1, 2)
  assert space.legal(after_2).tolist() == [False, True, True]


def test_illegal_sequences_and_steps():
  space = BackboneSpace()
  assert not space.legal((1, 0)).any() and not space.legal((5,)).any()
  with pytest.raises(IndexError, match='there is no step 60'):
    space.kind(60)
  assert [space.kind(step) for step in range(4)] == ['parent', 'parent', 'level', 'block']


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'window': 1}, 'leaves fewer than two parents'),
    ({'offsets': (0, 2)}, 'consecutive whole numbers'),
    ({'offsets': (3,)}, r'outside the levels 1\.\.7'),
    ({'min_level': 5, 'max_level': 4}, 'are not within'),
    ({'blocks': ('mbconv',)}, 'must be one or more of'),
  ],
)
def test_a_space_with_no_sequence_is_an_error(options, message):
  with pytest.raises(SearchError, match=f'no legal sequence: .*{message}'):
    BackboneSpace(**options)


def test_a_sequence_is_sampled_from_everywhere():
  space, rng = BackboneSpace(**SMALL), np.random.default_rng(0)
  found = collections.Counter(space.sample(rng) for _ in range(20 * space.size()))
  assert set(found) == set(space.sequences())
