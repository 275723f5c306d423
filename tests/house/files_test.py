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

"""How a file looks: license, length, name, and which Keras."""

import ast
import pathlib
import re

from tests.house import repository

# A module is a noun with enough to say and no more than a head holds. Lengths include the 14 lines of the license.
# Free of the lower bound: packages' __init__.py, which only name what is public, and imports for registration.
MODULE_LINES = (30, 350)
SCRIPT_LINES = 300  # A binary parses flags and calls one library function.
TEST_LINES = 400
SHORT = ('__init__.py', 'registry_imports.py')

# Names that say nothing about what is inside.
NAMELESS = {'utils', 'util', 'common', 'helpers', 'misc', 'tools'}

PYTHON = repository.python_files()
LICENSE = repository.text('nasfpn_tf/__init__.py').splitlines()[:13]


def test_the_license_is_apache_2():
  assert LICENSE[0] == '# Copyright 2026 The nasfpn_tf Authors.'
  assert 'Apache License\n                           Version 2.0, January 2004' in repository.text('LICENSE')


def test_license_headers():
  wrong = [path for path in PYTHON if repository.text(path).splitlines()[:13] != LICENSE]
  assert not wrong


def test_lengths():
  problems = []
  for path in PYTHON:
    low, high = 0, TEST_LINES
    if path.startswith('scripts/'):
      high = SCRIPT_LINES
    elif path.startswith('nasfpn_tf/'):
      low, high = (0 if path.endswith(SHORT) else MODULE_LINES[0]), MODULE_LINES[1]
    lines = len(repository.text(path).splitlines())
    if not low <= lines <= high:
      problems.append(f'{path} has {lines} lines, not {low} to {high}: split or join it by its nouns')
  assert not problems, '\n'.join(['', *problems])


def test_every_name_says_what_is_inside():
  wrong = [
    path
    for path in PYTHON
    for part in pathlib.PurePosixPath(path).with_suffix('').parts
    if part in NAMELESS or part.startswith('base_')
  ]
  assert not wrong


def test_docstrings():
  """Every module of ours says what it is, but for an empty __init__.py; so does each public class and function."""
  problems = []
  for path in repository.python_files('nasfpn_tf', 'scripts', 'benchmarks'):
    tree = repository.tree(path)
    if tree.body and not ast.get_docstring(tree):
      problems.append(path)
    for node in tree.body if path.startswith('nasfpn_tf/') else []:
      if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith('_'):
        problems += [] if ast.get_docstring(node) else [f'{path}:{node.lineno} {node.name}']
  assert not problems, '\n'.join(['without a docstring:', *problems])


def test_keras_is_tf_keras():
  problems = [
    f'{path}:{node.lineno}'
    for path in PYTHON
    for node in ast.walk(repository.tree(path))
    if isinstance(node, ast.Attribute) and node.attr == 'keras' and isinstance(node.value, ast.Name)
    if node.value.id in ('tf', 'tensorflow')
  ]
  assert not problems, 'tf_keras is what Model Garden is made of; tf.keras is Keras 3'


# Not those that SVG has too: the drawings of topology/ are SVG. A single letter in brackets may be a placeholder.
TAG = re.compile(
  r'</?(?:body|br|button|code|details|div|figcaption|figure|footer|form|h[1-6]|head|header|html|img|input|label|li|link'
  r'|main|meta|ol|option|pre|section|select|small|span|summary|table|tbody|td|th|thead|tr|ul)(?=[\s/>]|$)'
  r'|</[abip]>|<[abip] [a-z]+=|<p>'
)


def tags(tree: ast.Module) -> list[tuple[int, str]]:
  """Line and text of the strings with HTML in them that are no docstrings."""
  documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
  docstrings = {
    id(node.body[0].value)
    for node in ast.walk(tree)
    if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
  }
  return [
    (node.lineno, node.value)
    for node in ast.walk(tree)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    if TAG.search(node.value)
  ]


def test_html_is_in_files_of_report():
  """Pages are made of nasfpn_tf/report/templates/*.html, which escape what is filled in; Python holds no HTML."""
  paths = repository.python_files('nasfpn_tf', 'scripts', 'benchmarks')
  problems = [f'{path}:{line}: {text[:60]!r}' for path in paths for line, text in tags(repository.tree(path))]
  assert not problems, '\n'.join(['', *problems])


def test_html_is_found_where_it_is():
  for text in ("'<p>'", 'f\'<span class="x">{a}</span>\'', "f'<td>{a}'", '"</div>"', "'<a href=\"'", "f'{a}</b>'"):
    assert tags(ast.parse(f'x = {text}')), text
  for text in (
    "'stage_<i>/cell_<j>'",
    "'a <= b'",
    "'x < p and y > 3'",
    "'<path>'",
    "'</title>'",
    "'run > <name>.json'",
  ):
    assert not tags(ast.parse(f'x = {text}')), text
  assert not tags(ast.parse('def f():\n  """Gives <b>nothing</b>."""'))


def test_tests_stand_where_what_they_test_stands():
  """tests/ mirrors nasfpn_tf/: tests/<room>/, or tests/ itself for a module directly under nasfpn_tf/."""
  rooms = {path.split('/')[1] for path in repository.python_files('nasfpn_tf') if path.count('/') > 1}
  rooms |= {'house', 'scripts', 'benchmarks', 'reliability', 'hostile'}
  tests = [path.split('/') for path in repository.python_files('tests')]
  wrong = ['/'.join(parts) for parts in tests if len(parts) > 2 and parts[1] not in rooms]
  assert not wrong


def test_tests_are_collected():
  """A file of tests that pytest does not collect would pass unseen."""
  wrong = [
    path
    for path in repository.python_files('tests')
    if not path.endswith('_test.py')
    for node in repository.tree(path).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')
  ]
  assert not wrong


def test_a_binary_has_main_and_run():
  problems = []
  for path in repository.python_files('scripts'):
    names = {node.name for node in repository.tree(path).body if isinstance(node, ast.FunctionDef)}
    if not path.endswith('__init__.py') and not {'main', 'run'} <= names:
      problems.append(f'{path} needs main(argv) and run(), its console entry point')
  assert not problems, '\n'.join(['', *problems])
