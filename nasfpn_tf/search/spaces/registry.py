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

"""From the part of a configuration that names a search space to the space."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.space import SearchSpace

NAMES = {
  'nasfpn': 'nasfpn_tf.search.spaces.pyramids:PyramidSpace',
  'spinenet': 'nasfpn_tf.search.spaces.backbones:BackboneSpace',
}


def build(config: Mapping[str, Any]) -> SearchSpace:
  """The space that `config['name']` names, made with the other keys as arguments.

  Args:
    config: `name` is one of `NAMES`, or 'module:Class' for a space of your own.

  Raises:
    SearchError: naming the space, or the option that does not exist, or why there is no legal sequence.
  """
  options = dict(config)
  name = options.pop('name', None)
  module, colon, class_name = str(NAMES.get(name, name)).partition(':')
  if not (module and colon and class_name):
    raise SearchError(f'space {name!r} is unknown; choose one of {", ".join(NAMES)}, or module:Class.')
  try:
    space_class = getattr(importlib.import_module(module), class_name)
  except (ImportError, AttributeError) as e:
    raise SearchError(f'space {name!r} cannot be loaded: {e}.') from e
  known = inspect.signature(space_class).parameters
  for key in options:
    if key not in known:
      raise SearchError(f'space {name}: option {key!r} is unknown; known are {", ".join(known)}.')
  try:
    return space_class(**options)
  except TypeError as e:
    raise SearchError(f'space {name}: an option has a value of a wrong type: {e}.') from e
