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

"""Reads the configuration of a search: a YAML file, and overrides from the command line."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.config import checking, loading
from nasfpn_tf.search.problems import SearchError

_NAMES = {'space': 'nasfpn', 'searcher': 'ppo', 'evaluator': 'proxy', 'executor': 'local'}  # Where none is given.
_MOST = {'num_workers': 1000, 'max_trials': 10_000_000}  # Each worker is a process.


@dataclasses.dataclass(frozen=True)
class SearchConfig:
  """Configuration of a search and of how it is run.

  What it is stays the same for all runs in a directory: `space`, `searcher`, `evaluator`, `seed`, `reuse_rewards`. The
  rest may change from run to run.

  Attributes:
    space: `name` of a search space, and its options.
    searcher: `name`, 'ppo', 'evolution', 'predictor' or 'random', and its options.
    evaluator: `name`, 'proxy', 'shared' or 'module:function'; the other keys are handed to it.
    seed: of all proposals; also the evaluator's, unless it has one of its own.
    reuse_rewards: an architecture that was evaluated before keeps its reward.
    executor: `name`, 'local' or 'ray', and its options.
    num_workers: how many trials run at a time.
    max_trials: how many trials there are to be.
    max_lost: a trial whose worker has died so often has failed.
    max_failed: so many failed trials in a row end the search.
    grace_seconds: how long trials that run may take to save their work when the search is told to stop.
    report_seconds: least time between two reports.

  Raises:
    SearchError: at construction, naming the key.
  """

  space: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {'name': _NAMES['space']})
  searcher: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {'name': _NAMES['searcher']})
  evaluator: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {'name': _NAMES['evaluator']})
  seed: int = 0
  reuse_rewards: bool = True
  executor: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {'name': _NAMES['executor']})
  num_workers: int = 1
  max_trials: int = 1000
  max_lost: int = 3
  max_failed: int = 20
  grace_seconds: float = 60.0
  report_seconds: float = 30.0

  def __post_init__(self):
    for key in _NAMES:
      value = getattr(self, key)
      if not isinstance(value, Mapping) or not isinstance(value.get('name'), str):
        raise SearchError(f'{key}: must be a mapping with a name, not {value!r}.')
    try:
      checking.check(self)
    except ValueError as e:
      raise SearchError(str(e)) from e
    for field in dataclasses.fields(self):
      value, least = getattr(self, field.name), 0 if field.name == 'seed' else 1
      if field.type is int and value < least:
        raise SearchError(f'{field.name} must be at least {least}, not {value!r}.')
      if field.type is int and value > (most := _MOST.get(field.name, 2**31 - 1)):
        raise SearchError(f'{field.name} must be at most {most}, not {value!r}.')
      if field.type is float and value < 0:
        raise SearchError(f'{field.name} must not be negative: {value!r}.')
      if field.type is float and not math.isfinite(value):
        raise SearchError(f'{field.name} must be a finite number, not {value!r}.')

  def identity(self, space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what identifies the search, with all options of its space."""
    return {
      'space': dict(space),
      'searcher': dict(self.searcher),
      'evaluator': dict(self.evaluator),
      'seed': self.seed,
      'reuse_rewards': self.reuse_rewards,
    }

  def evaluator_config(self) -> dict[str, Any]:
    """Returns the configuration that the evaluator gets."""
    return {'seed': self.seed, **_options(self.evaluator)}

  def replace(self, **changes: Any) -> 'SearchConfig':
    """Returns a copy with changes. A name alone keeps the options of the same name and drops those of another."""
    for key in ('searcher', 'executor'):
      if isinstance(changes.get(key), str):
        same = changes[key] == getattr(self, key)['name']
        changes[key] = getattr(self, key) if same else {'name': changes[key]}
    return dataclasses.replace(self, **changes)


def load(reference: str, override: str | None = None) -> SearchConfig:
  """Reads a configuration.

  Args:
    reference: path of a YAML file, or the name of one in configs/search/.
    override: 'evaluator.seed=3,space.num_cells=9' or another form that `loading.parse_override` takes; wins over the
      file.

  Raises:
    SearchError: naming the file and the key.
  """
  try:
    path = loading.find_search_config(reference)
    data, changes = loading.read_yaml(path), loading.parse_override(override or '')
  except (ValueError, OSError) as e:
    raise SearchError(str(e)) from e
  if not data:
    raise SearchError(f'{path}: it contains no keys.')
  for key, value in changes.items():
    _lay(data, key.split('.'), value)
  known = [field.name for field in dataclasses.fields(SearchConfig)]
  for key in data:
    if key not in known:
      raise SearchError(f'{path}: key {key!r} does not exist; {checking.nearest(key, known)}')
  for key, name in _NAMES.items():
    if isinstance(data.get(key), dict):
      data[key] = {'name': name, **data[key]}
  try:
    return SearchConfig(**data)
  except SearchError as e:
    raise SearchError(f'{path}: {e}') from e


def _lay(data: dict[str, Any], keys: list[str], value: Any) -> None:
  for key in keys[:-1]:
    data = data.setdefault(key, {})
    if not isinstance(data, dict):
      raise SearchError(f'params_override: {".".join(keys)} lies under {key!r}, which is a value, not a mapping.')
  if isinstance(value, Mapping) and isinstance(data.get(keys[-1]), dict):
    for key, inner in value.items():
      _lay(data[keys[-1]], [key], inner)
  else:
    data[keys[-1]] = value


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
  return {key: value for key, value in config.items() if key != 'name'}
