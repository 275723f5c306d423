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

"""Defines the message and the exit code of a run that Ctrl-C or SIGTERM stops."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator


class Stopped(KeyboardInterrupt):
  """Ctrl-C or SIGTERM after part of the work; the message says how much is done and where it is."""


class Terminated(KeyboardInterrupt):
  """SIGTERM."""


@contextlib.contextmanager
def ends(program: str) -> Iterator[None]:
  """Ends `program` with one line and the usual exit code on Ctrl-C and SIGTERM inside the block.

  Args:
    program: its name, which the line begins with.
  """

  def stop(unused_signal, unused_frame):
    raise Terminated

  before = signal.signal(signal.SIGTERM, stop)
  try:
    yield
  except KeyboardInterrupt as error:
    reason = f'stopped: {error}' if isinstance(error, Stopped) else 'stopped before there were results.'
    print(f'{program}: {reason}', file=sys.stderr)
    sys.exit(exit_code(error))
  finally:
    signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def hold() -> Iterator[None]:
  """Holds back Ctrl-C and SIGTERM until the block has ended, so that results that belong together are all written.

  Outside of the main thread, where Python handles no signals, it does nothing.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  arrived = []
  handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
  handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
  for number in handlers:
    signal.signal(number, lambda number, unused_frame: arrived.append(number))
  try:
    yield
  finally:
    for number, handler in handlers.items():
      signal.signal(number, handler)
  if arrived:
    signal.raise_signal(arrived[0])


def exit_code(error: KeyboardInterrupt) -> int:
  """Returns 130 for Ctrl-C and 143 for SIGTERM, as shells expect it."""
  number = signal.SIGTERM if isinstance(error, Terminated) or isinstance(error.__cause__, Terminated) else signal.SIGINT
  return 128 + number
