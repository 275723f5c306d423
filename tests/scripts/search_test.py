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

"""scripts/search.py from the command line, without TensorFlow and with evaluators that take no time."""

import json
import os
import signal
import subprocess
import sys

import pytest

from nasfpn_tf import topology
from tests import testing
from tests.search.samples import wait_for

CONFIG = "evaluator: {name: 'tests.search.samples:%s', trial: 3}\nsearcher: {name: random}\nmax_trials: 6\n"


@pytest.fixture(name='command')
def fixture_command(tmp_path):
  """Makes the command for an evaluator."""

  def command(evaluator='instant', *flags, directory='run'):
    (tmp_path / 'search.yaml').write_text(CONFIG % evaluator)
    script = str(testing.repo_root() / 'scripts' / 'search.py')
    files = (f'--search_config={tmp_path}/search.yaml', f'--search_dir={tmp_path}/{directory}')
    return [sys.executable, script, *files, *flags]

  return command


def run(command):
  root = str(testing.repo_root())
  return subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': root})


def test_a_search_from_the_command_line(command, tmp_path):
  done = run(command())
  assert done.returncode == 0, done.stderr
  assert 'Space nasfpn: 1,931,334,451,200,000 architectures of 28 decisions (1.93e+15)' in done.stdout
  assert 'search 6/6  best 0.' in done.stderr
  assert topology.resolve(str(tmp_path / 'run' / 'best.json')).num_levels == 5
  lines = (tmp_path / 'run' / 'trials.jsonl').read_text().splitlines()
  assert [json.loads(line)['id'] for line in lines] == list(range(6))
  assert 'Done: 6 of 6 trials' in (tmp_path / 'run' / 'report.html').read_text()
  longer = run(command('instant', '--max_trials=8'))
  assert longer.returncode == 0, longer.stderr
  assert (tmp_path / 'run' / 'trials.jsonl').read_text().splitlines()[:6] == lines


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--search_config=nothing'], "search: 'nothing' is neither a file nor a name in configs/search/"),
    (['--params_override=space.num_cells=4'], 'search: space nasfpn: 4 cells have no legal sequence'),
    (['--params_override=evaluator.name=no.such:thing'], "search: evaluator 'no.such:thing': there is no module"),
    (['--params_override=executor.wokers=3'], "search: executor local: option 'wokers' is unknown"),
    (['stray'], "search: unexpected argument 'stray'"),
  ],
)
def test_mistakes_take_one_line(command, flags, message):
  done = run(command('instant', *flags))
  assert done.returncode == 1
  assert done.stderr.startswith(message) and done.stderr.count('\n') == 1


def test_another_search_in_the_same_directory(command):
  assert run(command('instant', '--max_trials=1')).returncode == 0
  done = run(command('instant', '--max_trials=1', '--searcher=evolution'))
  assert done.returncode == 1
  assert 'belongs to another search: searcher.name is "random" there and "evolution" here' in done.stderr


def test_a_damaged_store_takes_one_line(command, tmp_path):
  assert run(command('instant', '--max_trials=2')).returncode == 0
  store = tmp_path / 'run' / 'search.sqlite'
  store.write_bytes(store.read_bytes()[:10_000])
  before = store.read_bytes()
  done = run(command('instant'))
  assert done.returncode == 1
  assert done.stderr.startswith(f'search: {store} is damaged or not the store of a search: ')
  assert done.stderr.count('\n') == 1 and store.read_bytes() == before


def test_told_to_stop(command, tmp_path):
  root = str(testing.repo_root())
  search = subprocess.Popen(
    command('pauses'), env={**os.environ, 'PYTHONPATH': root}, stderr=subprocess.PIPE, text=True
  )
  wait_for((tmp_path / 'run' / 'trials' / '000003' / 'begun').exists)
  search.send_signal(signal.SIGTERM)
  _, said = search.communicate()
  assert search.returncode == 42
  assert 'search: stopped; the same command resumes' in said
  assert 'In progress: 3 of 6 trials' in (tmp_path / 'run' / 'report.html').read_text()
  done = run(command('pauses'))
  assert done.returncode == 0, done.stderr
