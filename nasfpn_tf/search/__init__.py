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

"""The search for architectures: spaces, searchers, evaluators, a resumable loop (arXiv 1904.07392, sec. 3 and 4).

What code of one's own is written against lies here: `space.SearchSpace`, `trial.Trial` and `trial.Measurement`,
`problems.SearchError`. The rooms import downwards only:

  run        a search from its configuration to its results
  loop       propose, evaluate, observe
  executors  where trials are evaluated: processes of this machine, a Ray cluster
  evaluators what a trial is worth: the proxy task, shared weights
  searchers  what is tried next: PPO, evolution, random search
  storage    what is kept: the store, and the files made from it
  spaces     what there is to find: pyramids, backbones
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence

# Modules by the names that they had directly in this package; a configuration or a module of one's own may say them.
_FORMER = {
  'backbones': 'spaces.backbones',
  'bank': 'evaluators.bank',
  'child': 'evaluators.child',
  'controller': 'searchers.controller',
  'directory': 'storage.directory',
  'executor': 'executors.executor',
  'local_executor': 'executors.local',
  'outputs': 'storage.outputs',
  'ppo': 'searchers.ppo',
  'proxy': 'evaluators.proxy',
  'pyramids': 'spaces.pyramids',
  'ray_executor': 'executors.ray_cluster',
  'reward': 'evaluators.reward',
  'searcher': 'searchers.searcher',
  'shared': 'evaluators.shared',
  'store': 'storage.store',
  'synthetic': 'searchers.synthetic',
}


class _FormerNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Imports a module of `_FORMER` as the one that it has become: the same object, so that classes stay the same."""

  def find_spec(
    self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
  ) -> importlib.machinery.ModuleSpec | None:
    """See the base class."""
    package, _, name = fullname.rpartition('.')
    return importlib.util.spec_from_loader(fullname, self) if package == __name__ and name in _FORMER else None

  def exec_module(self, module: types.ModuleType) -> None:
    """See the base class."""
    name = module.__name__.rpartition('.')[2]
    sys.modules[module.__name__] = importlib.import_module(f'{__name__}.{_FORMER[name]}')


sys.meta_path.append(_FormerNames())
