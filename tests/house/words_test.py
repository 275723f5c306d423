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

"""Words that no file of the project holds: leftovers and paths of one machine."""

import re

from tests.house import repository

SUFFIXES = ('.py', '.md', '.sh', '.yaml', '.toml', '.txt', '.bzl', '.bazel', 'BUILD', '.ci/run', '.svg', '.json')
TEXTS = [path for path in repository.files() if path.endswith(SUFFIXES)]

# Put together here so that this file does not hold them itself.
LEFTOVERS = re.compile('|'.join([r'\bTO' + r'DO\b', r'\bFIX' + r'ME\b', r'\bX' + r'XX\b', 'NotImplemented' + 'Error']))
# A directory of one machine; a documented command uses a relative path or /path/to/...
MACHINE = re.compile(r'(?<![\w.$}>\])/*~-])/(?:work|farm|root|tmp|home|mnt|Users)/[A-Za-z]')


def found_in_lines(pattern: re.Pattern) -> list[str]:
  """'path:line: the line' wherever the pattern is found."""
  return [
    f'{path}:{number}: {line.strip()[:120]}'
    for path in TEXTS
    for number, line in enumerate(repository.text(path).splitlines(), 1)
    if pattern.search(line)
  ]


def test_no_leftovers():
  found = found_in_lines(LEFTOVERS)
  assert not found, '\n'.join(['', *found])


def test_no_paths_of_one_machine():
  found = found_in_lines(MACHINE)
  assert not found, '\n'.join(['', *found])


def test_the_patterns_find_what_they_are_for():
  assert LEFTOVERS.search('# TO' + 'DO(me): later')
  assert MACHINE.search('--model_dir=/tm' + 'p/run')
  assert MACHINE.search("open('/ho" + "me/me/x')")
  assert not MACHINE.search('see ../shared/work/notes and https://example.org/home/page')


def test_no_large_files():
  large = [path for path in repository.files() if (repository.ROOT / path).stat().st_size > 2**20]
  assert not large, 'files above 1 MiB do not belong into the repository'
