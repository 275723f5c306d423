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

"""scripts/describe.py as a user runs it, and that topologies need nothing but the standard library."""

import subprocess
import sys

import pytest

from nasfpn_tf import topology
from tests import testing

SCRIPT = testing.repo_root() / 'scripts' / 'describe.py'


def describe(*arguments: str) -> subprocess.CompletedProcess:
  return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60)


def test_shows_drawing_wiring_and_cost():
  done = describe('--topology=nas_fpn', '--num_repeats=5', '--num_classes=91')
  assert done.returncode == 0, done.stderr
  assert topology.draw(topology.NAS_FPN) in done.stdout
  assert '   9  P5* = global_pooling(7, 8) + 2\n' in done.stdout
  rows = {line[:28].strip(): line[28:].split() for line in done.stdout.splitlines() if line.endswith(' G')}
  assert rows == {
    'projection': ['921,344', '1.468', 'G'],
    'one pyramid': ['4,137,728', '6.916', 'G'],
    'projection and 5 pyramids': ['21,609,984', '36.046', 'G'],
    'RetinaNet head, 91 classes': ['6,732,375', '57.020', 'G'],
  }
  assert done.stdout.endswith(f'digest {topology.NAS_FPN.digest}\n')


def test_counts_nas_fpnlite_on_mobilenet_v2():
  done = describe(
    '--min_level=3',
    '--max_level=6',
    '--num_repeats=3',
    '--num_filters=48',
    '--separable',
    '--image_size=256,320',
    '--input_filters=32,96,320',
  )
  assert done.returncode == 0, done.stderr
  params = topology.params(topology.nas_fpn(3, 6), 3, 48, {3: 32, 4: 96, 5: 320}, separable=True)
  assert f' {params:,} ' in done.stdout
  assert 'image 256x320' in done.stdout


def test_reads_a_file_and_writes_a_figure(tmp_path):
  spec = topology.bifpn(3, 5)
  path = tmp_path / 'found one.json'
  path.write_text(spec.to_json(), encoding='utf-8')
  figure = tmp_path / 'figures' / 'found.svg'
  done = describe(f'--topology={path}', f'--svg={figure}', '--image_size=64')
  assert done.returncode == 0, done.stderr
  assert figure.read_text(encoding='utf-8') == topology.svg(spec)
  assert topology.draw(spec) in done.stdout


def test_residual_stacks_are_drawn_and_explained_and_cost_the_same(tmp_path):
  figure = tmp_path / 'residual.svg'
  plain, done = describe(), describe('--residual', f'--svg={figure}')
  assert done.returncode == 0, done.stderr
  assert figure.read_text(encoding='utf-8') == topology.svg(topology.NAS_FPN, residual=True)
  assert topology.draw(topology.NAS_FPN, residual=True) in done.stdout
  assert '   9  P5* = cell(global_pooling(7, 8) + 2) + 2\n' in done.stdout
  text = ' '.join(done.stdout.split())
  assert 'a stack of any depth begins as the identity' in text
  assert 'no parameter and no multiply-add of a convolution' in text
  assert 'identity' not in plain.stdout
  costs = plain.stdout[plain.stdout.index('7 x 256') :]
  assert done.stdout.endswith(costs)
  assert describe('--residual', '--dot').stdout == topology.dot(topology.NAS_FPN, residual=True) + '\n'


def test_dot_prints_only_the_graph():
  done = describe('--topology=panet', '--dot')
  assert done.returncode == 0, done.stderr
  assert done.stdout == topology.dot(topology.panet()) + '\n'


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--topology=nasfpn'], "topology 'nasfpn' is not in the catalogue; did you mean 'nas_fpn'"),
    (['--topology=nowhere.json'], "topology file 'nowhere.json' cannot be read: No such file or directory."),
    (['--topology={"format": 1}'], "topology: key 'name' is missing."),
    (['--image_size=600'], '600 is not a multiple of 128'),
    (['--image_size=big'], "--image_size takes integers separated by commas, not 'big'."),
    (['--image_size=1,2,3'], '--image_size takes one side or height,width, not 3 numbers.'),
    (['--input_filters='], 'level 3 is missing among those of the backbone'),
    (['--num_repeats=0'], 'num_repeats must be 1 or more, not 0.'),
    (['--min_level=6'], 'NAS-FPN needs at least three levels'),
    (['bifpn'], "unexpected argument 'bifpn'"),
    (['--svg=/dev/null/x.svg'], '/dev/null'),
  ],
)
def test_an_error_is_one_line(arguments, message):
  done = describe(*arguments)
  assert done.returncode == 1
  assert len(done.stderr.splitlines()) == 1
  assert done.stderr.startswith('describe: ')
  assert message in done.stderr


def test_a_reader_that_stops_early_is_no_error():
  """As in `describe.py | head -1`: the pipe's other end is closed before anything is written."""
  with subprocess.Popen(
    [sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
  ) as process:
    process.stdout.close()
    assert process.stderr.read() == ''
    assert process.wait(timeout=60) == 0


def test_neither_topologies_nor_the_script_load_tensorflow():
  """Without site-packages topologies still work; the script adds absl alone."""
  code = 'import nasfpn_tf.topology as t; t.svg(t.NAS_FPN), t.draw(t.get("bifpn")), t.params(t.NAS_FPN)'
  root = str(testing.repo_root())
  done = subprocess.run([sys.executable, '-I', '-S', '-c', f'import sys; sys.path.insert(0, {root!r}); {code}'])
  assert done.returncode == 0
  code = (
    'import sys, runpy\n'
    'sys.argv = sys.argv[1:]\n'
    'try: runpy.run_path(sys.argv[0], run_name="__main__")\n'
    'except SystemExit: pass\n'
    'heavy = {"tensorflow", "numpy", "tf_keras", "keras", "official"} & set(sys.modules)\n'
    'sys.exit(f"loaded: {heavy}" if heavy else 0)'
  )
  done = subprocess.run([sys.executable, '-c', code, str(SCRIPT)], capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
