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

"""Ends commands on expected errors with one line and no stack trace.

Wrong parameters, files that are missing or damaged, a full disk, too little memory, a training that diverges: none of
that is the program's fault. Whatever else is raised is one, and keeps its stack trace.
"""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator

from absl import flags, logging

from nasfpn_tf import startup

# What TensorFlow and gin add to a message: the graph's nodes, the call that failed inside of which.
_ADDED = re.compile(r'\n\s*\[\[|\n\s*In call to configurable|\n\nOriginal stack trace|\[Op:|\nDetected at node')
_NODE = re.compile(r'\{\{(?:function_)?node [^}]*\}\}\s*')
_NO_ROOM = 'Make room, or write elsewhere, and run it again.'
_NO_RIGHT = 'Give this user the right to it, or name another place.'
_OTHER_KIND = 'Something else has this name: name another one, or move it away.'
_REMEDIES = {
  os.strerror(number): remedy
  for number, remedy in {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: _NO_RIGHT,
    errno.ENOENT: 'Check the name.',
    errno.ENOTDIR: _OTHER_KIND,
    errno.EISDIR: _OTHER_KIND,
    errno.EEXIST: _OTHER_KIND,
    errno.ENOTEMPTY: _OTHER_KIND,
    errno.ELOOP: 'A link leads back to itself: name the file itself.',
    errno.ENAMETOOLONG: 'Name a shorter one.',
    errno.EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  }.items()
}
_SYSTEM = re.compile(  # With two paths, as of a renaming, the second is the one that was to be written.
  r"""\[Errno (?P<errno>\d+)\] (?P<reason>[^:]+): (b?['"].*['"] -> )?b?(?P<quote>['"])(?P<path>.+)(?P=quote)"""
)
_TENSORFLOW = re.compile(r'(?P<path>/.*?)(: Failed to [^;:]*)?; (?P<reason>[^;]+)')
_NO_DIRECTORY = re.compile(r'(?P<path>/.*) is not a directory')  # TensorFlow's, of a path to write below.
_OBJECT = re.compile(r'<([\w.]+)( object)? at 0x[0-9a-f]+>')


class ExpectedError(RuntimeError):
  """An error that has its cause outside the code, such as wrong input."""


@contextlib.contextmanager
def told(program: str, interrupted: str | None = None, lines: bool = False) -> Iterator[None]:
  """Ends `program` with status 1 and one line if the block raises an expected error.

  What libraries log for information is hidden unless --verbosity is given.

  Args:
    program: its name, which the line begins with.
    interrupted: the line after Ctrl-C; None: Python's own.
    lines: keep the line breaks of messages, for commands that list several problems.

  Example:
    with failure.told('predict'):
      predictor = predict.load_predictor(FLAGS.model)
  """
  if flags.FLAGS.is_parsed() and not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)
  startup.hand_over()
  try:
    yield
  except BrokenPipeError:  # The reader, `head` perhaps, has what it wanted.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
  except KeyboardInterrupt:
    if interrupted is None:
      raise
    sys.exit(f'\n{program}: {interrupted}')
  except Exception as error:
    if not is_expected(error):
      raise
    logging.debug('Traceback:', exc_info=True)  # Shown with --verbosity=1.
    keep = lines and '\n' in str(error) and not _is_tensorflow(error)
    sys.exit(f'{program}: {str(error) if keep else message(error)}')


def is_expected(error: BaseException) -> bool:
  """Tells whether an error is of the kinds that end a command with one line."""
  return isinstance(error, ValueError | OSError | MemoryError | RecursionError | ExpectedError) or _is_tensorflow(error)


def message(error: BaseException) -> str:
  """Returns the message of `error` on one line, without what the frameworks have added to it."""
  text = error.message if _is_tensorflow(error) else str(error)
  text = re.sub(r'^Graph execution error:\s*', '', text)
  if text.startswith('Detected at node'):
    # The node's definition and stack come first, the cause after them.
    text = text.rsplit('\n\n', 1)[-1] if '\n\n' in text else text
  text = ' '.join(_ADDED.split(text, maxsplit=1)[0].split())
  text = _OBJECT.sub(r'\1', _NODE.sub('', text))
  if isinstance(error, MemoryError):
    return f'not enough memory{f": {text}" if text else ""}; use a smaller input or batch, or close other programs.'
  pattern = _TENSORFLOW if _is_tensorflow(error) else _SYSTEM if isinstance(error, OSError) else None
  system = pattern.fullmatch(text) if pattern else None  # By its text: gin copies errors without what is in them.
  if pattern is _TENSORFLOW and (place := _NO_DIRECTORY.fullmatch(text)):
    return f'{place["path"]}: {os.strerror(errno.ENOTDIR)}. {_OTHER_KIND}'
  if system:
    # A reason of our own, as the converter's, has the remedy of its number.
    number = int(system.groupdict().get('errno', 0))
    remedy = _REMEDIES.get(system['reason']) or _REMEDIES.get(os.strerror(number))
    if remedy:
      return f'{system["path"]}: {system["reason"]}. {remedy}'
  reason = next((reason for reason in _REMEDIES if text.removesuffix('.').endswith(f': {reason}')), None)
  if reason:  # A message of ours about an error of the system.
    return f'{text.removesuffix(".")}. {_REMEDIES[reason]}'
  if isinstance(error, RecursionError):
    return f'a file or an option is nested too deeply ({text}).'
  return text or type(error).__name__


def _is_tensorflow(error: BaseException) -> bool:
  """Tells whether it is one of TensorFlow's `errors.OpError`; by name, since commands start without TensorFlow."""
  return any(
    base.__name__ == 'OpError' and base.__module__.partition('.')[0] == 'tensorflow' for base in type(error).__mro__
  )
