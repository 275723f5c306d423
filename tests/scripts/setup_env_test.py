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

"""scripts/setup_env.sh, with a Python that only pretends to install."""

import os
import pathlib
import shutil
import subprocess

import pytest

from tests import testing

_PYTHON = r"""#!/bin/bash
# Answers as Python {version} does to what setup_env.sh asks, and notes down every installation.
case "$*" in
  *version_info*) case {version} in 3.11|3.12|3.13) ;; *) exit 1 ;; esac ;;
  *ensurepip*) {has_venv} ;;
  --version) echo "Python {version}.9" ;;
  "-m venv"*)
    directory="${{@: -1}}"
    rm -rf "$directory" && mkdir -p "$directory/bin" "$directory/lib/python{version}/site-packages"
    cp "$0" "$directory/bin/python" ;;
  "-m pip install"*)
    echo install >> "$INSTALLS"
    sleep "${{PIP_SECONDS:-0}}"
    echo "Collecting numpy==2.4.6"
    echo "${{PIP_SAYS:-Installing collected packages: numpy}}"
    exit "${{PIP_CODE:-0}}" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class _Project:
  """A copy of setup_env.sh in a directory with a space, with its own lock file and PATH."""

  def __init__(self, root: pathlib.Path):
    self.root = root / 'my project'
    self.path = root / 'bin'
    self.installs = root / 'installs.log'
    (self.root / 'scripts').mkdir(parents=True)
    self.path.mkdir()
    shutil.copy(testing.repo_root() / 'scripts' / 'setup_env.sh', self.root / 'scripts')
    self.lock('numpy==2.4.6\n')
    tools = ['bash', 'awk', 'cat', 'cksum', 'cp', 'df', 'dirname', 'grep', 'ls', 'mkdir', 'rm', 'sleep', 'tail', 'tee']
    tools.append('touch')
    for tool in tools:
      (self.path / tool).symlink_to(shutil.which(tool))

  def lock(self, text: str) -> None:
    (self.root / 'requirements_lock.txt').write_text(text)

  def python(self, name: str = 'python3.11', version: str = '3.11', has_venv: bool = True) -> pathlib.Path:
    file = self.path / name
    file.write_text(_PYTHON.format(version=version, has_venv='true' if has_venv else 'false'))
    file.chmod(0o755)
    return file

  def start(self, cwd: pathlib.Path | None = None, **environment: str) -> subprocess.Popen:
    script = 'source "$1"; printf "%s" "$NASFPN_PYTHON"'
    return subprocess.Popen(
      [shutil.which('bash'), '-euo', 'pipefail', '-c', script, 'run', str(self.root / 'scripts' / 'setup_env.sh')],
      env={'PATH': str(self.path), 'INSTALLS': str(self.installs), **environment},
      cwd=cwd or self.root,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def run(self, cwd: pathlib.Path | None = None, **environment: str) -> tuple[int, str, str]:
    process = self.start(cwd, **environment)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error

  @property
  def num_installs(self) -> int:
    return len(self.installs.read_text().split()) if self.installs.exists() else 0


@pytest.fixture
def project(tmp_path):
  return _Project(tmp_path)


def test_makes_the_environment_once(project, tmp_path):
  project.python()
  code, out, error = project.run(cwd=tmp_path)
  assert code == 0, error
  assert out == str(project.root / '.venv' / 'bin' / 'python') and os.access(out, os.X_OK)
  pth = project.root / '.venv' / 'lib' / 'python3.11' / 'site-packages' / 'nasfpn_tf.pth'
  assert pth.read_text() == f'{project.root}\n'
  assert 'Making' in error

  assert project.run() == (0, out, '')
  assert project.num_installs == 1


def test_a_changed_lock_file_makes_it_anew(project):
  project.python()
  assert project.run()[0] == 0
  project.lock('numpy==2.4.7\n')
  assert project.run()[0] == 0
  assert project.num_installs == 2


def test_an_environment_of_the_user_is_not_emptied(project):
  project.python()
  theirs = project.root / '.venv'
  theirs.mkdir()
  (theirs / 'pyvenv.cfg').touch()
  code, _, error = project.run()
  assert code == 1 and str(theirs) in error and 'move or delete it' in error
  assert (theirs / 'pyvenv.cfg').exists() and project.num_installs == 0


def test_what_an_interrupted_run_left_is_made_anew(project):
  project.python()
  assert project.run(PIP_CODE='1')[0] == 1
  (project.root / '.venv' / '.lock_stamp').unlink(missing_ok=True)
  assert project.run()[0] == 0
  assert project.num_installs == 2


def test_a_moved_project_is_used_where_it_is(project, tmp_path):
  project.python()
  assert project.run()[0] == 0
  project.root = project.root.rename(tmp_path / 'moved')
  assert project.run()[0] == 0
  pth = project.root / '.venv' / 'lib' / 'python3.11' / 'site-packages' / 'nasfpn_tf.pth'
  assert pth.read_text() == f'{project.root}\n' and project.num_installs == 1


@pytest.mark.parametrize(
  'says,hint',
  [
    ('ERROR: No matching distribution found for numpy==2.4.6', 'needs the network once'),
    ('ERROR: [Errno 28] No space left on device', 'The disk is full'),
  ],
)
def test_a_failed_installation_says_why_and_is_repeated(project, says, hint):
  project.python()
  code, out, error = project.run(PIP_CODE='1', PIP_SAYS=says)
  assert code == 1 and out == ''
  assert says in error and hint in error
  assert project.run()[0] == 0 and project.num_installs == 2


def test_a_killed_installation_is_repeated(project):
  project.python()
  (project.root / '.venv' / 'bin').mkdir(parents=True)  # A venv without its stamp, and the lock of a dead process.
  shutil.copy(project.path / 'python3.11', project.root / '.venv' / 'bin' / 'python')
  (project.root / '.venv' / '.made_by_setup_env').touch()
  dead = subprocess.Popen(['true'])
  dead.wait()
  (project.root / '.venv.lock').mkdir()
  (project.root / '.venv.lock' / 'pid').write_text(f'{dead.pid}\n')
  assert project.run()[0] == 0
  assert project.num_installs == 1 and not (project.root / '.venv.lock').exists()


def test_two_runs_at_once_install_once(project):
  project.python()
  runs = [project.start(PIP_SECONDS='1.5') for _ in range(2)]
  results = [(process.communicate(timeout=60), process.returncode) for process in runs]
  assert [code for _, code in results] == [0, 0]
  assert project.num_installs == 1
  assert sum('waiting for it' in error for (_, error), _ in results) == 1


@pytest.mark.parametrize('version', ['3.12', '3.13'])
def test_takes_the_python_of_the_machine(version, project):
  project.python('python3', version=version)
  code, _, error = project.run()
  assert code == 0, error
  pth = project.root / '.venv' / 'lib' / f'python{version}' / 'site-packages' / 'nasfpn_tf.pth'
  assert pth.read_text() == f'{project.root}\n'


@pytest.mark.parametrize('version', ['3.9', '3.14'])
def test_a_wrong_python_is_explained(version, project):
  project.python('python3', version=version)
  code, _, error = project.run()
  assert code == 1
  assert 'needs Python 3.11, 3.12 or 3.13' in error and f'Python {version}.9' in error and 'PYTHON=' in error


def test_no_python_is_explained(project):
  code, _, error = project.run()
  assert code == 1 and 'no python3 at all' in error


def test_the_chosen_python_is_used_or_refused(project):
  project.python()
  chosen = project.python('my-python', version='3.10')
  code, _, error = project.run(PYTHON=str(chosen))
  assert code == 1 and f'PYTHON={chosen} is not a Python 3.11, 3.12 or 3.13' in error
  (project.path / 'python3.11').unlink()
  assert project.run(PYTHON=str(project.python('my-python')))[0] == 0


def test_a_python_without_venv_is_explained(project):
  project.python(has_venv=False)
  code, _, error = project.run()
  assert code == 1 and 'no venv module' in error


def test_what_a_link_leads_to_is_left_as_it_is(project, tmp_path):
  project.python()
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'kept').write_text('x')
  (project.root / '.venv').symlink_to(tmp_path / 'other')
  code, _, error = project.run()
  assert code != 0 and '.venv is a link' in error and 'remove the link' in error
  assert [path.name for path in (tmp_path / 'other').iterdir()] == ['kept'] and not project.num_installs


def test_a_full_disk_is_explained_before_anything_is_made(project):
  project.python()
  code, _, error = project.run(NASFPN_NEEDED_KB=str(10**15))
  assert code == 1 and 'Make room' in error
  assert project.num_installs == 0 and not (project.root / '.venv').exists()
