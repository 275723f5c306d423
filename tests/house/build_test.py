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

"""The BUILD files list every Python file once, with deps that are its imports, and no target depends on itself."""

import ast
import collections

from tests.house import build_file, repository

HOW = 'run `python -m tests.house.build_file --write`'


def targets() -> dict[str, dict]:
  """Every target of the BUILD files as a dict of its attributes, by its label; srcs are paths."""
  found = {}
  for path, text in build_file.present_build_files().items():
    package = path.rpartition('/')[0]
    for statement in ast.parse(text, filename=path).body:
      found |= {target['label']: target for target in rules_of(statement.value, package)}
  return found


def rules_of(call: ast.expr, package: str) -> list[dict]:
  """The targets that one statement of a BUILD file makes."""
  if isinstance(call, ast.ListComp):  # The aliases of the root.
    names = ast.literal_eval(call.generators[0].iter)
    return [{'kind': 'alias', 'label': f'//:{name}', 'deps': [f'//scripts:{name}']} for name in names]
  arguments = {keyword.arg: keyword.value for keyword in call.keywords}
  if 'name' not in arguments:
    return []
  attributes = {key: labels(value, package) for key, value in arguments.items() if key in ('deps', 'data')}
  srcs = [f'{package}/{source}' for source in strings(arguments.get('srcs'))]
  name, kind = arguments['name'].value, call.func.id
  if kind == 'pytest_tests':  # A macro over a glob: a target a file.
    here = [path for path in repository.python_files(package) if path.rpartition('/')[0] == package]
    tests = [path for path in here if path.endswith('_test.py')]
    made = [
      {'kind': kind, 'label': f'//{path[:-3]}'.replace(f'{package}/', f'{package}:'), 'srcs': [path]} for path in tests
    ]
    return [{**target, **attributes} for target in made]
  if kind == 'filegroup':
    attributes['data'] = [label for label in labels(arguments['srcs'], package) if label.startswith('//')]
    srcs = []
  return [{'kind': kind, 'label': f'//{package}:{name}', 'srcs': srcs, **attributes}]


def strings(value: ast.expr | None) -> list[str]:
  """The strings of a list, or of a sum of lists and globs without the globs."""
  if isinstance(value, ast.BinOp):
    return strings(value.left) + strings(value.right)
  return ast.literal_eval(value) if isinstance(value, ast.List) else []


def labels(value: ast.expr, package: str) -> list[str]:
  """Labels in full: '//nasfpn_tf/data' -> '//nasfpn_tf/data:data', ':x' -> '//package:x'."""
  full = []
  for label in strings(value):
    label = f'//{package}{label}' if label.startswith(':') else label
    full.append(label if ':' in label or label.startswith('@') else f'{label}:{label.rpartition("/")[2]}')
  return full


def test_every_python_file_is_in_one_target():
  listed = collections.Counter(source for target in targets().values() for source in target.get('srcs', []))
  files = set(repository.python_files()) - {'scripts/__init__.py'}  # That one only makes the wheel's package.
  assert set(listed) == files, f'{sorted(set(listed) ^ files)}; {HOW}'
  assert max(listed.values()) == 1, f'{listed.most_common(3)}; {HOW}'


def test_every_kind_of_file_has_its_kind_of_target():
  kinds = {source: target['kind'] for target in targets().values() for source in target.get('srcs', [])}
  for path, kind in kinds.items():
    if path.endswith('_test.py'):
      assert kind == 'pytest_tests', path
    elif path.startswith('scripts/'):
      assert kind == 'py_binary', path
    elif path.startswith('nasfpn_tf/'):
      assert kind == 'py_library', path


def test_every_script_has_a_target_at_the_root():
  scripts = {path[len('scripts/') : -3] for path in repository.python_files('scripts')} - {'__init__'}
  assert {f'//:{script}' for script in scripts} <= set(targets())


def test_every_dep_is_a_target():
  known = {*targets(), '//:pyproject.toml'}
  for label, target in targets().items():
    for dep in [*target.get('deps', []), *target.get('data', [])]:
      assert dep.startswith('@pypi//') or dep in known, f'{label}: {dep}'


def test_no_target_depends_on_itself_by_detours():
  all_targets, done = targets(), set()

  def visit(label: str, way: tuple[str, ...]):
    assert label not in way, f'a circle: {" -> ".join([*way, label])}'
    if label not in done:
      for dep in all_targets.get(label, {}).get('deps', []):
        visit(dep, (*way, label))
      done.add(label)

  for label in all_targets:
    visit(label, ())


def test_deps_are_the_imports():
  wanted, present = build_file.build_files(), build_file.present_build_files()
  wrong = [path for path in sorted(wanted.keys() | present.keys()) if wanted.get(path) != present.get(path)]
  assert not wrong, f'{wrong} are not what the imports say; {HOW}'


def test_the_root_is_short():
  assert len(repository.text('BUILD').splitlines()) <= 100
