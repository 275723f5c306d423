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

"""Runs in a worker process: reads jobs from standard input, writes outcomes to a pipe, one line of JSON each.

python -m nasfpn_tf.search.executors.worker FD, as `process.WorkerProcess` starts it. When the other side goes away,
however it ends, a worker that is at work ends at once with everything it has started.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from nasfpn_tf.search import evaluators
from nasfpn_tf.search.evaluators.evaluator import Setup
from nasfpn_tf.search.executors.executor import LOG, PREEMPTED_EXIT_CODE
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Measurement, Trial


def main(argv: list[str]) -> None:
  """Takes the evaluator's setup, then jobs, until the input ends."""
  incoming, results = _channels(int(argv[1]))
  sys.stdout.reconfigure(line_buffering=True)  # A trial's log has its own lines and a traceback in their order.
  signal.signal(signal.SIGTERM, _on_sigterm)
  messages = _messages(incoming)
  setup, evaluate = next(messages, None), None
  for job in messages:
    with _log(job['work_dir']):
      try:
        evaluate = evaluate or evaluators.prepare(Setup(**setup))
        measurement = _measure(evaluate, Trial.from_json(job['trial']), job['work_dir'])
        outcome = {'measurement': measurement.to_json()}
      except SearchError as e:
        traceback.print_exc()
        outcome = {'unusable': str(e)}
      sys.stdout.flush()
      sys.stderr.flush()
    os.write(results, json.dumps(outcome).encode() + b'\n')


def _measure(evaluate: Callable[[Trial, str], Measurement], trial: Trial, work_dir: str) -> Measurement:
  """Runs the evaluator; returns its measurement or the reason of its failure."""
  start = time.monotonic()
  try:
    measurement = evaluate(trial, work_dir)
  except SearchError:
    raise
  except SystemExit as e:
    if e.code == PREEMPTED_EXIT_CODE:
      raise
    measurement = Measurement.failure(f'exited with {e.code!r}')
  except Exception as e:  # Whatever a child does costs its trial only.
    traceback.print_exc()
    measurement = Measurement.failure(f'{type(e).__name__}: {e}'.strip()[:500])
  if not isinstance(measurement, Measurement):
    raise SearchError(f'the evaluator returned {measurement!r}, not a Measurement.')
  return measurement if measurement.seconds else dataclasses.replace(measurement, seconds=time.monotonic() - start)


def _channels(results: int) -> tuple[int, int]:
  """Opens the channels of jobs and outcomes, separate from what the evaluator prints or starts."""
  os.set_inheritable(results, False)
  incoming, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
  os.dup2(nothing, 0)
  os.close(nothing)
  return incoming, results


def _messages(incoming: int) -> Iterator[dict[str, Any]]:
  """Yields messages as they arrive; each is in progress until the next is requested.

  A thread of its own reads, so that the end of the input is seen in the middle of a job.
  """
  lines, counts = queue.SimpleQueue(), {'come': 0, 'done': 0}  # Each count has one thread that changes it.

  def read() -> None:
    text = b''
    while piece := os.read(incoming, 1 << 16):  # No buffered reader: its lock would be held when the process ends.
      *whole, text = (text + piece).split(b'\n')
      for line in whole:
        counts['come'] += 1
        lines.put(line)
    time.sleep(0.2)  # The last job may have been told about, but not yet put down.
    if counts['come'] > counts['done']:
      os.killpg(0, signal.SIGKILL)
    lines.put(None)

  threading.Thread(target=read, daemon=True).start()
  while (line := lines.get()) is not None:
    yield json.loads(line)
    counts['done'] += 1


@contextlib.contextmanager
def _log(work_dir: str) -> Iterator[None]:
  """Redirects standard output and error, also of child processes, to the log in the trial's directory.

  The log is locked, so that two attempts at a trial never work in its directory at once.
  """
  os.makedirs(work_dir, exist_ok=True)
  with open(os.path.join(work_dir, LOG), 'ab') as log:
    with contextlib.suppress(OSError):  # A file system without locks.
      fcntl.flock(log, fcntl.LOCK_EX)
    before = os.dup(1), os.dup(2)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
      yield
    finally:
      for fd, saved in zip((1, 2), before, strict=True):
        os.dup2(saved, fd)
        os.close(saved)


def _on_sigterm(unused_signum: int, unused_frame: FrameType | None) -> None:
  """Ends the worker; the trainer replaces this handler by one that saves a checkpoint first."""
  raise SystemExit(PREEMPTED_EXIT_CODE)


if __name__ == '__main__':
  main(sys.argv)
