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

"""Makes the Bazel BUILD files from the imports of the Python files, so that their targets and deps are true.

python -m tests.house.build_file            # prints what differs
python -m tests.house.build_file --write    # writes every BUILD file and deletes those of directories that are gone

A package is one py_library beside its code. A package that holds other packages has a py_library for each of its own
modules instead, so that what they share with the packages below is no circle. A directory of tests is one macro over a
glob; its deps are what its tests import.
"""

import difflib
import pathlib
import re
import sys
from collections.abc import Iterable, Sequence

from tests.house import repository

# Directories of programs; nasfpn_tf/ holds libraries, tests/ tests.
_PROGRAMS = ('scripts', 'benchmarks')

_MADE = '# Generated from the imports by `python -m tests.house.build_file --write`.\n'
_PUBLIC = 'package(default_visibility = ["//visibility:public"])\n'
_ROOT = """\
# Targets for Bazel: `bazel run //:train -- --help`, `bazel test //tests/...`, `//nasfpn_tf` as a dependency.
# Every directory with Python files has its own BUILD file.
{made}
{public}
licenses(["notice"])

exports_files([
    "LICENSE",
    "pyproject.toml",
    "requirements_lock.txt",
])

# One target for each script.
[
    alias(
        name = script,
        actual = "//scripts:" + script,
    )
    for script in [
{scripts}
    ]
]

# Files other than Python modules that scripts and their tests read.
filegroup(
    name = "files",
    srcs = glob([
        "*.md",
        "configs/**",
        "docs/**",
    ]) + glob(
        ["examples/**"],
        exclude = ["examples/**/node_modules/**"],
    ) + ["//scripts:files"],
)

# The whole repository, which tests/house checks.
filegroup(
    name = "repository",
    srcs = glob(
        ["**"],
        exclude = [
            ".venv*/**",
            "bazel-*/**",
            "examples/**/node_modules/**",
            "quickstart/**",
            "runs/**",
        ],
    ) + [
        "//benchmarks:files",
        "//nasfpn_tf:files",
        "//scripts:files",
        "//tests:files",
    ],
)
"""

# What starts scripts needs, besides its imports, what they import.
_STARTS_SCRIPTS = ('benchmarks/startup.py', 'benchmarks/tfrecord_writing.py', 'tests/scripts')
_LOCK = re.sub(r'[-.]', '_', repository.text('requirements_lock.txt')).lower()


def build_files() -> dict[str, str]:
  """Returns the contents of every BUILD file, by its path."""
  scripts = '\n'.join(f'        "{pathlib.PurePosixPath(path).stem}",' for path in _programs('scripts'))
  root = _ROOT.format(made=_MADE, public=_PUBLIC, scripts=scripts)
  return {
    'BUILD': root,
    **{f'{package}/BUILD': _library_package(package) for package in _packages('nasfpn_tf')},
    **{f'{package}/BUILD': _program_package(package) for package in _PROGRAMS},
    **{f'{package}/BUILD': _test_package(package) for package in _packages('tests')},
  }


def present_build_files() -> dict[str, str]:
  """Returns the contents of the BUILD files that are there, by their path."""
  paths = [path for path in repository.files() if pathlib.PurePosixPath(path).name == 'BUILD']
  return {path: repository.text(path) for path in paths}


def main(argv: Sequence[str]) -> int:
  """Prints how the BUILD files differ from what they should be, or writes them."""
  wanted, present = build_files(), present_build_files()
  if '--write' in argv[1:]:
    for path in present.keys() - wanted.keys():
      (repository.ROOT / path).unlink()
    for path, text in wanted.items():
      (repository.ROOT / path).write_text(text, encoding='utf-8')
    return 0
  for path in sorted(present.keys() | wanted.keys()):
    texts = [files.get(path, '').splitlines(True) for files in (present, wanted)]
    sys.stdout.writelines(difflib.unified_diff(*texts, path, f'{path}, as the imports are'))
  return int(present != wanted)


def _library_package(package: str) -> str:
  """BUILD of a package of nasfpn_tf: one library, or one a module where packages are below."""
  sources = _sources(package)
  data = _data(package)
  if not _below(package):
    rules = [_library(package, sources, data=data)]
  else:
    init = _loaded_by_init(package)
    rules = [_library(package, init, data=data)]
    rules += [_library(package, [path]) for path in sources if path not in init]
    everything = {_label(path) for path in sources} | {
      _label(f'{below}/__init__.py', whole=True) for below in _below(package)
    }
    rules.append(_rule('py_library', name=_name(package), deps=_shortened(everything, package)))
  return _text(package, 'load("@rules_python//python:defs.bzl", "py_library")', rules)


def _program_package(package: str) -> str:
  """BUILD of scripts/ or benchmarks/: a binary for each program, a library of what they share."""
  programs = _programs(package)
  # That of scripts/ only makes the wheel's package.
  shared = [path for path in _sources(package) if path not in programs and path != 'scripts/__init__.py']
  rules = [_library(package, shared)] if shared else []
  for path in programs:
    reads = package == 'scripts' or path in _STARTS_SCRIPTS
    rules.append(
      _rule(
        'py_binary',
        name=pathlib.PurePosixPath(path).stem,
        srcs=[pathlib.PurePosixPath(path).name],
        data=['//:files'] if reads else [],
        deps=_deps([path], path),
      )
    )
  kinds = '"py_binary", "py_library"' if shared else '"py_binary"'
  return _text(package, f'load("@rules_python//python:defs.bzl", {kinds})', rules)


def _test_package(package: str) -> str:
  """BUILD of a directory of tests: what they share, and a test for each file."""
  tests = [path for path in _sources(package) if path.endswith('_test.py')]
  support = [path for path in _sources(package) if path not in tests]
  rules = ['exports_files(["pytest_main.py"])\n'] if package == 'tests' else []
  loads = []
  if support:
    rules.append(_library(package, support, testonly=True))
    loads.append('load("@rules_python//python:defs.bzl", "py_library")')
  if tests:
    data = [':files'] if _data(package) else []
    data.append('//:repository' if package == 'tests/house' else '//:files')
    deps = _deps(tests, package)
    rules.append(_rule('pytest_tests', name='all_tests', srcs='glob(["*_test.py"])', data=data, deps=deps))
    loads.append(f'load("{":" if package == "tests" else "//tests:"}pytest_tests.bzl", "pytest_tests")')
  return _text(package, '\n'.join(sorted(loads, key=lambda line: '@' not in line)), rules)


def _text(package: str, loads: str, rules: list[str]) -> str:
  """A BUILD file; all that lies in its directory and below is `:files`."""
  below = [f'//{other}:files' for other in _below(package) if '/' not in other.removeprefix(f'{package}/')]
  files = 'filegroup(\n    name = "files",\n    srcs = glob(["**"])'
  files += ' + [\n' + ''.join(f'        "{label}",\n' for label in below) + '    ],\n)\n' if below else ',\n)\n'
  return '\n'.join([_MADE, loads, '', _PUBLIC, *rules, files])


def _packages(top: str) -> list[str]:
  """The directory and those below it that hold Python files."""
  return sorted({path.rpartition('/')[0] for path in repository.python_files(top)})


def _below(package: str) -> list[str]:
  return [other for other in _packages(package.split('/')[0]) if other.startswith(f'{package}/')]


def _sources(package: str) -> list[str]:
  return [path for path in repository.python_files(package) if path.rpartition('/')[0] == package]


def _loaded_by_init(package: str) -> list[str]:
  """A package's __init__.py, and the modules beside it that it imports: one library, since each needs the other."""
  init = f'{package}/__init__.py'
  imported = {repository.module_file(entry.name) for entry in repository.imports(init)}
  return [path for path in _sources(package) if path == init or path in imported]


def _programs(package: str) -> list[str]:
  return [path for path in _sources(package) if "'__main__'" in repository.text(path)]


def _data(package: str) -> list[str]:
  """Globs of the files of a package that are not Python."""
  below = tuple(f'{other}/' for other in _below(package))
  names = [path for path in repository.files() if path.startswith(f'{package}/') and not path.startswith(below or '/')]
  suffixes = {pathlib.PurePosixPath(name).suffix for name in names} - {'', '.py', '.bzl'}
  return [f'**/*{suffix}' for suffix in sorted(suffixes)]


def _name(package: str) -> str:
  return package.rpartition('/')[2]


def _label(path: str, whole: bool = False) -> str:
  """Label of the library that a module is in; `whole`: of its package with all below."""
  package, _, file = path.rpartition('/')
  stem = file.removesuffix('.py')
  if package.startswith('nasfpn_tf') and _below(package) and not whole:
    name = 'package_init' if path in _loaded_by_init(package) else stem
  elif package in _PROGRAMS and path in _programs(package):
    name = stem
  else:
    name = _name(package)
  return f'//{package}:{name}'


def _deps(sources: Iterable[str], place: str) -> list[str]:
  """Labels of the libraries and packages that the sources import, and of the packages they are in."""
  labels = set()
  package = place.rpartition('/')[0] if place.endswith('.py') else place
  for path in sources:
    labels |= _around(path)
    for entry in repository.imports(path):
      distributed = entry.name.split('.')[0]
      file = repository.module_file(entry.name)
      if file is not None:
        labels.add(_label(file))
      elif distributed in repository.DISTRIBUTIONS:
        distribution = re.sub(r'[-_.]+', '_', repository.DISTRIBUTIONS[distributed]).lower()
        # Bazel knows what is locked; without an extra, what uses it says so or is skipped.
        if re.search(rf'^{distribution}==', _LOCK, re.MULTILINE):
          labels.add(f'@pypi//{distribution}')
      elif distributed not in sys.stdlib_module_names:
        raise ValueError(
          f'{path}:{entry.line} imports {entry.name}: add {distributed!r} to DISTRIBUTIONS in tests/house/repository.py'
        )
  if place.startswith(_STARTS_SCRIPTS):
    labels.add('//nasfpn_tf:nasfpn_tf')
  return _shortened(labels, package)


def _around(path: str) -> set[str]:
  """Labels of what Python or pytest loads before a module: the packages around it, the fixtures of a test."""
  parents = [parent.as_posix() for parent in pathlib.PurePosixPath(path).parents][:-1]
  if path.startswith('nasfpn_tf/'):
    files = [f'{parent}/__init__.py' for parent in parents if _below(parent)]
  else:
    names = () if path.startswith('scripts/') else ('__init__.py', 'conftest.py')
    files = [f'{parent}/{name}' for parent in parents for name in names]
  return {_label(file) for file in files if file in repository.files()}


def _shortened(labels: Iterable[str], package: str) -> list[str]:
  """Labels as they are written in a package's BUILD file, in buildifier's order."""
  short = {re.sub(rf'^//{package}:', ':', label) for label in labels}
  short = {re.sub(r'^(//(?:.*/)?([^/:]+)):\2$', r'\1', label) for label in short}
  return sorted(short, key=lambda label: (':/@'.index(label[0]), label.replace(':', '.').split('.')))


def _library(package: str, sources: list[str], **attributes: bool | list[str]) -> str:
  name = _label(sources[0]).rpartition(':')[2]
  files = [path.rpartition('/')[2] for path in sources]
  if data := attributes.get('data'):
    attributes['data'] = f'glob({_list(data, 0)})'
  deps = [label for label in _deps(sources, package) if label != f':{name}']
  return _rule('py_library', name=name, **{'srcs': files, **attributes, 'deps': deps})


def _rule(kind: str, **attributes: str | bool | list[str]) -> str:
  """One rule as buildifier prints it; attributes that are empty or false are left out."""
  attributes = {'name': attributes['name'], 'testonly': attributes.get('testonly', False), **attributes}
  lines = [f'{kind}(']
  for key, value in attributes.items():
    if value is True:
      lines.append(f'    {key} = True,')
    elif isinstance(value, str):
      lines.append(f'    {key} = {value}' + ',' if value.startswith('glob(') else f'    {key} = "{value}",')
    elif value:
      lines.append(f'    {key} = {_list(value, 4)},')
  return '\n'.join([*lines, ')', ''])


def _list(items: list[str], indent: int) -> str:
  if len(items) == 1:
    return f'["{items[0]}"]'
  inner = ''.join(f'{" " * (indent + 4)}"{item}",\n' for item in items)
  return f'[\n{inner}{" " * indent}]'


if __name__ == '__main__':
  sys.exit(main(sys.argv))
