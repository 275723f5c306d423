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

"""BUILD lists every Python file, with deps that are its imports."""

import ast

from tests.house import build_file, repository

HOW = 'run `python -m tests.house.build_file --write`'


def targets() -> list[dict]:
  """Every rule of BUILD as a dict of its attributes, with its kind."""
  found = []
  for statement in ast.parse(repository.text('BUILD')).body:
    call = statement.value
    attributes = {
      keyword.arg: ast.literal_eval(keyword.value)
      for keyword in call.keywords
      if not isinstance(keyword.value, ast.Call)
    }
    found.append({'kind': call.func.id, **attributes})
  return found


def test_every_python_file_is_in_a_target():
  listed = {source for target in targets() for source in target.get('srcs', [])}
  files = set(repository.python_files()) - {'scripts/__init__.py'}  # That one only makes the wheel's package.
  assert listed >= files, f'not in BUILD: {sorted(files - listed)}; {HOW}'
  assert {path for path in listed if path.endswith('.py')} <= files, f'in BUILD but not there; {HOW}'


def test_every_kind_of_file_has_its_kind_of_target():
  kinds = {source: target['kind'] for target in targets() for source in target.get('srcs', [])}
  for path, kind in kinds.items():
    if path.endswith('_test.py'):
      assert kind == 'pytest_test', path
    elif path.startswith('scripts/'):
      assert kind == 'py_binary', path
    elif path.startswith('nasfpn_tf/'):
      assert kind == 'py_library', path


def test_every_dep_is_a_target():
  names = {target.get('name') for target in targets()}
  for target in targets():
    for label in [*target.get('deps', []), *target.get('data', [])]:
      assert label.startswith('@pypi//') or label.removeprefix(':') in names, f'{target["name"]}: {label}'


def test_no_target_depends_on_itself_by_detours():
  deps = {target.get('name'): [d[1:] for d in target.get('deps', []) if d.startswith(':')] for target in targets()}
  done = set()

  def visit(name: str, way: tuple[str, ...]):
    assert name not in way, f'a circle: {" -> ".join([*way, name])}'
    if name not in done:
      for dep in deps.get(name, []):
        visit(dep, (*way, name))
      done.add(name)

  for name in deps:
    visit(name, ())


def test_deps_are_the_imports():
  assert repository.text('BUILD') == build_file.build_text(), f'BUILD is not what the imports say; {HOW}'
