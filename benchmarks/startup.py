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

"""Measures how long each script takes to answer --help, compared with importing TensorFlow.

python -m benchmarks.startup --runs=5

Each call is a process. To reach: 1.5 times the import at most; describe.py, which does without TensorFlow, must not
load it.
"""

import pathlib
import subprocess
import sys

from absl import app, flags

from benchmarks import side_by_side

_SCRIPTS = flags.DEFINE_list('scripts', [], 'File names of the scripts to time; empty: all.')
_RUNS = flags.DEFINE_integer('runs', 5, 'Number of timed runs per command.', lower_bound=1)

_DIRECTORY = pathlib.Path(__file__).parent.parent / 'scripts'
_TO_REACH = 1.5
_BASE = 'import tensorflow'


def _run(command, statuses=(0,)):
  def run():
    done = subprocess.run(command, capture_output=True, cwd=_DIRECTORY.parent)
    if done.returncode not in statuses:
      raise SystemExit(f'{" ".join(command)} ended with status {done.returncode}: {done.stderr.decode()[-400:]}')

  return run


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  names = _SCRIPTS.value or sorted(path.name for path in _DIRECTORY.glob('*.py') if path.name != '__init__.py')
  # absl ends --help with status 1.
  commands = {name: _run([sys.executable, str(_DIRECTORY / name), '--help'], (0, 1)) for name in names}
  commands['import nasfpn_tf'] = _run([sys.executable, '-c', 'import nasfpn_tf'])
  commands[_BASE] = _run([sys.executable, '-c', _BASE])
  loads = "import sys; from scripts import describe; sys.exit('tensorflow' in sys.modules)"
  _run([sys.executable, '-c', loads])()
  samples = side_by_side.interleave(commands, _RUNS.value)
  print(side_by_side.machine())
  print(f'| command | median ms | to {_BASE} | to reach |\n|---|---|---|---|')
  base = samples[_BASE].wall_ms
  for name, of_command in samples.items():
    wall = sorted(of_command.wall_ms)
    relative = side_by_side.ratio(of_command.wall_ms, base)
    print(f'| {name} | {wall[len(wall) // 2]:.0f} | {relative:.2f} | <= {_TO_REACH} |')


if __name__ == '__main__':
  app.run(main)
