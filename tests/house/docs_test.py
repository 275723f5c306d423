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

"""What the README, CONTRIBUTING.md and docs/ say is there is there: links, paths, scripts, flags, Python examples."""

import ast
import functools
import pathlib
import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest

from tests.house import repository

DOCS = [path for path in repository.files() if re.fullmatch(r'(docs/)?[^/]+\.md', path)]
CONFIGS = [path for path in repository.files() if path.startswith('configs/') and path.endswith('.yaml')]
TOP_LEVEL = {path.split('/')[0] for path in repository.files() if '/' in path}

# What absl itself gives every binary.
ABSL_FLAGS = {
  'help',
  'helpshort',
  'helpfull',
  'v',
  'verbosity',
  'logtostderr',
  'alsologtostderr',
  'log_dir',
  'flagfile',
}


def prose(path: str) -> str:
  """A document without its code blocks."""
  return re.sub(r'^```.*?^```', '', repository.text(path), flags=re.DOTALL | re.MULTILINE)


def blocks(path: str, *languages: str) -> Iterator[tuple[int, str]]:
  """(line, code) of each code block in one of the languages; '' is a block without a language."""
  text = repository.text(path)
  for match in re.finditer(r'^```(\w*)[^\n]*\n(.*?)^```', text, flags=re.DOTALL | re.MULTILINE):
    if match[1] in languages:
      yield text.count('\n', 0, match.start()) + 2, match[2]


@functools.cache
def anchors(path: str) -> set[str]:
  """Anchors of a document's headings, made as GitHub makes them."""
  headings = re.findall(r'^#+ +(.+?) *$', prose(path), flags=re.MULTILINE)
  return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@functools.cache
def flags_of(script: str) -> set[str]:
  """Flags that a script defines itself, with the `no` forms of its booleans."""
  found = set(ABSL_FLAGS)
  for node in ast.walk(repository.tree(script)):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith('DEFINE_'):
      if node.args and isinstance(node.args[0], ast.Constant):
        found.add(node.args[0].value)
        if node.func.attr in ('DEFINE_bool', 'DEFINE_boolean'):
          found.add('no' + node.args[0].value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == 'add_argument':
      found |= {argument.value.removeprefix('--') for argument in node.args if isinstance(argument, ast.Constant)}
  return found


def script_of(word: str) -> str | None:
  """The repository's script that a word of a command names: a path, a console entry point, a shell script around it."""
  entries = tomllib.loads(repository.text('pyproject.toml'))['project']['scripts']
  if word in entries:
    return entries[word].split(':')[0].removeprefix('nasfpn_tf.').replace('.', '/') + '.py'
  match = re.search(r'(?:^|/)(scripts/\w+)\.(py|sh)$', word)
  if match and match[2] == 'sh' and match[0].lstrip('/') in repository.files():
    called = re.search(r'^exec .*(scripts/\w+\.py)', repository.text(match[0].lstrip('/')), flags=re.MULTILINE)
    if called:
      return called[1]
  return f'{match[1]}.py' if match else None


def wrong_flags(command: str) -> list[str]:
  """Flags in a command line that its script does not have."""
  script, wrong = None, []
  for word in shlex.split(command, comments=True):
    script = script_of(word) or script
    if word in ('|', '&&', ';', '||'):
      script = None
    elif script in repository.files() and word.startswith('--'):
      flag = word[2:].split('=')[0]
      wrong += [] if flag in flags_of(script) else [f'--{flag} of {script}']
  return wrong


def commands(code: str) -> Iterator[str]:
  """The command lines of a shell block, continuation lines joined."""
  for line in code.replace('\\\n', ' ').splitlines():
    line = line.strip().removeprefix('$ ')
    if script_of(line.split(' ')[0]) or 'scripts/' in line:
      yield line


def test_there_is_a_readme():
  assert 'README.md' in DOCS


@pytest.mark.parametrize('path', DOCS)
def test_links_lead_somewhere(path):
  here = pathlib.PurePosixPath(path).parent
  for target in re.findall(r'\]\(([^)\s]+)\)', prose(path)) + re.findall(r'src="([^"]+)"', prose(path)):
    if re.match(r'[a-z]+:', target):
      continue
    file, _, anchor = target.partition('#')
    linked = (repository.ROOT / here / file).resolve() if file else repository.ROOT / path
    assert linked.exists(), f'{path}: {target}'
    if anchor:
      relative = linked.relative_to(repository.ROOT).as_posix()
      assert anchor in anchors(relative), f'{path}: {target}: no such heading'


@pytest.mark.parametrize('path', DOCS)
def test_paths_in_backticks_exist(path):
  """`nasfpn_tf/...`, `scripts/...` and so on; <placeholders>, wildcards and what the reader makes are left out."""
  for quoted in re.findall(r'`([^`\n]+)`', prose(path)):
    word = quoted.split(' ')[0].split('::')[0].removeprefix('./').rstrip('/')
    top = word.split('/')[0]
    if '/' in word and top in TOP_LEVEL and re.fullmatch(r'[\w./-]+', word):
      assert (repository.ROOT / word).exists(), f'{path}: `{quoted}`'


@pytest.mark.parametrize('path', [*DOCS, *CONFIGS])
def test_scripts_named_exist(path):
  for script in re.findall(r'(?<!tests/)\b(scripts/\w+\.(?:py|sh))', repository.text(path)):
    assert script in repository.files(), f'{path}: {script}'


@pytest.mark.parametrize('path', DOCS)
def test_commands_use_flags_that_exist(path):
  for line, code in blocks(path, 'bash', 'sh', 'shell', 'console', ''):
    for command in commands(code):
      wrong = wrong_flags(command)
      assert not wrong, f'{path}, block at line {line}: no {", ".join(wrong)}'


@pytest.mark.parametrize('path', CONFIGS)
def test_commands_in_configs_use_flags_that_exist(path):
  """The comment lines that follow `Command:`, up to one that begins another remark."""
  comment = '\n'.join(line[1:] for line in repository.text(path).splitlines() if line.startswith('#'))
  for command in re.findall(r'(?:Command|Train|Export|Evaluate|Records):\s*((?:.+\n?)(?: {2,}.+\n?)*)', comment):
    wrong = wrong_flags(' '.join(command.split()).replace('\\ ', ' '))
    assert not wrong, f'{path}: no {", ".join(wrong)}'


@pytest.mark.parametrize('path', [path for path in repository.python_files('scripts') if '__init__' not in path])
def test_commands_in_the_docstrings_of_scripts_use_flags_that_exist(path):
  for command in commands(ast.get_docstring(repository.tree(path)) or ''):
    wrong = wrong_flags(command) if '--' in command else []
    assert not wrong, f'{path}: no {", ".join(wrong)}'


@pytest.mark.parametrize('path', DOCS)
def test_python_examples_compile_and_their_imports_exist(path):
  for line, code in blocks(path, 'python'):
    tree = ast.parse(code, filename=f'{path}:{line}')
    for node in ast.walk(tree):
      if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'nasfpn_tf':
        for alias in node.names:
          assert exists(node.module, alias.name), f'{path}, block at line {line}: {node.module}.{alias.name}'


def exists(module: str, name: str) -> bool:
  """Whether `from module import name` can work: a submodule, or a name that the module's file defines."""
  file = repository.module_file(module)
  return file is not None and (
    repository.module_file(f'{module}.{name}') != file or re.search(rf'\b{name}\b', repository.text(file)) is not None
  )


def test_repository_layout():
  """The table of CONTRIBUTING.md names only what exists, and every room of the package."""
  section = re.search(r'^## Repository layout$(.*?)(?=^## |\Z)', prose('CONTRIBUTING.md'), re.DOTALL | re.M)
  assert section, 'CONTRIBUTING.md has no section "Repository layout"'
  rows = re.findall(r'^\|([^|]+)\|', section[1], flags=re.MULTILINE)
  named = [path for row in rows for path in re.findall(r'`([\w./-]+)`', row)]
  assert named
  for path in named:
    assert (repository.ROOT / path).exists(), f'CONTRIBUTING.md, repository layout: {path}'
  rooms = {'/'.join(path.split('/')[:2]) for path in repository.python_files('nasfpn_tf')} - {'nasfpn_tf/__init__.py'}
  missing = {room for room in rooms if not any(path.rstrip('/') == room for path in named)}
  assert not missing, f'CONTRIBUTING.md, repository layout, does not name {sorted(missing)}'


def test_the_checks_find_what_they_are_for():
  assert wrong_flags('python scripts/describe.py --topology=fpn --color=red') == ['--color of scripts/describe.py']
  assert wrong_flags('./scripts/quickstart.sh --smoke --fast') == ['--fast of scripts/quickstart.py']
  assert wrong_flags('./scripts/search.sh --smoke --num_workers=2') == ['--num_workers of scripts/search_and_train.py']
  assert wrong_flags('nasfpn-describe --noseparable --help | dot --Tsvg') == []
  assert list(commands('cd x\n$ python scripts/describe.py \\\n  --dot\n')) == ['python scripts/describe.py    --dot']
  assert not exists('nasfpn_tf.topology', 'nothing_of_the_kind')
  assert exists('nasfpn_tf', 'FeaturePyramid')
