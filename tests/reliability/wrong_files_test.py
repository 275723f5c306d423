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

"""Commands that are given wrong files end with a line about them; `wrong_files` finds it where they do not."""

import subprocess
import sys

import pytest

from tests import commands as scripts
from tests import testing
from tests.reliability import commands, good_files, wrong_files

_CALL = commands.Command(('show.py',), ('a.json', 'b.txt'), {}, frozenset({('b.txt', 'cut')}))


@pytest.mark.parametrize(
  ('path', 'harm', 'code', 'text', 'found'),
  [
    ('a.json', 'cut', 1, 'show: /x/a.json: not JSON.', None),
    ('a.json', 'cut', 1, 'a warning\nshow: 2 problems:\n  /x/a.json: not JSON.', None),
    ('b.txt', 'cut', 0, 'done', None),
    ('a.json', 'cut', 0, 'done', 'exit code 0'),
    ('a.json', 'cut', 2, 'show: /x/a.json: not JSON.', 'exit code 2'),
    ('a.json', 'cut', None, '', 'does not end'),
    ('a.json', 'cut', 1, 'show: not JSON.', 'does not name a.json'),
    ('a.json', 'cut', 1, '/x/a.json: not JSON.', 'no line of the command'),
    ('a.json', 'cut', 1, 'Traceback (most recent call last)\nshow: /x/a.json: not JSON.', 'a stack trace'),
  ],
)
def test_faults_are_found(path, harm, code, text, found):
  fault = wrong_files.fault(_CALL, path, harm, code, text)
  assert (fault is None) if found is None else fault.startswith(found)


def test_every_command_that_reads_or_writes_files_is_called():
  """What only calls the others is left out: its steps are here one by one."""
  scripts = {path.name for path in (testing.repo_root() / 'scripts').glob('*.py')}
  chains = {'__init__.py', 'fit.py', 'quickstart.py', 'search_and_train.py'}
  assert {call.arguments[0] for call in commands.CALLS} == scripts - chains


@pytest.mark.parametrize('script', ['report_frontier.py', 'describe.py'])
def test_commands_that_need_no_detector(script, tmp_path):
  def call(command, directory, seconds):
    arguments = [part.format(d=directory) for part in command.arguments]
    done = scripts.run(*arguments, cwd=tmp_path, timeout=seconds)
    return done.returncode, done.stdout + done.stderr

  good = tmp_path / 'good'
  good_files.prepare_texts(good)
  for command in commands.CALLS:
    if command.arguments[0] == script:
      assert not wrong_files.try_command(command, good, 300, call)


@pytest.mark.slow
def test_a_command_that_reads_and_one_that_writes():
  """All commands take an hour of one core; these a minute."""
  command = [sys.executable, '-m', 'tests.reliability.wrong_files', '--command=report_frontier.py', '--command=plan.py']
  done = subprocess.run(command, cwd=testing.repo_root(), capture_output=True, text=True, timeout=1800, check=False)
  assert done.returncode == 0, done.stdout + done.stderr[-3000:]
