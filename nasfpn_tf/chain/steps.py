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

"""Runs a chain of commands, skipping each step whose result exists and whose input is unchanged."""

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import json
import math
import os
import pathlib
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from nasfpn_tf import failure, processor, whole_file
from nasfpn_tf.chain import fork, process

_LAST_LINES = 15  # Lines of a log that are shown when its command fails.


class StepError(failure.ExpectedError):
  """A step failed; the message has the command, the end of its log and how to resume."""


@dataclasses.dataclass(frozen=True)
class Step:
  """One step of the chain.

  Attributes:
    name: short unique name, also of its stamp file.
    title: what the step does, for the terminal.
    commands: command lines, run one after the other.
    outputs: files and directories that the step writes. All must exist afterwards; leftovers of an earlier run are
      deleted first.
    inputs: files that the result depends on, besides the command lines and the steps in `after`.
    after: names of the steps whose results this one reads.
    summary: returns a few words on the result; called after the commands.
    continues: whether the commands resume from existing outputs, which are then deleted only when the input has
      changed.
    quiet: whether output goes to a log file, whose end is shown on failure; for commands without a progress bar.
    side_by_side: whether it may run while its neighbors in the list do that say so, too, as far as `after` allows; for
      quiet commands that use little more than one core and time nothing.
    forked: whether the commands are Python scripts that need TensorFlow, which a `fork.Fork` has already imported.
    optional: whether the chain continues without the step if a command fails; steps in whose `after` it is are then
      left out, and the next run tries again.
    expected: returns how many seconds the step will take, as far as is known; asked again before each step.
  """

  name: str
  title: str
  commands: Sequence[Sequence[str]]
  outputs: Sequence[pathlib.Path]
  inputs: Sequence[pathlib.Path] = ()
  after: Sequence[str] = ()
  summary: Callable[[], str] = lambda: ''
  continues: bool = False
  quiet: bool = False
  side_by_side: bool = False
  forked: bool = False
  optional: bool = False
  expected: Callable[[], float] = lambda: 0.0


@dataclasses.dataclass(frozen=True)
class Result:
  """Result of a step.

  Attributes:
    step: the step.
    seconds: how long it took, now or in an earlier run.
    reused: whether that was an earlier run.
    summary: a few words on the result, or why there is none.
    left_out: whether there is none, because the step is optional and failed, or reads the result of one that did.
  """

  step: Step
  seconds: float
  reused: bool
  summary: str
  left_out: bool = False


class Chain:
  """Runs steps in order and records in `directory` which are done."""

  def __init__(self, steps: Sequence[Step], directory: str | os.PathLike, stream: TextIO | None = None):
    """Takes the steps in their order; progress goes to `stream`, by default standard output.

    Raises:
      ValueError: two steps have the same name, or a step reads the result of a later one.
    """
    known: set[str] = set()
    for step in steps:
      if step.name in known or not known.issuperset(step.after):
        raise ValueError(f'Step {step.name!r} occurs twice, or runs before one of {list(step.after)}.')
      known.add(step.name)
    self._steps = list(steps)
    self._stamps = pathlib.Path(directory) / '.steps'
    self._logs = pathlib.Path(directory) / 'logs'
    self._stream = stream or sys.stdout
    self._stopped = threading.Event()
    self._left_out: set[str] = set()

  def run(self) -> list[Result]:
    """Runs every step that is not done yet.

    Raises:
      StepError: a command of a step that is not optional failed or did not write its outputs, or another run uses the
        same directory.
    """
    self._left_out.clear()
    self._stamps.mkdir(parents=True, exist_ok=True)
    with open(self._stamps / 'lock', 'w', encoding='utf-8') as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError as error:
        raise StepError(f'Another run uses {self._stamps.parent}: wait for it, or choose another directory.') from error
      if any(step.forked and 'seconds' not in self._read_stamp(step.name) for step in self._steps):
        with contextlib.suppress(OSError):  # Then the steps do without.
          fork.start_server()  # Which imports TensorFlow during the steps that do not need it.
      results: list[Result] = []
      while len(results) < len(self._steps):
        first = len(results)
        together = list(itertools.takewhile(lambda step: step.side_by_side, self._steps[first:]))
        if len(together) > 1:
          results += self._run_side_by_side(first, together)
        else:
          results.append(self._run_step(first + 1, self._steps[first]))
      return results

  def _run_side_by_side(self, first: int, steps: Sequence[Step]) -> list[Result]:
    """Runs steps as soon as those that they read are done, at most one a core; `first` is the index of the first."""
    waiting, results, error = list(steps), {}, None
    running: dict[concurrent.futures.Future, Step] = {}
    started, at_once = time.monotonic(), processor.num_cores()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
      try:
        while running or (waiting and not error):
          left = {step.name for step in [*waiting, *running.values()]}
          for step in [step for step in waiting if left.isdisjoint(step.after) and not error]:
            if len(running) < at_once:
              waiting.remove(step)
              running[pool.submit(self._run_step, self._steps.index(step, first) + 1, step)] = step
          done, _ = concurrent.futures.wait(running, timeout=1.0, return_when=concurrent.futures.FIRST_COMPLETED)
          for future in done:
            step = running.pop(future)
            if future.exception() is None:
              results[step.name] = future.result()
            error = error or future.exception()
          if self._stream.isatty():
            self._stream.write(f'\r      {time.monotonic() - started:.0f} s\r')
            self._stream.flush()
      except KeyboardInterrupt:
        self._stopped.set()  # The pool waits until every command has ended in order.
        raise
    if error:
      raise error
    return [results[step.name] for step in steps]

  def _run_step(self, number: int, step: Step) -> Result:
    head = f'[{number}/{len(self._steps)}] {step.title}'
    missing = self._left_out.intersection(step.after)
    if missing:
      return self._leave_out(step, head, f'left out: it reads the result of {", ".join(sorted(missing))}')
    digest = self._digest(step)
    stamp = self._read_stamp(step.name)
    if stamp.get('digest') == digest and 'seconds' in stamp and all(path.exists() for path in step.outputs):
      self._say(f'{head}: there already, {stamp["summary"]}')
      return Result(step, stamp['seconds'], True, stamp['summary'])
    left = sum(later.expected() / _at_once(later) for later in self._steps[number - 1 :])
    self._say(f'{head} ...' + (f' (about {math.ceil(left / 60)} min left in all)' if left else ''))
    if stamp.get('digest') != digest or not step.continues:
      for path in step.outputs:
        _delete(path)
    self._write_stamp(step.name, {'digest': digest})
    started = time.monotonic()
    try:
      self._run_commands(step)
    except StepError as error:
      if not step.optional:
        raise
      self._say(str(error))
      where = f'logs/{step.name}.log' if step.quiet else 'its messages'
      return self._leave_out(step, head, f'failed, see {where}')
    seconds = time.monotonic() - started
    summary = step.summary()
    made = f'{digest[:16]}-{time.time_ns()}'
    self._write_stamp(step.name, {'digest': digest, 'seconds': seconds, 'summary': summary, 'made': made})
    self._say(f'{f"[{number}/{len(self._steps)}]" if step.side_by_side else "     "} {summary} ({seconds:.0f} s)')
    return Result(step, seconds, False, summary)

  def _leave_out(self, step: Step, head: str, why: str) -> Result:
    """Leaves out a step; nothing of an earlier result stays, which would look like a result of this run."""
    self._left_out.add(step.name)
    (self._stamps / f'{step.name}.json').unlink(missing_ok=True)
    for path in step.outputs:
      _delete(path)
    self._say(f'{head}: {why}')
    return Result(step, 0.0, False, why, left_out=True)

  def _run_commands(self, step: Step) -> None:
    for command in step.commands:
      self._run_command(command, step)
    missing = [str(path) for path in step.outputs if not path.exists()]
    if missing:
      raise StepError(f'{step.title}: the command succeeded but did not write {", ".join(missing)}.')

  def _run_command(self, command: Sequence[str], step: Step) -> None:
    log = self._logs / f'{step.name}.log'
    try:
      stream = None if step.side_by_side else self._stream
      code = process.run(command, log if step.quiet else None, stream, self._stopped, step.forked)
    except OSError as error:
      raise StepError(f'{step.title}: the command could not be started: {error}\n  {quote(command)}') from error
    if code == 0:
      return
    words = 'its messages are above'
    if step.quiet:
      words = f'its last messages, from {log}:\n' + '\n'.join(_read_lines(log)[-_LAST_LINES:])
    why = f'failed with exit code {code}' if code > 0 else f'was ended by signal {-code}'
    if code == -signal.SIGKILL:
      why += ' (often: out of memory)'
    then = 'The rest continues without it.' if step.optional else 'Run the same command again to resume from here.'
    raise StepError(f'{step.title}: the command {why}; {words}\nTo run it alone:\n  {quote(command)}\n{then}')

  def _digest(self, step: Step) -> str:
    """Returns a digest of the commands, the input files and the results of earlier steps that this step reads."""
    earlier = {name: self._read_stamp(name).get('made', '') for name in step.after}
    files = {str(path): _fingerprint(path) for path in step.inputs}
    # Another Python, such as that of a new virtual environment, does not make another result.
    commands = [['python' if word == sys.executable else word for word in command] for command in step.commands]
    facts = {'commands': commands, 'after': earlier, 'inputs': files}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

  def _read_stamp(self, name: str) -> dict[str, Any]:
    try:
      return json.loads((self._stamps / f'{name}.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
      return {}

  def _write_stamp(self, name: str, content: Mapping[str, Any]) -> None:
    whole_file.write_json(self._stamps / f'{name}.json', content)

  def _say(self, text: str) -> None:
    self._stream.write(text + '\n')
    self._stream.flush()


def _at_once(step: Step) -> int:
  """Returns how many steps run while this one does; `after` seldom allows more than two."""
  return min(2, processor.num_cores()) if step.side_by_side else 1


def quote(command: Sequence[str]) -> str:
  """Quotes a command line so that it can be pasted into a shell."""
  return shlex.join(map(str, command))


def _fingerprint(path: pathlib.Path) -> str:
  if not path.is_file():
    raise StepError(f'The file {path} is missing.')
  return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_lines(path: pathlib.Path) -> list[str]:
  return path.read_text(encoding='utf-8', errors='replace').splitlines()


def _delete(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)
