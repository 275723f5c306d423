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

"""Builds the search space that a configuration names."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.space import SearchSpace


def known() -> dict[str, type[SearchSpace]]:
  """Finds the search spaces that have a module in this package, by the name that each class gives itself."""
  found = {}
  for module in pkgutil.iter_modules(importlib.import_module(__package__).__path__, f'{__package__}.'):
    for value in vars(importlib.import_module(module.name)).values():
      is_space = inspect.isclass(value) and issubclass(value, SearchSpace) and not inspect.isabstract(value)
      if is_space and value.__module__ == module.name:
        found[value.name] = value
  return dict(sorted(found.items()))


def build(config: Mapping[str, Any]) -> SearchSpace:
  """Builds the space that `config['name']` names, with the other keys as arguments.

  Args:
    config: `name` is one of `known()`, or 'module:Class' for a space of your own.

  Raises:
    SearchError: naming the space, or the option that does not exist, or why there is no legal sequence.
  """
  options = dict(config)
  name = options.pop('name', None)
  space_class = _load(str(name))
  parameters = inspect.signature(space_class).parameters
  for key in options:
    if key not in parameters:
      raise SearchError(f'space {name}: option {key!r} is unknown; known are {", ".join(parameters)}.')
  try:
    return space_class(**options)
  except TypeError as e:
    raise SearchError(f'space {name}: an option has a value of the wrong type: {e}.') from e


def _load(name: str) -> type[SearchSpace]:
  module, colon, class_name = name.partition(':')
  if not colon:
    spaces = known()
    if name not in spaces:
      raise SearchError(f'space {name!r} is unknown; choose one of {", ".join(spaces)}, or module:Class.')
    return spaces[name]
  try:
    return getattr(importlib.import_module(module), class_name)
  except (ImportError, AttributeError, ValueError) as e:  # ValueError: no name of a module.
    raise SearchError(f'space {name!r} cannot be loaded: {e}.') from e
