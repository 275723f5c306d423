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

"""The searchers: what they promise the loop, and how well they search a synthetic reward of known best."""

import numpy as np
import pytest

from nasfpn_tf.search import searchers
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.searchers.synthetic import Likeness, Mixing
from nasfpn_tf.search.spaces.pyramids import PyramidSpace
from nasfpn_tf.search.trial import Measurement, Trial

TINY = PyramidSpace(num_cells=3, min_level=3, max_level=4)  # 288 pyramids.
SMALL = PyramidSpace(num_cells=4, min_level=3, max_level=5)  # 518,400 pyramids.
KINDS = {
  'ppo': {'batch_size': 6},
  'evolution': {'population_size': 10, 'tournament_size': 4},
  'predictor': {'num_initial': 8, 'num_candidates': 5, 'num_trees': 4},
  'random': {},
}

every_kind = pytest.mark.parametrize('kind', KINDS)


def search(searcher, reward, num_trials, first_id=0, at_once=1):
  """Proposes and observes `at_once` trials at a time; returns trials and rewards."""
  trials = []
  for i in range(first_id, first_id + num_trials, at_once):
    proposed = searcher.propose(i, at_once)
    searcher.observe([(trial, Measurement(reward(trial.tokens))) for trial in proposed])
    trials += proposed
  return trials, np.array([reward(trial.tokens) for trial in trials])


@every_kind
def test_keeps_the_contract_of_a_searcher(kind):
  searcher = searchers.build(kind, TINY, 5, KINDS[kind])
  reward = Likeness(TINY, 0)
  for first_id in range(0, 40, 4):
    before = searcher.state()
    trials = searcher.propose(first_id, 4)
    assert searcher.propose(first_id, 4) == trials and searcher.state() == before
    # One by one, and in another order, the trials are the same.
    assert [searcher.propose(i, 1)[0] for i in reversed(range(first_id, first_id + 4))] == trials[::-1]
    assert [trial.id for trial in trials] == list(range(first_id, first_id + 4))
    assert all(trial == Trial.from_json(trial.to_json()) for trial in trials)
    assert all(TINY.decode(trial.tokens).digest == trial.digest for trial in trials)
    searcher.observe([(trial, Measurement(reward(trial.tokens))) for trial in trials])


@every_kind
def test_a_restored_searcher_goes_on_bit_for_bit(kind):
  reward = Likeness(TINY, 1)
  uninterrupted = searchers.build(kind, TINY, 3, KINDS[kind])
  expected, _ = search(uninterrupted, reward, 40)
  for stop in (0, 1, 9, 12, 25):
    first = searchers.build(kind, TINY, 3, KINDS[kind])
    search(first, reward, stop)
    second = searchers.build(kind, TINY, 3, KINDS[kind])
    second.restore(first.state())
    assert second.state() == first.state()
    trials, _ = search(second, reward, 40 - stop, first_id=stop)
    assert trials == expected[stop:]
    assert second.state() == uninterrupted.state()


@every_kind
def test_observing_twice_comes_to_the_same_as_once(kind):
  one, two = (searchers.build(kind, TINY, 3, KINDS[kind]) for _ in range(2))
  results = [(trial, Measurement(0.01 * trial.id)) for trial in one.propose(0, 17)]
  one.observe(results)
  two.observe(results[:5])
  two.observe(results[5:])
  assert one.state() == two.state()


@every_kind
def test_another_seed_searches_elsewhere(kind):
  reward = Likeness(SMALL, 0)
  found = [search(searchers.build(kind, SMALL, seed, KINDS[kind]), reward, 10)[0] for seed in (0, 1)]
  assert [trial.tokens for trial in found[0]] != [trial.tokens for trial in found[1]]


@every_kind
def test_failures_are_observed_too(kind):
  searcher = searchers.build(kind, TINY, 0, KINDS[kind])
  searcher.observe([(trial, Measurement.failure('NaN')) for trial in searcher.propose(0, 30)])
  assert searcher.propose(30, 3)


def compare_with_random_search(space, num_trials, num_seeds):
  """The best rewards that PPO and random search find with each seed, which ends when PPO has found 95 % of the best."""
  found, by_chance = [], []
  for seed in range(num_seeds):
    reward = Likeness(space, seed)
    searcher, best, i = searchers.PolicySearch(space, seed), 0.0, 0
    while best < 0.95 and i < num_trials:
      best = max(best, *search(searcher, reward, 20, first_id=i, at_once=20)[1])
      i += 20
    found.append(best)
    by_chance.append(max(reward(space.sample(np.random.default_rng((seed, i)))) for i in range(num_trials)))
  return found, by_chance


def test_ppo_finds_95_percent_of_the_best_in_600_samples_of_a_space_of_518_400():
  assert SMALL.size() == 518_400
  found, by_chance = compare_with_random_search(SMALL, 600, num_seeds=4)
  assert min(found) >= 0.95 > max(by_chance)


@pytest.mark.slow
def test_ppo_finds_95_percent_of_the_best_in_1000_samples_of_the_papers_space():
  found, by_chance = compare_with_random_search(PyramidSpace(), 1000, num_seeds=10)
  assert min(found) >= 0.95 and max(by_chance) < 0.6


def test_evolution_beats_random_search():
  found, by_chance = [], []
  for seed in range(6):
    reward = Likeness(SMALL, seed)
    found.append(search(searchers.RegularizedEvolution(SMALL, seed, 50, 15), reward, 300)[1].max())
    by_chance.append(max(reward(SMALL.sample(np.random.default_rng((seed, i)))) for i in range(300)))
  assert np.mean(found) > np.mean(by_chance) + 0.1
  assert sum(a > b for a, b in zip(found, by_chance, strict=True)) >= 5


def test_the_predictor_beats_random_search_by_the_mean_and_the_best():
  for rewards in (Likeness(SMALL, 0), Mixing(SMALL, 0)):
    searcher = searchers.build('predictor', SMALL, 0, {'num_candidates': 30, 'num_trees': 10})
    _, found = search(searcher, rewards, 120)
    by_chance = [rewards(SMALL.sample(np.random.default_rng((0, i)))) for i in range(120)]
    assert found.max() > max(by_chance) and found[60:].mean() > np.mean(by_chance) + np.std(by_chance)


def test_the_predictor_proposes_what_is_new_while_there_is_something_new():
  searcher = searchers.build('predictor', TINY, 0, KINDS['predictor'])
  trials, _ = search(searcher, Likeness(TINY, 0), 80)
  by_chance = searchers.build('random', TINY, 0).propose(0, 8)  # May repeat.
  assert [trial.tokens for trial in trials[:8]] == [trial.tokens for trial in by_chance]
  assert len({trial.tokens for trial in trials[8:]}) == 72


def test_the_predictor_searches_a_space_of_one():
  class One(PyramidSpace):
    def completions(self, prefix):
      return [int(token == 0) for token in range(self.num_choices(len(prefix)))]

    def decode(self, tokens):
      return TINY.decode(next(TINY.sequences()))

    def features(self, tokens):
      return super(PyramidSpace, self).features(tokens)

  searcher = searchers.build('predictor', One(num_cells=3, min_level=3, max_level=4), 0, KINDS['predictor'])
  trials, _ = search(searcher, lambda tokens: 0.5, 12)
  assert {trial.tokens for trial in trials} == {(0,) * 12}


def test_evolution_keeps_the_newest_and_names_the_parent():
  searcher = searchers.RegularizedEvolution(TINY, 0, population_size=5, tournament_size=5)
  trials = searcher.propose(0, 7)
  assert all(not trial.info for trial in trials)
  rewards = [0.9, 0.8, 0.1, 0.2, 0.7, 0.3, 0.4]
  searcher.observe([(trial, Measurement(r)) for trial, r in zip(trials, rewards, strict=True)])
  # The best two are the oldest and have died; all of the population are in the tournament.
  assert {trial.info['parent'] for trial in searcher.propose(7, 5)} == {4}


def test_pareto_selection_takes_parents_that_nothing_dominates_in_cost_and_ap():
  searcher = searchers.RegularizedEvolution(TINY, 0, population_size=6, tournament_size=6, selection='pareto')
  points = [(0.5, 9.0), (0.4, 2.0), (0.3, 3.0), (0.1, 1.0), (0.4, 5.0)]  # (AP, cost); numbers 0, 1 and 3 are the front.
  found = [Measurement(1.0 - ap, ap=ap, cost=cost) for ap, cost in points] + [Measurement.failure('NaN')]
  searcher.observe(list(zip(searcher.propose(0, 6), found, strict=True)))
  again = searchers.RegularizedEvolution(TINY, 0, population_size=6, tournament_size=6, selection='pareto')
  again.restore(searcher.state())
  assert again.propose(6, 40) == searcher.propose(6, 40)
  assert {trial.info['parent'] for trial in again.propose(6, 40)} == {0, 1, 3}


def test_pareto_selection_without_costs_goes_by_the_reward():
  searcher = searchers.RegularizedEvolution(TINY, 0, population_size=3, tournament_size=3, selection='pareto')
  searcher.observe([(trial, Measurement(0.1 * trial.id)) for trial in searcher.propose(0, 3)])
  assert {trial.info['parent'] for trial in searcher.propose(3, 5)} == {2}


def test_mutations_are_legal_and_change_one_decision_or_what_hangs_on_it():
  space, rng = PyramidSpace(), np.random.default_rng(0)
  num_changed = []
  for _ in range(150):
    tokens = space.sample(rng)
    child = searchers.mutate(space, tokens, rng)
    assert space.check(child) == child
    num_changed.append(sum(a != b for a, b in zip(tokens, child, strict=True)))
  assert min(num_changed) == 1
  assert np.mean(np.array(num_changed) == 1) > 0.5 and max(num_changed) <= 5


def test_every_free_decision_can_be_mutated():
  tokens = next(TINY.sequences())
  rng = np.random.default_rng(0)
  children = {searchers.mutate(TINY, tokens, rng) for _ in range(300)}
  first_changes = {next(i for i in range(len(tokens)) if child[i] != tokens[i]) for child in children}
  free = {step for step in range(len(tokens)) if TINY.legal(tokens[:step]).sum() > 1}
  assert first_changes == free


def test_a_space_of_one_mutates_into_itself():
  class One(PyramidSpace):
    def completions(self, prefix):
      return [int(token == 0) for token in range(self.num_choices(len(prefix)))]

  assert searchers.mutate(One(num_cells=2, min_level=3, max_level=4), (0,) * 8, np.random.default_rng(0)) == (0,) * 8


@pytest.mark.parametrize('state', [b'{}', b'nonsense', b''])
@pytest.mark.parametrize('kind', ['ppo', 'evolution', 'predictor'])
def test_a_state_of_something_else_is_refused(kind, state):
  with pytest.raises(SearchError, match='searcher'):
    searchers.build(kind, TINY).restore(state)


def test_a_state_of_another_space_is_refused():
  with pytest.raises(SearchError, match='space'):
    searchers.build('ppo', TINY).restore(searchers.build('ppo', SMALL).state())
  with pytest.raises(SearchError, match='random'):
    searchers.build('random', TINY).restore(searchers.build('ppo', TINY).state())


@pytest.mark.parametrize(
  'kind, options, message',
  [
    ('reinforce', {}, "'reinforce' is unknown; choose one of ppo, evolution, predictor, random"),
    ('ppo', {'learning_rat': 0.1}, "option 'learning_rat' is unknown; learning_rate, "),
    ('random', {'population_size': 3}, 'it has none'),
    ('ppo', {'batch_size': 2.5}, 'batch_size is 2.5; a number'),
    ('ppo', {'clip': '0.2'}, "clip is '0.2'"),
    ('ppo', {'clip': -1}, 'clip is -1'),
    ('predictor', {'num_trees': 0}, 'num_trees is 0; it must be 1 or more'),
    ('predictor', {'random_share': 2}, 'random_share is 2'),
    ('evolution', {'selection': 'best'}, "selection is 'best'; choose one of reward, pareto"),
    ('evolution', {'selection': 3}, 'selection is 3; text is needed'),
    ('evolution', {'tournament_size': 200}, 'tournament_size is 200'),
  ],
)
def test_wrong_options_are_named(kind, options, message):
  with pytest.raises(SearchError, match=message.replace('.', r'\.')):
    searchers.build(kind, TINY, 0, options)
