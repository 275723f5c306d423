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

"""Handles SIGTERM and Ctrl-C before a run has anything to save, as in the seconds in which TensorFlow is loaded."""

import os
import signal
import types

RESTART = 42  # The exit code of a run that wants to be started again, as of TensorFlow's own handler.


def end_at_signals(
  program: str, terminated: int = RESTART, interrupted: int = 1, remedy: str = 'run the same command to start again'
) -> None:
  """Makes SIGTERM and Ctrl-C end this process at once with one line, until the run has handlers of its own.

  Args:
    program: its name, which the line begins with.
    terminated: the exit code after SIGTERM.
    interrupted: the exit code after Ctrl-C; `hand_over` ends its part.
    remedy: what to do, the end of the line.
  """

  def end(number: int, unused_frame: types.FrameType | None) -> None:
    os.write(2, f'{program}: stopped; {remedy}\n'.encode())
    os._exit(terminated if number == signal.SIGTERM else interrupted)

  signal.signal(signal.SIGTERM, end)
  if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # Not where it is ignored, as in the background.
    global _at_interrupt
    _at_interrupt = end
    signal.signal(signal.SIGINT, end)


def hand_over() -> None:
  """Makes Ctrl-C a KeyboardInterrupt again, which the run handles from now on."""
  if _at_interrupt is not None and signal.getsignal(signal.SIGINT) is _at_interrupt:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_at_interrupt = None  # The handler that is set until `hand_over`.
