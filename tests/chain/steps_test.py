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

"""The chain of steps: what runs, what is skipped, what an interruption or a failure leaves."""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from nasfpn_tf.chain import steps
from tests import testing

# Appends a line to argv[2] for every run, and fails if argv[1] says so.
_WORK = "import sys; open(sys.argv[2], 'a').write('x\\n'); sys.exit(int(sys.argv[1]))"


def _step(directory, name, code=0, **kwargs):
  output = directory / f'{name}.out'
  command = [sys.executable, '-S', '-c', _WORK, str(code), str(output)]
  kwargs = {'commands': [command], 'outputs': [output], 'summary': lambda: f'{name} made', **kwargs}
  return steps.Step(name, f'Make {name}', **kwargs)


def _run(directory, *chain):
  stream = io.StringIO()
  results = steps.Chain(chain, directory, stream).run()
  return [result.reused for result in results], stream.getvalue()


def test_a_second_run_skips_what_is_done(tmp_path):
  chain = [_step(tmp_path, 'a'), _step(tmp_path, 'b', after=['a'])]
  reused, text = _run(tmp_path, *chain)
  assert reused == [False, False]
  assert '[1/2] Make a' in text and 'b made' in text
  reused, text = _run(tmp_path, *chain)
  assert reused == [True, True]
  assert text.count('there already') == 2
  assert (tmp_path / 'a.out').read_text() == 'x\n'


def test_another_python_does_not_make_it_anew(tmp_path, monkeypatch):
  _run(tmp_path, _step(tmp_path, 'a'))
  moved = tmp_path / 'python'
  moved.symlink_to(sys.executable)
  monkeypatch.setattr(sys, 'executable', str(moved))
  assert _run(tmp_path, _step(tmp_path, 'a'))[0] == [True]


def test_a_lost_result_is_made_again_and_what_reads_it(tmp_path):
  chain = [_step(tmp_path, 'a'), _step(tmp_path, 'b', after=['a']), _step(tmp_path, 'c')]
  _run(tmp_path, *chain)
  (tmp_path / 'a.out').unlink()
  assert _run(tmp_path, *chain)[0] == [False, False, True]


def test_the_chain_continues_without_an_optional_step_that_fails(tmp_path):
  def chain(code):
    return [
      _step(tmp_path, 'a', code, optional=True),
      _step(tmp_path, 'b', after=['a']),
      _step(tmp_path, 'c', after=['b']),
      _step(tmp_path, 'd'),
    ]

  _run(tmp_path, *chain(0))
  stream = io.StringIO()
  results = steps.Chain(chain(1), tmp_path, stream).run()
  assert [result.left_out for result in results] == [True, True, True, False]
  assert [(tmp_path / f'{name}.out').exists() for name in 'abcd'] == [False, False, False, True]
  assert 'The rest continues without it' in stream.getvalue()
  assert 'Make c: left out: it reads the result of b' in stream.getvalue()
  assert _run(tmp_path, *chain(0))[0] == [False, False, False, True]


def test_a_changed_command_runs_again_on_a_clean_place(tmp_path):
  _run(tmp_path, _step(tmp_path, 'a'))
  step = _step(tmp_path, 'a')
  changed = _step(tmp_path, 'a', commands=[[*step.commands[0], 'more']])
  assert _run(tmp_path, changed)[0] == [False]
  assert (tmp_path / 'a.out').read_text() == 'x\n'


def test_a_changed_input_file_runs_again(tmp_path):
  (tmp_path / 'config').write_text('1')
  step = _step(tmp_path, 'a', inputs=[tmp_path / 'config'])
  assert _run(tmp_path, step)[0] == [False]
  assert _run(tmp_path, step)[0] == [True]
  (tmp_path / 'config').write_text('2')
  assert _run(tmp_path, step)[0] == [False]


def test_a_failure_says_the_command_and_is_repeated(tmp_path):
  done, failing = _step(tmp_path, 'a'), _step(tmp_path, 'b', code=3)
  with pytest.raises(steps.StepError, match='Make b: the command failed with exit code 3') as error:
    _run(tmp_path, done, failing)
  assert steps.quote(failing.commands[0]) in str(error.value)
  assert _run(tmp_path, done, _step(tmp_path, 'b'))[0] == [True, False]
  assert (tmp_path / 'b.out').read_text() == 'x\n'


def test_only_a_step_that_continues_keeps_what_an_interruption_left(tmp_path):
  # Writes, and then fails the first time it runs, as after a power cut.
  code = 'import os, sys; out, ran = sys.argv[1:]; open(out, "a").write("x"); first = not os.path.exists(ran); '
  code += 'open(ran, "a"); sys.exit(first)'
  for name, continues, expected in (('a', True, 'xx'), ('b', False, 'x')):
    output = tmp_path / f'{name}.out'
    command = [sys.executable, '-S', '-c', code, str(output), str(tmp_path / f'{name}.ran')]
    step = _step(tmp_path, name, commands=[command], continues=continues)
    with pytest.raises(steps.StepError):
      _run(tmp_path, step)
    assert _run(tmp_path, step)[0] == [False]
    assert output.read_text() == expected


def test_a_step_that_continues_starts_clean_when_its_input_changed(tmp_path):
  step = _step(tmp_path, 'a', code=1, continues=True)
  with pytest.raises(steps.StepError):
    _run(tmp_path, step)
  assert _run(tmp_path, _step(tmp_path, 'a', continues=True))[0] == [False]
  assert (tmp_path / 'a.out').read_text() == 'x\n'


def test_a_command_that_made_nothing_is_a_failure(tmp_path):
  step = _step(tmp_path, 'a', outputs=[tmp_path / 'a.out', tmp_path / 'other'])
  with pytest.raises(steps.StepError, match=r'did not write .*other'):
    _run(tmp_path, step)
  assert _run(tmp_path, _step(tmp_path, 'a'))[0] == [False]


def test_a_killed_command_and_a_missing_one_are_explained(tmp_path):
  kill = [sys.executable, '-S', '-c', 'import os; os.kill(os.getpid(), 9)']
  with pytest.raises(steps.StepError, match=r'signal 9 .*out of memory'):
    _run(tmp_path, _step(tmp_path, 'a', commands=[kill]))
  with pytest.raises(steps.StepError, match='could not be started'):
    _run(tmp_path, _step(tmp_path, 'a', commands=[[str(tmp_path / 'no-such-program')]]))
  with pytest.raises(steps.StepError, match='no-such-file is missing'):
    _run(tmp_path, _step(tmp_path, 'a', inputs=[tmp_path / 'no-such-file']))


def test_a_quiet_command_speaks_only_when_it_fails(tmp_path, capfd):
  code = 'import sys; print("progress", "x" * 9); print("reason", file=sys.stderr); sys.exit(int(sys.argv[1]))'
  command = [sys.executable, '-S', '-c', code]
  with pytest.raises(steps.StepError, match='reason') as error:
    _run(tmp_path, _step(tmp_path, 'a', commands=[[*command, '1']], quiet=True))
  assert 'progress xxxxxxxxx' in str(error.value) and str(tmp_path / 'logs' / 'a.log') in str(error.value)
  _run(tmp_path, _step(tmp_path, 'b', commands=[[*command, '0']], outputs=[], quiet=True))
  assert capfd.readouterr() == ('', '')


def test_a_damaged_stamp_counts_as_none(tmp_path):
  step = _step(tmp_path, 'a')
  _run(tmp_path, step)
  (stamp,) = (tmp_path / '.steps').glob('*.json')
  assert json.loads(stamp.read_text())['summary'] == 'a made'
  stamp.write_text('{"digest":')
  assert _run(tmp_path, step)[0] == [False]


def test_two_runs_in_one_directory_are_refused(tmp_path):
  _run(tmp_path, _step(tmp_path, 'a'))
  with open(tmp_path / '.steps' / 'lock') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(steps.StepError, match='Another run uses'):
      _run(tmp_path, _step(tmp_path, 'a'))
  assert _run(tmp_path, _step(tmp_path, 'a'))[0] == [True]


def test_the_order_is_checked(tmp_path):
  with pytest.raises(ValueError, match="'b'"):
    steps.Chain([_step(tmp_path, 'b', after=['a']), _step(tmp_path, 'a')], tmp_path)
  with pytest.raises(ValueError, match='occurs twice'):
    steps.Chain([_step(tmp_path, 'a'), _step(tmp_path, 'a')], tmp_path)


def test_a_quoted_command_survives_a_shell():
  assert steps.quote(['a b', "it's", 1]) == "'a b' 'it'\"'\"'s' 1"


# Writes argv[1], and ends well once argv[2] is there, too; argv[3] is how it ends after 20 s without it.
_MEET = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
started = time.monotonic()
while not pathlib.Path(sys.argv[2]).exists():
  if time.monotonic() - started > 20:
    sys.exit('alone')
  time.sleep(0.02)
"""


def _meeting(directory, name, other, **kwargs):
  output = directory / f'{name}.out'
  command = [sys.executable, '-S', '-c', _MEET, str(output), str(directory / f'{other}.out')]
  return steps.Step(name, f'Make {name}', [command], [output], quiet=True, side_by_side=True, **kwargs)


def test_neighbors_run_side_by_side_behind_what_they_read(tmp_path, monkeypatch):
  monkeypatch.setattr(steps.processor, 'num_cores', lambda: 2)
  chain = [
    _step(tmp_path, 'a', quiet=True, side_by_side=True),
    _meeting(tmp_path, 'b', 'c', after=['a']),
    _meeting(tmp_path, 'c', 'b', after=['a']),
    _step(tmp_path, 'd', quiet=True, side_by_side=True, after=['b', 'c']),
    _step(tmp_path, 'e', after=['d']),
  ]
  reused, text = _run(tmp_path, *chain)
  assert reused == [False] * 5
  lines = text.splitlines()
  (a_made,) = [i for i, line in enumerate(lines) if line.startswith('[1/5] a made')]
  (d_made,) = [i for i, line in enumerate(lines) if line.startswith('[4/5] d made')]
  # Which of the two says first that it begins is a matter of threads.
  assert all(a_made < lines.index(line) < d_made for line in ('[2/5] Make b ...', '[3/5] Make c ...'))
  assert lines[-1].strip().startswith('e made')
  assert _run(tmp_path, *chain)[0] == [True] * 5


def test_one_core_runs_one_after_the_other(tmp_path, monkeypatch):
  monkeypatch.setattr(steps.processor, 'num_cores', lambda: 1)
  chain = [_step(tmp_path, name, quiet=True, side_by_side=True) for name in 'ab']
  lines = _run(tmp_path, *chain)[1].splitlines()
  assert [line.split()[0] for line in lines] == ['[1/2]', '[1/2]', '[2/2]', '[2/2]']


def test_a_failure_lets_its_neighbor_finish_and_starts_nothing_more(tmp_path, monkeypatch):
  monkeypatch.setattr(steps.processor, 'num_cores', lambda: 2)
  code = 'import sys, time; time.sleep(1); open(sys.argv[1], "w")'
  slow = [sys.executable, '-S', '-c', code, str(tmp_path / 'b.out')]
  chain = [
    _step(tmp_path, 'a', code=3, quiet=True, side_by_side=True),
    _step(tmp_path, 'b', commands=[slow], quiet=True, side_by_side=True),
    _step(tmp_path, 'c', quiet=True, side_by_side=True),
  ]
  with pytest.raises(steps.StepError, match='Make a: the command failed with exit code 3'):
    _run(tmp_path, *chain)
  assert (tmp_path / 'b.out').exists() and not (tmp_path / 'c.out').exists()
  chain[0] = _step(tmp_path, 'a', quiet=True, side_by_side=True)
  assert _run(tmp_path, *chain)[0] == [False, True, False]


_CHAIN = """
import pathlib, sys
from nasfpn_tf.chain import steps
steps.processor.num_cores = lambda: 2
def step(name):
  code = f'import pathlib, time; pathlib.Path({name!r}).touch(); time.sleep(60)'
  command = [sys.executable, '-S', '-c', code]
  return steps.Step(name, name, [command], [pathlib.Path(name)], quiet=True, side_by_side=True)
steps.Chain([step('a'), step('b')], '.').run()
"""


def test_ctrl_c_ends_all_that_run(tmp_path):
  runner = subprocess.Popen(
    [sys.executable, '-c', _CHAIN],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': str(testing.repo_root())},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )
  deadline = time.monotonic() + 60
  while not ((tmp_path / 'a').exists() and (tmp_path / 'b').exists()):
    assert time.monotonic() < deadline and runner.poll() is None
    time.sleep(0.05)
  runner.send_signal(signal.SIGINT)
  assert 'KeyboardInterrupt' in runner.communicate(timeout=30)[1]
