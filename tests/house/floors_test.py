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

"""What may import what. Floors hold the rooms of the package; imports go down only."""

import ast
import functools
import sys

import pytest

from tests.house import repository
from tests.house.repository import is_under

# Room -> floor. A room is a package or a module directly under nasfpn_tf/, or scripts/. The rooms of floor 4 are
# sisters that meet as files: topology, model directory, SavedModel, records.
FLOORS = {
  'failure': 0,
  'safe_json': 0,
  'spelling': 0,
  'startup': 0,
  'processor': 0,
  'whole_file': 0,
  'former_names': 0,
  'topology': 0,
  'layers': 1,
  'chain': 1,
  'config': 1,
  'data': 1,
  'artifacts': 1,
  'report': 1,
  'modeling': 2,
  'interop': 2,
  'training': 3,
  'zoo': 3,
  'export': 4,
  'fit': 4,
  'search': 4,
  'frontier': 4,
  'predict': 4,
  'public_weights': 4,
  'quickstart': 4,
  'winner': 4,
  'scripts': 5,
}

# The only imports between two rooms of one floor.
NEIGHBOURS = {
  ('failure', 'startup'),
  ('topology', 'safe_json'),
  ('topology', 'spelling'),
  ('data', 'config'),
  ('zoo', 'training'),
  ('frontier', 'predict'),
  ('quickstart', 'fit'),
  ('winner', 'fit'),
  ('winner', 'search'),
}

# The rooms of the search, which are modules and packages directly under nasfpn_tf/search/, from the ground up. On one
# floor they do not know of each other.
SEARCH = {
  'problems': 0,
  'space': 1,
  'trial': 2,
  'spaces': 3,
  'storage': 4,
  'table': 4,
  'searchers': 5,
  'evaluators': 6,
  'executors': 7,
  'config': 8,
  'loop': 8,
  'progress': 8,
  'summary': 8,
  'front': 9,
  'run': 10,
}

# Room -> what of other people's packages it may import; a room that is not here may import anything not banned.
ONLY = {
  'topology': (),
  'layers': ('numpy', 'tensorflow', 'tf_keras'),
  'safe_json': (),
  'spelling': (),
}

# Package -> the places that may import it.
RESERVED = {
  'absl.app': ('scripts/', 'benchmarks/'),
  'absl.flags': ('scripts/', 'benchmarks/', 'nasfpn_tf/failure.py'),
  'keras_cv': ('nasfpn_tf/interop/', 'tests/', 'benchmarks/'),
  'gin': (),
  'keras': (),
  'tensorflow.keras': (),
}

# What only floor 3 and above may import of Model Garden: whatever trains.
TRAINS = (
  'official.core.actions',
  'official.core.base_task',
  'official.core.base_trainer',
  'official.core.task_factory',
  'official.core.train_lib',
  'official.modeling.optimization',
  'official.vision.tasks',
  'official.vision.train',
  'orbit',
)

# These start at once: nothing they import when loaded leads to TensorFlow.
LIGHT = (
  'nasfpn_tf/__init__.py',
  'nasfpn_tf/config/__init__.py',
  'nasfpn_tf/config/checking.py',
  'nasfpn_tf/config/loading.py',
  'nasfpn_tf/config/safe_yaml.py',
  'nasfpn_tf/failure.py',
  'nasfpn_tf/safe_json.py',
  'nasfpn_tf/spelling.py',
  'nasfpn_tf/processor.py',
  'nasfpn_tf/whole_file.py',
  'nasfpn_tf/former_names.py',
  'nasfpn_tf/topology/',
  'nasfpn_tf/artifacts/',
  'nasfpn_tf/chain/',
  'nasfpn_tf/quickstart/',
  'nasfpn_tf/report/',
  'nasfpn_tf/data/records/framing.py',
  'nasfpn_tf/data/records/manifest.py',
  'nasfpn_tf/frontier/models.py',
  'nasfpn_tf/frontier/published.py',
  'nasfpn_tf/frontier/record.py',
  'nasfpn_tf/frontier/documents.py',
  'nasfpn_tf/frontier/table.py',
  'nasfpn_tf/frontier/timing.py',
  'nasfpn_tf/frontier/worker.py',
  'nasfpn_tf/search/__init__.py',
  'nasfpn_tf/search/config.py',
  'nasfpn_tf/search/evaluators/__init__.py',
  'nasfpn_tf/search/evaluators/evaluator.py',
  'nasfpn_tf/search/evaluators/registry.py',
  'nasfpn_tf/search/evaluators/reward.py',
  'nasfpn_tf/search/executors/',
  'nasfpn_tf/search/loop.py',
  'nasfpn_tf/search/problems.py',
  'nasfpn_tf/search/progress.py',
  'nasfpn_tf/search/summary.py',
  'nasfpn_tf/search/run.py',
  'nasfpn_tf/search/searchers/',
  'nasfpn_tf/search/space.py',
  'nasfpn_tf/search/spaces/',
  'nasfpn_tf/search/storage/',
  'nasfpn_tf/search/trial.py',
  'scripts/describe.py',
  'scripts/report_frontier.py',
  'scripts/search.py',
)
HEAVY = ('tensorflow', 'tf_keras', 'keras_cv', 'official', 'orbit')

# Where an import may be for its side effects only, and the modules that may be imported for theirs from anywhere.
SIDE_EFFECTS = (
  'nasfpn_tf/training/registry_imports.py',
  'nasfpn_tf/modeling/detector.py',  # Builds any registered part, with or without the trainer.
  'scripts/',
  'tests/',
  'benchmarks/',
)
REGISTERING = ('nasfpn_tf.training.registry_imports', 'nasfpn_tf.training.experiments')

OURS = repository.python_files('nasfpn_tf', 'scripts')
ALL = repository.python_files()


def room_of(path: str) -> str | None:
  """'nasfpn_tf/topology/spec.py' -> 'topology'; None for nasfpn_tf/__init__.py, which imports only the former names."""
  parts = path.removesuffix('.py').split('/')
  if parts[0] == 'scripts':
    return 'scripts'
  return None if parts[1] == '__init__' else parts[1]


def ours(path: str) -> list[tuple[repository.Import, str]]:
  """The imports of this project's own modules, with the room they lead to."""
  found = [entry for entry in repository.imports(path) if is_under(entry.name, 'nasfpn_tf', 'scripts')]
  return [(entry, entry.name.split('.')[1]) for entry in found if entry.name not in ('nasfpn_tf', 'scripts')]


def shown(problems: list[str]) -> str:
  """Problems as the message of an assertion."""
  return '\n'.join(['', *problems])


def test_every_room_has_a_floor():
  rooms = {room_of(path) for path in OURS} - {None}
  assert rooms <= set(FLOORS), f'not in the table of floors: {sorted(rooms - set(FLOORS))}'


def test_imports_go_down():
  problems = []
  for path in OURS:
    room = room_of(path)
    for entry, target in ours(path):
      where = f'{path}:{entry.line} imports {entry.name}'
      if room is None and target != 'former_names':
        problems.append(f'{where}: the public names load on first use')
      elif target not in FLOORS:
        problems.append(f'{where}: no room; import it from its module')
      elif room is not None and target != room and (room, target) not in NEIGHBOURS and FLOORS[target] >= FLOORS[room]:
        problems.append(f'{where}: {target} is on floor {FLOORS[target]}, {room} on {FLOORS[room]}')
  assert not problems, shown(problems)


def test_imports_in_the_search_go_down():
  problems = []
  for path in repository.python_files('nasfpn_tf/search'):
    room = path.split('/')[2].removesuffix('.py')
    for entry in repository.imports(path):
      if is_under(entry.name, 'nasfpn_tf.search') and room != '__init__':
        target = entry.name.split('.')[2]
        assert {room, target} <= set(SEARCH), f'{path} or {entry.name} is not in the table of rooms of the search'
        if target != room and SEARCH[target] >= SEARCH[room]:
          problems.append(f'{path}:{entry.line}: {room} is on floor {SEARCH[room]}, {target} on {SEARCH[target]}')
  assert not problems, shown(problems)


def test_nothing_imports_scripts():
  problems = [f'{path}:{e.line}' for path in ALL for e in repository.imports(path) if is_under(e.name, 'scripts')]
  assert not problems, shown(problems)


def test_rooms_with_few_guests():
  problems = []
  for path in OURS:
    if room_of(path) in ONLY:
      allowed = {'nasfpn_tf', *sys.stdlib_module_names, *ONLY[room_of(path)]}
      problems += [
        f'{path}:{entry.line} imports {entry.name}; besides the standard library {ONLY[room_of(path)]} may be'
        for entry in repository.imports(path)
        if entry.name.split('.')[0] not in allowed
      ]
  assert not problems, shown(problems)


def test_reserved_packages():
  problems = [
    f'{path}:{entry.line} imports {entry.name}; only {places or "nobody"} may'
    for path in ALL
    for entry in repository.imports(path)
    for package, places in RESERVED.items()
    if is_under(entry.name, package) and not path.startswith(places)
  ]
  assert not problems, shown(problems)


def test_nothing_below_floor_3_trains():
  problems = [
    f'{path}:{entry.line} imports {entry.name}'
    for path in OURS
    for entry in repository.imports(path)
    if FLOORS.get(room_of(path), 0) < 3 and is_under(entry.name, *TRAINS)
  ]
  assert not problems, shown(problems)


@functools.cache
def names_in(path: str) -> set[str]:
  """Whatever a module defines, assigns or imports, at whatever depth."""
  found = set()
  for node in ast.walk(repository.tree(path)):
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
      found.add(node.name)
    elif isinstance(node, ast.Import | ast.ImportFrom):
      found |= {(alias.asname or alias.name).split('.')[0] for alias in node.names}
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
      found.add(node.id)
  return found


def test_imported_names_are_there():
  """Benchmarks too, which few tests load."""
  problems = []
  for path in ALL:
    for entry in repository.imports(path):
      file = repository.module_file(entry.name)
      module = file and file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
      if file and entry.name != module:
        names, name = names_in(file), entry.name.removeprefix(f'{module}.')
        problems += [] if names & {name, '__getattr__'} else [f'{path}:{entry.line}: {file} has no {name}']
  assert not problems, shown(problems)


def test_imports_are_absolute():
  problems = [f'{path}:{e.line}' for path in ALL for e in repository.imports(path) if e.name.startswith('.')]
  assert not problems, shown(problems)


def test_side_effects_only_where_expected():
  problems = []
  for path in OURS:
    if path.startswith(SIDE_EFFECTS):
      continue
    lines = repository.text(path).splitlines()
    for entry in repository.imports(path):
      if 'noqa: F401' in lines[entry.line - 1] and entry.name not in REGISTERING:
        problems.append(f'{path}:{entry.line} imports {entry.name} for a side effect: a case for registry_imports.py')
  assert not problems, shown(problems)


@pytest.mark.parametrize('path', [path for path in OURS if path.startswith(LIGHT)])
def test_light_modules_do_not_lead_to_tensorflow(path):
  seen, waiting = set(), [(path,)]
  while waiting:
    way = waiting.pop()
    for entry in repository.imports(way[-1]):
      if not entry.at_load:
        continue
      assert not is_under(entry.name, *HEAVY), f'{" -> ".join(way)} imports {entry.name} (line {entry.line})'
      target = repository.module_file(entry.name)
      if target and target not in seen:
        seen.add(target)
        waiting.append((*way, target))


@pytest.mark.parametrize('package', ['nasfpn_tf', 'nasfpn_tf/config'])
def test_the_public_names_exist(package):
  """Each lazy name of a package is defined by the module it is said to come from."""
  file, namespace = f'{package}/__init__.py', {'__name__': package}
  exec(compile(repository.text(file), file, 'exec'), namespace)
  for name, module in namespace['_LAZY'].items():
    path = repository.module_file(module)
    assert path in (f'{module.replace(".", "/")}.py', f'{module.replace(".", "/")}/__init__.py'), f'no module {module}'
    defined = {getattr(node, 'name', None) for node in repository.tree(path).body}
    assert module.endswith('.' + name) or name in defined, f'{module} does not define {name}'
    assert name in namespace['__all__']
