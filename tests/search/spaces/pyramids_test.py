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

"""NAS-FPN's space: counts, masks, exact uniform samples, encode and decode."""

import collections
import dataclasses
import itertools

import numpy as np
import pytest

from nasfpn_tf import topology
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.spaces.pyramids import PyramidSpace

OPTIONS = [
  {},
  {'num_cells': 14},
  {'num_cells': 15, 'ops': ('sum',)},
  {'num_cells': 5},
  {'num_cells': 6, 'min_level': 2, 'max_level': 6},
  {'num_cells': 4, 'min_level': 4, 'max_level': 5, 'ops': topology.OPS},
]
TINY = {'num_cells': 3, 'min_level': 3, 'max_level': 4}


def spaces(options=OPTIONS):
  return pytest.mark.parametrize('space', [PyramidSpace(**o) for o in options], ids=[str(o) for o in options])


def test_the_papers_space_has_1_93e15_pyramids():
  assert PyramidSpace().size() == 1_931_334_451_200_000
  assert PyramidSpace().num_steps == 28


def test_size_is_the_number_of_distinct_pyramids():
  space = PyramidSpace(**TINY)
  found = [space.decode(tokens) for tokens in space.sequences()]
  assert len(found) == space.size() == len({spec.digest for spec in found})


def test_size_is_what_brute_force_finds():
  """All token strings, of which those that make a pyramid by the rules of sec. 3.1 are counted."""
  space, count = PyramidSpace(**TINY), 0
  choices = [range(space.num_choices(step)) for step in range(space.num_steps)]
  for tokens in itertools.product(*choices):
    cells = [tokens[4 * i : 4 * i + 4] for i in range(3)]
    ascending = all(first < second for first, second, _, _ in cells)
    count += ascending and cells[0][2] != 0 and {cells[1][2], cells[2][2]} == {0, 1}
  assert count == space.size()


def test_the_cheapest_has_the_fewest_multiply_adds():
  space = PyramidSpace(**TINY)

  def cost(tokens):
    return topology.multiply_adds(space.decode(tokens), 1, 8, (64, 64), {3: 8, 4: 8})

  assert min(map(cost, space.cheapest())) == min(map(cost, space.sequences()))


def test_masks_and_counts_agree_on_every_prefix():
  space = PyramidSpace(**TINY)
  for length in range(space.num_steps):
    begun = collections.Counter(tokens[: length + 1] for tokens in space.sequences())
    for prefix in {key[:-1] for key in begun}:
      counts = space.completions(prefix)
      assert counts == [begun[(*prefix, token)] for token in range(space.num_choices(length))]
      assert space.legal(prefix).tolist() == [count > 0 for count in counts]


@spaces()
def test_decode_and_encode_are_inverse(space):
  rng = np.random.default_rng(0)
  for _ in range(20):
    tokens = space.sample(rng)
    spec = space.decode(tokens)
    assert space.encode(spec) == tokens
    assert space.decode(space.encode(spec)) == spec
    assert space.read(spec.to_dict()) == spec
    assert len(spec.cells) == space.num_cells


def test_nas_fpn_is_a_point_of_the_space():
  space = PyramidSpace()
  tokens = space.encode(topology.NAS_FPN)
  assert tokens[:8] == (1, 3, 1, 1, 1, 5, 1, 0)
  assert space.decode(tokens).digest == topology.NAS_FPN.digest


def test_samples_are_uniform():
  """A chi-squared test against all 216 pyramids of a tiny space; seeded, and far from its limit."""
  space = PyramidSpace(**{**TINY, 'ops': ('sum',)})
  rng, per_sequence = np.random.default_rng(1), 50
  found = collections.Counter(space.sample(rng) for _ in range(per_sequence * space.size()))
  assert set(found) == set(space.sequences())
  statistic = sum((n - per_sequence) ** 2 / per_sequence for n in found.values())
  freedom = space.size() - 1
  assert abs(statistic - freedom) < 4 * (2 * freedom) ** 0.5


@spaces()
def test_the_first_and_the_last_sequence(space):
  for index in (0, space.size() - 1):
    space.check(space.sequence(index))
  with pytest.raises(ValueError, match='there is no number'):
    space.sequence(space.size())


@spaces()
def test_illegal_prefixes_go_nowhere(space):
  for prefix in [(0, 0), (1, 0), (99,), (-1,)]:
    assert not space.legal(prefix).any()
  if space.num_cells > space.max_level - space.min_level + 1:
    assert not space.legal((0, 1, 0)).any()  # The finest level is not for intermediate cells.


def test_an_illegal_sequence_is_named_by_its_step():
  space = PyramidSpace()
  tokens = list(space.encode(topology.NAS_FPN))
  tokens[9] = tokens[8]
  with pytest.raises(ValueError, match=r'token 0 is illegal at step 9 \(input\); legal there: 1, 2, 3, 4, 5, 6'):
    space.decode(tokens)
  with pytest.raises(ValueError, match='a sequence has 28 tokens, not 4'):
    space.decode(tokens[:4])


def test_kinds_and_vocabularies():
  space = PyramidSpace()
  assert [space.kind(step) for step in range(4)] == ['input', 'input', 'level', 'op']
  assert [space.num_choices(step) for step in range(8)] == [5, 5, 5, 2, 6, 6, 5, 2]
  with pytest.raises(IndexError, match='there is no step 28'):
    space.kind(28)


@pytest.mark.parametrize(
  ('name', 'message'),
  [('fpn', 'has 5 cells, not 7'), ('panet', 'has 8 cells'), ('bifpn', 'has 8 cells')],
)
def test_pyramids_outside_the_space(name, message):
  with pytest.raises(ValueError, match=f'{name!r} is not in the space .*{message}'):
    PyramidSpace().encode(topology.get(name))


@pytest.mark.parametrize(
  ('index', 'change', 'message'),
  [
    (0, {'inputs': (3, 1)}, r'the inputs of cell 0, \(3, 1\), are no pair in ascending order'),
    (1, {'inputs': (1, 2, 5)}, r'the inputs of cell 1, \(1, 2, 5\)'),
    (1, {'op': 'weighted_sum'}, 'the op of cell 1 is weighted_sum'),
    (0, {'level': 3}, r'token 0 is illegal at step 2 \(level\); legal there: 1, 2, 3, 4'),
  ],
)
def test_a_cell_outside_the_space(index, change, message):
  cells = list(topology.NAS_FPN.cells)
  cells[index] = dataclasses.replace(cells[index], **change)
  with pytest.raises(ValueError, match=f"pyramid 'mine' is not in the space 'nasfpn': .*{message}"):
    PyramidSpace().encode(topology.PyramidSpec('mine', 3, 7, cells))


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'num_cells': 4}, '4 cells have no legal sequence: levels 3..7 need 5 output cells'),
    ({'min_level': 5, 'max_level': 5}, 'leave no range of levels'),
    ({'max_level': 10**9, 'num_cells': 10**9}, r'leave no range of levels within 0\.\.20'),
    ({'num_cells': 10**9}, 'num_cells 1000000000 is more than 100'),
    ({'ops': ()}, 'must be one or more of'),
    ({'ops': ('sum', 'mean')}, 'must be one or more of'),
    ({'ops': ('sum', 'sum')}, 'each once'),
  ],
)
def test_a_space_with_no_sequence_is_an_error(options, message):
  with pytest.raises(SearchError, match=message):
    PyramidSpace(**options)


def test_the_digest_tells_spaces_apart():
  assert len({PyramidSpace(**options).digest for options in OPTIONS}) == len(OPTIONS)
  options = PyramidSpace(num_cells=9).to_json()
  assert options.pop('name') == 'nasfpn'
  assert PyramidSpace(**options).digest == PyramidSpace(num_cells=9).digest


def test_features_tell_what_a_pyramid_does_whatever_the_order_of_its_cells():
  space, tokens = PyramidSpace(), []
  for first, second in ((0, 1), (1, 0)):  # Two inner cells that do not use each other, in both orders.
    pairs = [((0, 1), 1, 0), ((2, 3), 2, 1)]
    outputs = [((0, 4), level, 0) for level in range(5)]
    cells = [pairs[first], pairs[second], *outputs]
    tokens.append(tuple(token for pair, level, op in cells for token in (*pair, level, op)))
  one, two = (space.features(space.check(sequence)) for sequence in tokens)
  num_tokens = sum(space.num_choices(step) for step in range(space.num_steps))
  assert one.dtype == np.float32 and one.shape == two.shape
  assert (one[num_tokens:] == two[num_tokens:]).all() and (one[:num_tokens] != two[:num_tokens]).any()
  assert one[:num_tokens].sum() == space.num_steps


def test_features_have_the_lengths_of_paths():
  space = PyramidSpace(num_cells=2, min_level=3, max_level=4, ops=('sum',))
  # P4 = sum(P3, P4), then P3 = sum(P3, the new P4).
  features = space.features(space.check((0, 1, 1, 0, 0, 2, 0, 0)))
  # From P3, P4 to P3, P4 (merged features), shortest paths of P3 and P4, longest paths, inputs by level, ops.
  assert features[-13:].tolist() == [1, 1, 1, 1, 1, 2, 1, 1, 2, 1, 2, 2, 2]
