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

"""Gives every command files that are missing, empty, cut, of another kind or unreadable, and places it cannot write to.

python -m tests.reliability.wrong_files    # --command=predict.py for some, --harm='not UTF-8' for some

Everything lies in a directory with spaces, parentheses and letters outside ASCII in its name. Each command first has to
work there. Then, for each file that it takes and each harm, it must end with status 1 and a line that begins with its
name and names the file, without a stack trace or TensorFlow's log, without a change to what was there, and without half
a result.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator

from tests import testing
from tests.reliability import commands, good_files, interruptions, processes

NAME = 'Bilder für Ñandú (1)'
_VALUES = ('.json', '.jsonl', '.yaml')
_TEXTS = (*_VALUES, '.txt', '.xml')
_NOISE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |WARNING:|[IWEF]0000 ')  # As TensorFlow logs.

# Runs a command in a directory for no more than some seconds; gives its exit code, None if it did not end, and output.
Call = Callable[[commands.Command, pathlib.Path, float], tuple[int | None, str]]


def harms(path: pathlib.Path) -> Iterator[tuple[str, Callable[[], None]]]:
  """What can be wrong with an input: a name, and what does it."""
  yield 'missing', lambda: _remove(path)
  if path.is_dir():
    yield 'empty', lambda: (_remove(path), path.mkdir())
    yield 'a file', lambda: (_remove(path), path.write_text('x'))
  else:
    content = path.read_bytes()
    yield 'empty', lambda: path.write_bytes(b'')
    yield 'cut', lambda: path.write_bytes(content[: len(content) // 2])
    yield 'a directory', lambda: (_remove(path), path.mkdir())
    if path.suffix in _TEXTS:
      middle = len(content) // 2
      yield 'not UTF-8', lambda: path.write_bytes(content[:middle] + b'\xff\xc0' + content[middle:])
    else:
      yield 'of another program', lambda: path.write_text('no file of this kind\n' * 50)
    if path.suffix in _VALUES:
      other = '{"seven": 7}\n' if content.lstrip()[:1] == b'[' else '[7]\n'
      yield 'another value', lambda: path.write_text(other)
  if not _ignores_modes():
    yield 'unreadable', lambda: path.chmod(0)


def barriers(path: pathlib.Path, kind: str) -> Iterator[tuple[str, Callable[[], None]]]:
  """What can be in the way of an output: a name, and what puts it there."""
  yield 'below a file', lambda: (_remove(path.parent), path.parent.write_text('x'))
  if kind == 'file':
    yield 'a directory', lambda: path.mkdir(parents=True)
  if kind == 'directory':
    yield 'a file', lambda: (path.parent.mkdir(exist_ok=True), path.write_text('x'))
  if not _ignores_modes():
    yield 'read-only', lambda: (path.parent.mkdir(exist_ok=True), path.parent.chmod(0o555))


def _ignores_modes() -> bool:
  """Whether this process may read and write whatever the mode of a file says, as root may."""
  with tempfile.NamedTemporaryFile() as file:
    pathlib.Path(file.name).chmod(0)
    return os.access(file.name, os.R_OK)


def _remove(path: pathlib.Path) -> None:
  if path.is_dir():
    shutil.rmtree(path)
  elif path.exists():
    path.unlink()


def content(directory: pathlib.Path) -> dict[str, str]:
  """SHA-256 of what can be read below a directory, by path."""
  found = {}
  for path in sorted(directory.rglob('*')):
    if path.is_file() and os.access(path, os.R_OK):
      found[str(path.relative_to(directory))] = hashlib.sha256(path.read_bytes()).hexdigest()
  return found


def call(command: commands.Command, directory: pathlib.Path, seconds: float) -> tuple[int | None, str]:
  """Runs a command; returns its exit code, None if it did not end, and its output."""
  log = pathlib.Path(f'{directory}.log')
  log.unlink(missing_ok=True)
  pid = processes.start([part.format(d=directory) for part in command.arguments], str(log))
  code = processes.wait(pid, seconds)
  if code is None:
    os.killpg(pid, 9)
    processes.wait(pid)
  return code, log.read_text(errors='replace') if log.exists() else ''


def fault(command: commands.Command, path: str, harm: str, code: int | None, text: str) -> str | None:
  """What is wrong with the end of a command that met a harm; None where nothing is."""
  lines = text.strip().splitlines()
  if code is None:
    return 'does not end'
  if 'Traceback' in text:
    return f'a stack trace: {lines[-1] if lines else ""}'
  if (path, harm) in command.accepted and code == 0:
    return None
  if code != 1:
    return f'exit code {code}: {lines[-1:]}'
  told = next((index for index, line in enumerate(lines) if line.startswith(f'{command.script}: ')), None)
  if told is None:
    return f'no line of the command: {lines[-1:]}'
  noise = [line for line in lines if _NOISE.match(line)]
  if noise:
    return f'a log of TensorFlow: {noise[0]}'
  message = '\n'.join(lines[told:])
  path = str(pathlib.Path(path).parent) if harm in ('below a file', 'read-only') else path
  name = pathlib.Path(path).name.split('-000')[0].removesuffix('.data').removesuffix('.index')
  return None if name in message else f'does not name {path}: {message}'


def half_results(command: commands.Command, before: Iterable[str], after: Iterable[str]) -> list[str]:
  """Files that a command which has failed should not have left."""
  files = [path for path, kind in command.outputs.items() if kind == 'file']
  return [name for name in after if name not in before and (name in files or 'partial' in pathlib.Path(name).name)]


def try_command(
  command: commands.Command, good: pathlib.Path, seconds: float, call: Call = call, only: Container[str] = ()
) -> list[str]:
  """Runs a command without and with every harm, or `only` some, in the place of `good`'s copy; returns the faults."""
  directory, faults = good.with_name(NAME), []

  def end(path: str, harm: str, harmed: Callable[[], None] | None) -> None:
    if harmed:
      harmed()
    before = content(directory)
    code, text = call(command, directory, seconds)
    after = content(directory)
    last = (text.strip().splitlines() or [''])[-1]
    if harmed:
      found = fault(command, path, harm, code, text)
      kept = before if code else {}  # A run that succeeds adds to what it is given.
      changed = [name for name in kept if after.get(name) != kept[name] and not name.startswith('run/')]
      found = found or (f'changed {changed}' if changed else None)
      left = half_results(command, before, after) if code else []
      found = found or (f'leaves {left}' if left else None)
    else:
      found = None if code == 0 else f'exit code {code}: {text[-1500:]}'
    print(f'{"FAULT" if found else "ok   "} {command.script} [{path}: {harm}] {code} {found or last[:400]}', flush=True)
    if found:
      faults.append(f'{" ".join(command.arguments)} [{path}: {harm}]: {found}')

  _begin(good, directory)
  end('', 'nothing', None)
  for path in command.inputs:
    for name in [name for name, _ in harms(good / path) if not only or name in only]:
      _begin(good, directory)
      end(path, name, dict(harms(directory / path))[name])
  for path, kind in command.outputs.items():
    for name in [name for name, _ in barriers(directory / path, kind) if not only or name in only]:
      _begin(good, directory)
      (directory / path).parent.mkdir()
      end(path, name, dict(barriers(directory / path, kind))[name])
  return faults


def _begin(good: pathlib.Path, directory: pathlib.Path) -> None:
  if directory.exists():
    for path in [directory, *directory.rglob('*')]:
      path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(directory)
  shutil.copytree(good, directory)


def main(argv: list[str]) -> int:
  """Tries all commands, or some; returns whether there are faults."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--command', action='append', help='a script; again for another one; default: all')
  parser.add_argument('--harm', action='append', help='a harm; again for another one; default: all')
  parser.add_argument('--seconds', type=float, default=900, help='that a call may take')
  parser.add_argument('--skip', type=int, default=0, help='leave out so many calls at the start')
  options = parser.parse_args(argv)
  os.environ['PYTHONPATH'] = str(testing.repo_root())
  base = pathlib.Path(tempfile.mkdtemp(prefix='wrong_files_'))
  interruptions.train_once(base / 'trained')
  processes.call(good_files.prepare, base / NAME, base / 'trained')
  good = (base / NAME).rename(base / 'good')
  chosen = options.command or {call.arguments[0] for call in commands.CALLS}
  calls = [call for call in commands.CALLS if call.arguments[0] in chosen][options.skip :]
  faults = [
    fault for command in calls for fault in try_command(command, good, options.seconds, only=options.harm or ())
  ]
  print(f'{len(calls)} calls of commands, {len(faults)} faults')
  shutil.rmtree(base, ignore_errors=True)
  return int(bool(faults))


if __name__ == '__main__':
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import nasfpn_tf.training.trainer  # noqa: F401  (loaded once, before the forks)

  sys.exit(main(sys.argv[1:]))
