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

"""Errors are told in one line, without the machinery around them."""

import subprocess
import sys

import pytest
import tensorflow as tf

from nasfpn_tf import failure


@pytest.mark.parametrize(
  'text, line',
  [
    ('simple', 'simple'),
    ("levels differ\n  In call to configurable 'Trainer' (<class 'x'>)", 'levels differ'),
    ('Record 7 of x.tfrecord\n\t [[{{node parse}}]] [Op:IteratorGetNext] name: ', 'Record 7 of x.tfrecord'),
    ('', 'ValueError'),
  ],
)
def test_message(text, line):
  assert failure.message(ValueError(text)) == line


def test_an_error_of_a_graph_keeps_its_cause():
  @tf.function
  def fails(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 3, message='box 5 of image 17 is upside down')]):
      return tf.identity(x)

  with pytest.raises(tf.errors.InvalidArgumentError) as error:
    fails(tf.constant(4))
  message = failure.message(error.value)
  assert 'box 5 of image 17 is upside down' in message
  assert '\n' not in message and 'node' not in message and 'File' not in message


def _raise(error):
  raise error


@pytest.mark.parametrize(
  'error, line',
  [
    (ValueError('c.yaml: no number'), 'try: c.yaml: no number'),
    (FileNotFoundError(2, 'No such file or directory', 'a'), 'try: a: No such file or directory. Check the name.'),
    (
      PermissionError(13, 'Permission denied', 'a.json'),
      'try: a.json: Permission denied. Give this user the right to it, or name another place.',
    ),
    (
      NotADirectoryError(20, 'Not a directory', b'a/b.json'),
      'try: a/b.json: Not a directory. Something else has this name: name another one, or move it away.',
    ),
    (
      OSError(28, 'No space left on device', 'a.json'),
      'try: a.json: No space left on device. Make room, or write elsewhere, and run it again.',
    ),
    (
      PermissionError(
        "[Errno 13] Permission denied: 'a/b.tfrecord'\n  In call to configurable 'Trainer' (<class 'x'>)"
      ),
      'try: a/b.tfrecord: Permission denied. Give this user the right to it, or name another place.',
    ),
    (
      FileNotFoundError(2, 'No such file or directory', "it's.json"),
      "try: it's.json: No such file or directory. Check the name.",
    ),
    (
      NotADirectoryError(20, 'Not a directory', 'a.partial', None, "it's"),
      "try: it's: Not a directory. Something else has this name: name another one, or move it away.",
    ),
    (
      ValueError('a.json: cannot be read: Permission denied.'),
      'try: a.json: cannot be read: Permission denied. Give this user the right to it, or name another place.',
    ),
    (
      tf.errors.FailedPreconditionError(None, None, '/a b/out is not a directory'),
      'try: /a b/out: Not a directory. Something else has this name: name another one, or move it away.',
    ),
    (OSError(5, 'Input/output error', 'a.json'), "try: [Errno 5] Input/output error: 'a.json'"),
    (MemoryError(), 'try: not enough memory; use a smaller input or batch, or close other programs.'),
    (RecursionError('maximum'), 'try: a file or an option is nested too deeply (maximum).'),
    (failure.ExpectedError('one\ntwo'), 'try: one two'),
    (tf.errors.DataLossError(None, None, 'a.tfrecord: cut [[{{node x}}]]'), 'try: a.tfrecord: cut [[x]]'),
    (
      tf.errors.PermissionDeniedError(None, None, '/a b/run; Permission denied'),
      'try: /a b/run: Permission denied. Give this user the right to it, or name another place.',
    ),
    (
      tf.errors.InvalidArgumentError(None, None, '{{function_node __wrapped__DecodeJpeg_device_}} a.jpg is broken'),
      'try: a.jpg is broken',
    ),
    (ValueError('<_io.BytesIO object at 0x7f00> is no image'), 'try: _io.BytesIO is no image'),
  ],
)
def test_expected_errors_end_a_command_with_one_line(error, line):
  with pytest.raises(SystemExit) as ended, failure.told('try'):
    _raise(error)
  if isinstance(error, tf.errors.DataLossError):
    assert str(ended.value.code).startswith('try: a.tfrecord: cut')
  else:
    assert ended.value.code == line


def test_lines_are_kept_where_a_command_lists_problems():
  with pytest.raises(SystemExit, match='try: one\ntwo'), failure.told('try', lines=True):
    _raise(ValueError('one\ntwo'))


@pytest.mark.parametrize('error', [KeyError('x'), AttributeError('x'), TypeError('x')])
def test_a_fault_of_the_program_keeps_its_stack_trace(error):
  with pytest.raises(type(error)), failure.told('try'):
    _raise(error)


def test_ctrl_c():
  with pytest.raises(SystemExit, match='try: go on'), failure.told('try', 'go on'):
    _raise(KeyboardInterrupt())
  with pytest.raises(KeyboardInterrupt), failure.told('try'):
    _raise(KeyboardInterrupt())


@pytest.mark.parametrize('arguments, shown', [([], ''), (['--verbosity=0'], 'loaded 3 variables')])
def test_commands_hide_what_libraries_log_unless_asked(arguments, shown):
  program = (
    'from absl import app, logging\nfrom nasfpn_tf import failure\n'
    'def main(_):\n  with failure.told("try"):\n    logging.info("loaded 3 variables")\n'
    'app.run(main)\n'
  )
  done = subprocess.run([sys.executable, '-c', program, *arguments], capture_output=True, text=True, check=True)
  assert done.stderr == '' if not shown else shown in done.stderr
