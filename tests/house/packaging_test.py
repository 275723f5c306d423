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

"""pyproject.toml and the requirements say what the package holds and needs."""

import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

from tests.house import repository

PROJECT = tomllib.loads(repository.text('pyproject.toml'))
EXTRAS = PROJECT['project'].get('optional-dependencies', {})
SETUPTOOLS = PROJECT['tool']['setuptools']

# Runs on a clone: it chains the other scripts by their paths.
NOT_INSTALLED = ('scripts/frontier.py', 'scripts/quickstart.py')


def normalized(name: str) -> str:
  """A distribution's name as indexes compare them."""
  return re.sub(r'[-_.]+', '-', name).lower()


def requirements(path: str) -> set[str]:
  lines = [line.split('#')[0].strip() for line in repository.text(path).splitlines()]
  return {normalized(re.split(r'[=<>~!;\[ ]', line)[0]) for line in lines if line}


def scripts() -> list[str]:
  return [path for path in repository.python_files('scripts') if not path.endswith('__init__.py')]


def config_packages() -> set[str]:
  """'nasfpn_tf.configs' and one for each directory under configs/."""
  parents = {pathlib.PurePosixPath(path).parent for path in repository.files() if path.startswith('configs/')}
  return {'nasfpn_tf.' + str(parent).replace('/', '.') for parent in parents}


def test_files_of_packages_are_package_data():
  """Style sheets, scripts and templates are in the wheel; BUILD files are not."""
  globs = {f'{package.replace(".", "/")}/{glob}' for package, of in SETUPTOOLS['package-data'].items() for glob in of}
  paths = [path for path in repository.files() if path.startswith('nasfpn_tf/') and not path.endswith(('.py', 'BUILD'))]
  missing = [path for path in paths if not any(pathlib.PurePosixPath(path).match(glob) for glob in globs)]
  assert paths and not missing


def test_packages_are_the_directories():
  packages = {path.removesuffix('/__init__.py').replace('/', '.') for path in repository.python_files('nasfpn_tf')}
  packages = {name for name in packages if not name.endswith('.py')}
  assert set(SETUPTOOLS['packages']) == packages | {'nasfpn_tf.scripts'} | config_packages()


def test_configs_and_scripts_are_mapped_and_carried():
  mapping = SETUPTOOLS['package-dir']
  assert mapping['nasfpn_tf.scripts'] == 'scripts'
  for package in config_packages():
    assert mapping[package] == package.removeprefix('nasfpn_tf.').replace('.', '/')
    assert SETUPTOOLS['package-data'][package] == ['*.yaml']


def test_every_script_has_a_console_entry_point():
  wanted = {
    f'nasfpn-{pathlib.PurePosixPath(path).stem.replace("_", "-")}': f'nasfpn_tf.{path[:-3].replace("/", ".")}:run'
    for path in scripts()
    if path not in NOT_INSTALLED
  }
  assert PROJECT['project']['scripts'] == wanted


def test_every_import_is_required():
  """What the package imports is a direct dependency, not something another package happens to bring."""
  wanted = {
    entry.name.split('.')[0]
    for path in repository.python_files('nasfpn_tf', 'scripts')
    for entry in repository.imports(path)
    if repository.module_file(entry.name) is None and entry.name.split('.')[0] not in sys.stdlib_module_names
  }
  missing = {package for package in wanted if package not in repository.DISTRIBUTIONS}
  assert not missing, f'add to DISTRIBUTIONS in tests/house/repository.py: {missing}'
  needed = {normalized(repository.DISTRIBUTIONS[package]) for package in wanted}
  extras = {normalized(re.split('[=<>~]', line)[0]) for lines in EXTRAS.values() for line in lines}
  assert needed <= requirements('requirements.txt') | extras
  assert not requirements('requirements.txt') & extras


def test_the_lock_pins_every_requirement():
  assert requirements('requirements.txt') | {'pytest', 'pytest-xdist', 'ruff'} <= requirements('requirements_lock.txt')
  lines = [line for line in repository.text('requirements_lock.txt').splitlines() if line and not line.startswith('#')]
  assert all(re.fullmatch(r'[\w.-]+==\S+', line) for line in lines)


def test_one_version():
  version = re.search(r"^__version__ = '(.+)'$", repository.text('nasfpn_tf/__init__.py'), re.MULTILINE)[1]
  assert f'version = "{version}"' in repository.text('MODULE.bazel')
  assert PROJECT['tool']['setuptools']['dynamic']['version'] == {'attr': 'nasfpn_tf.__version__'}


@pytest.mark.slow
def test_wheel_carries_configs_and_scripts(tmp_path):
  """Builds the wheel from a copy of the repository (pip fetches setuptools) and looks into it."""
  copy = tmp_path / 'source'
  for path in repository.files():
    (copy / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(repository.ROOT / path, copy / path)
  command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '-q', '-w', str(tmp_path), str(copy)]
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  (wheel,) = tmp_path.glob('*.whl')
  names = set(zipfile.ZipFile(wheel).namelist())
  carried = [path for path in repository.files() if path.startswith('configs/') and path.endswith('.yaml')]
  assert {f'nasfpn_tf/{path}' for path in [*carried, *scripts()]} <= names
  assert set(repository.python_files('nasfpn_tf')) <= names
  assert not any(name.startswith(('tests/', 'scripts/', 'configs/', 'benchmarks/')) for name in names)
