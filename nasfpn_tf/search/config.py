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

"""The configuration of a search: a YAML file, with what the command line lays on top."""

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from nasfpn_tf.search.problems import SearchError

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# In a wheel the configs travel inside the package; in a checkout they lie beside it.
_CONFIG_DIRS = (_PACKAGE / 'configs' / 'search', _PACKAGE.parent / 'configs' / 'search')

_NAMES = {'space': 'nasfpn', 'searcher': 'ppo', 'evaluator': 'proxy', 'executor': 'local'}  # Where none is given.


@dataclasses.dataclass(frozen=True)
class SearchConfig:
  """What a search is, and how it is run.

  What it is stays the same for all runs in a directory: `space`, `searcher`, `evaluator`, `seed`, `reuse_rewards`. The
  rest may change from run to run.

  Attributes:
    space: `name` of a search space, and its options.
    searcher: `name`, 'ppo', 'evolution' or 'random', and its options.
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
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if field.name in _NAMES:
        if not isinstance(value, Mapping) or not isinstance(value.get('name'), str):
          raise SearchError(f'{field.name}: a mapping with a name is needed, not {value!r}.')
      elif isinstance(value, bool) != (field.type is bool) or not isinstance(value, int | float):
        raise SearchError(f'{field.name}: {field.type.__name__} is needed, not {value!r}.')
      elif field.type is int and (not isinstance(value, int) or value < (0 if field.name == 'seed' else 1)):
        raise SearchError(f'{field.name}: a whole number from {0 if field.name == "seed" else 1} up is needed.')
      elif value < 0:
        raise SearchError(f'{field.name}: {value!r} is negative.')

  def identity(self, space: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the search what it is, with the space in the form that has all its options."""
    return {
      'space': dict(space),
      'searcher': dict(self.searcher),
      'evaluator': dict(self.evaluator),
      'seed': self.seed,
      'reuse_rewards': self.reuse_rewards,
    }

  def evaluator_config(self) -> dict[str, Any]:
    """What the evaluator is handed."""
    return {'seed': self.seed, **_options(self.evaluator)}

  def replace(self, **changes: Any) -> 'SearchConfig':
    """With changes on top. A name alone keeps the options of the same name and drops those of another."""
    for key in ('searcher', 'executor'):
      if isinstance(changes.get(key), str):
        same = changes[key] == getattr(self, key)['name']
        changes[key] = getattr(self, key) if same else {'name': changes[key]}
    return dataclasses.replace(self, **changes)


def load(reference: str, override: str | None = None) -> SearchConfig:
  """Reads a configuration.

  Args:
    reference: path of a YAML file, or the name of one in configs/search/.
    override: 'evaluator.seed=3,space.num_cells=9', a YAML mapping in braces, or the path of a YAML file; wins over the
      file.

  Raises:
    SearchError: naming the file and the key.
  """
  path = _find(reference)
  data = _read(path.read_text(encoding='utf-8'), str(path))
  for key, value in _dotted(override or ''):
    _lay(data, key.split('.'), value)
  known = [field.name for field in dataclasses.fields(SearchConfig)]
  for key in data:
    if key not in known:
      near = difflib.get_close_matches(str(key), known, n=1)
      hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}.'
      raise SearchError(f'{path}: key {key!r} does not exist; {hint}')
  for key, name in _NAMES.items():
    if isinstance(data.get(key), dict):
      data[key] = {'name': name, **data[key]}
  try:
    return SearchConfig(**data)
  except SearchError as e:
    raise SearchError(f'{path}: {e}') from e


def names() -> dict[str, pathlib.Path]:
  """{name: path} of the search configurations that come with the project."""
  return {path.stem: path for directory in _CONFIG_DIRS for path in sorted(directory.glob('*.yaml'))}


def _find(reference: str) -> pathlib.Path:
  path = pathlib.Path(reference)
  if path.is_file():
    return path
  found = names().get(reference.removesuffix('.yaml'))
  if found is None:
    raise SearchError(f'{reference!r} is no file and no name in configs/search/: {", ".join(sorted(names()))}.')
  return found


def _read(text: str, source: str) -> dict[str, Any]:
  """A YAML mapping."""
  try:
    data = yaml.load(text, Loader=_Loader)
  except yaml.YAMLError as e:
    raise SearchError(f'{source} is not YAML: {" ".join(str(e).split())}') from e
  if not isinstance(data, dict):
    raise SearchError(f'{source}: a mapping of keys is needed, not {data!r}.')
  return data


def _dotted(text: str) -> list[tuple[str, Any]]:
  """The changes that an override names, by dotted key."""
  if text.endswith('.yaml') and pathlib.Path(text).is_file():
    return list(_read(pathlib.Path(text).read_text(encoding='utf-8'), text).items())
  if not text.lstrip().startswith('{'):
    text = '{' + re.sub(r'(^|,)\s*([A-Za-z_][\w.]*)=', r'\1 \2: ', text) + '}'
  return list(_read(text, 'params_override').items())


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


class _Loader(yaml.SafeLoader):
  """Refuses a key that comes twice, of which YAML would keep the last."""

  def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    """See the base class."""
    keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
    for key in keys:
      if keys.count(key) > 1:
        raise yaml.constructor.ConstructorError(None, None, f'key {key!r} comes twice', node.start_mark)
    return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-3 as text.
_Loader.yaml_implicit_resolvers = {key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
  'tag:yaml.org,2002:float', re.compile(r'^[-+]?\d+(\.\d*)?[eE][-+]?\d+$'), list('-+0123456789')
)
