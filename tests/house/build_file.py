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

"""Makes the Bazel BUILD file from the imports of the Python files, so that its targets and their deps are true.

python -m tests.house.build_file            # prints what is missing in BUILD
python -m tests.house.build_file --write    # writes BUILD
"""

import difflib
import re
import sys
from collections.abc import Iterable, Sequence

from tests.house import repository

_HEAD = """\
# Bazel targets of nasfpn_tf: a py_library for each package, a py_binary for each script
# and benchmark, a test for each test file.
# Made from the imports by `python -m tests.house.build_file --write`; change that, not this.

load("@rules_python//python:defs.bzl", "py_binary", "py_library")
load(":pytest_test.bzl", "pytest_test")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["LICENSE"])

# What scripts and their tests read besides Python modules; the rules of the house read everything.
filegroup(
    name = "files",
    srcs = glob(
        [
            "*.md",
            "configs/**",
            "docs/**",
            "examples/**",
            "scripts/**",
            "tests/**/*.c",
        ],
        exclude = ["examples/**/node_modules/**"],
        allow_empty = True,
    ),
)

filegroup(
    name = "repository",
    srcs = glob(
        ["**"],
        exclude = [
            ".venv/**",
            ".venv_clients/**",
            "bazel-*/**",
            "examples/**/node_modules/**",
            "quickstart/**",
            "runs/**",
        ],
    ),
)
"""


# Benchmarks that start scripts.
_STARTS_SCRIPTS = ('benchmarks/startup.py', 'benchmarks/tfrecord_writing.py')
_LOCK = re.sub(r'[-.]', '_', repository.text('requirements_lock.txt')).lower()


def build_text() -> str:
  """The whole BUILD file."""
  parts = [_HEAD]
  libraries = _grouped(repository.python_files('nasfpn_tf'))
  parts += [_target('py_library', name, sources) for name, sources in libraries.items()]
  parts.append(_rule('py_library', name='nasfpn_tf', deps=[f':{name}' for name in sorted(libraries)]))
  for path in repository.python_files('scripts'):
    if not path.endswith('__init__.py'):
      parts.append(_binary(path, data=[] if path == 'scripts/describe.py' else [':files']))
  tests = repository.python_files('tests')
  support = _grouped([path for path in tests if not path.endswith('_test.py')])
  parts += [_target('py_library', name, sources, testonly=True) for name, sources in support.items()]
  parts += [_test(path) for path in tests if path.endswith('_test.py')]
  programs = [path for path in repository.python_files('benchmarks') if _is_program(path)]
  shared = [path for path in repository.python_files('benchmarks') if not _is_program(path)]
  parts += [_target('py_library', name, sources) for name, sources in _grouped(shared).items()]
  parts += [_binary(path, data=[':files'] if path in _STARTS_SCRIPTS else []) for path in programs]
  return '\n'.join(parts)


def main(argv: Sequence[str]) -> int:
  """Prints how BUILD differs from what it should be, or writes it."""
  path = repository.ROOT / 'BUILD'
  wanted = build_text()
  if '--write' in argv[1:]:
    path.write_text(wanted, encoding='utf-8')
    return 0
  present = path.read_text(encoding='utf-8') if path.exists() else ''
  sys.stdout.writelines(
    difflib.unified_diff(present.splitlines(True), wanted.splitlines(True), 'BUILD', 'as the imports are')
  )
  return int(present != wanted)


def _is_program(path: str) -> bool:
  return "'__main__'" in repository.text(path)


def _library(path: str) -> str:
  """Name of the library a module is in: that of its package or, directly under nasfpn_tf/, its own."""
  parts = path.removesuffix('.py').split('/')
  if parts[0] == 'tests':
    return '_'.join(parts[:-1]) if len(parts) > 2 else 'tests'
  if parts[0] == 'benchmarks':
    return '/'.join(parts) if _is_program(path) else 'benchmarking'
  if parts[0] == 'nasfpn_tf':
    return 'package_init' if parts[1] == '__init__' else parts[1]
  return parts[-1]


def _grouped(paths: Iterable[str]) -> dict[str, list[str]]:
  groups = {}
  for path in paths:
    groups.setdefault(_library(path), []).append(path)
  return groups


def _deps(sources: Iterable[str], name: str) -> list[str]:
  """Labels of the libraries and packages that the sources import, and of the packages they are in."""
  labels = set()
  for path in sources:
    if path.startswith('nasfpn_tf/'):
      labels.add(':package_init')
    if path.startswith('tests/'):
      labels |= {':tests', f':{_library(path)}'}
    for entry in repository.imports(path):
      package = entry.name.split('.')[0]
      file = repository.module_file(entry.name)
      if file is not None:
        labels.add(f':{_library(file)}')
        if file.startswith('nasfpn_tf/'):
          labels.add(':package_init')
      elif package in repository.DISTRIBUTIONS:
        distribution = re.sub(r'[-_.]+', '_', repository.DISTRIBUTIONS[package]).lower()
        # Bazel knows what is locked; without an extra, what uses it says so or is skipped.
        if re.search(rf'^{distribution}==', _LOCK, re.MULTILINE):
          labels.add(f'@pypi//{distribution}')
      elif package not in sys.stdlib_module_names:
        raise ValueError(
          f'{path}:{entry.line} imports {entry.name}: add {package!r} to DISTRIBUTIONS in tests/house/repository.py'
        )
  return sorted(labels - {f':{name}'}, key=_label_order)


def _label_order(label: str) -> tuple[bool, str]:
  return label.startswith('@'), label


def _target(kind: str, name: str, sources: list[str], testonly: bool = False) -> str:
  return _rule(kind, name=name, testonly=testonly, srcs=sources, deps=_deps(sources, name))


def _binary(path: str, data: list[str]) -> str:
  name = path.removesuffix('.py')
  return _rule('py_binary', name=name, srcs=[path], data=data, main=path, deps=_deps([path], name))


def _test(path: str) -> str:
  data = [':repository'] if path.startswith('tests/house/') else [':files']
  name = path.removesuffix('.py')
  return _rule('pytest_test', name=name, srcs=[path], data=data, deps=_deps([path], name))


def _rule(kind: str, **attributes: str | bool | list[str]) -> str:
  """One rule as buildifier would print it; attributes that are empty or false are left out."""
  lines = [f'{kind}(']
  for key, value in attributes.items():
    if value is True:
      lines.append(f'    {key} = True,')
    elif isinstance(value, str):
      lines.append(f'    {key} = "{value}",')
    elif isinstance(value, list) and len(value) == 1:
      lines.append(f'    {key} = ["{value[0]}"],')
    elif value:
      lines += [f'    {key} = [', *(f'        "{item}",' for item in value), '    ],']
  return '\n'.join([*lines, ')', ''])


if __name__ == '__main__':
  sys.exit(main(sys.argv))
