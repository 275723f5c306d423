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

"""Builds the executor that a configuration names."""

import inspect
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.executor import Executor
from nasfpn_tf.search.executors.local import LocalExecutor
from nasfpn_tf.search.problems import SearchError


def build(config: Mapping[str, Any], setup: Setup, num_workers: int) -> Executor:
  """Builds the executor that `config['name']` names, with the other keys as arguments.

  Args:
    config: `name` is 'local' or 'ray'.
    setup: of the evaluator.
    num_workers: how many trials run at a time.

  Raises:
    SearchError: naming the executor or the option that does not exist.
  """
  options = dict(config)
  name = options.pop('name')
  if name == 'local':
    kind = LocalExecutor
  elif name == 'ray':
    from nasfpn_tf.search.executors.ray_cluster import RayExecutor as kind  # Ray is an extra.
  else:
    raise SearchError(f'executor {name!r} is unknown; choose local or ray.')
  known = list(inspect.signature(kind).parameters)[2:]
  for key in options:
    if key not in known:
      raise SearchError(f'executor {name}: option {key!r} is unknown; known are {", ".join(known)}.')
  return kind(setup, num_workers, **options)
