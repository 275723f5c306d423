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

"""Handles SIGTERM before a long run has anything to save, which includes the seconds in which TensorFlow is loaded."""

import os
import signal

RESTART = 42  # The exit code of a run that wants to be started again, as of TensorFlow's own handler.


def end_at_sigterm(program: str) -> None:
  """Makes SIGTERM end this process at once with the code `RESTART`, until the run has a handler of its own."""

  def end(unused_number, unused_frame):
    os.write(2, f'{program}: stopped; run the same command to start again\n'.encode())
    os._exit(RESTART)

  signal.signal(signal.SIGTERM, end)
