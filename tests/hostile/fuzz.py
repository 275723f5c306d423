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

"""Reads damaged files of every kind and counts what happens.

  python -m tests.hostile.fuzz --inputs 20000 --seed 0

Each kind runs in a process of its own, with a limit of memory and of seconds per input. An input is accepted, or
refused with an expected error that names a file; a stack trace, a crash, a hang or a refusal without a name is a fault.
"""

import argparse
import collections
import json
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

SECONDS = 20  # Per input; a slow machine and a garbage collection included.
MEMORY = 6 * 2**30  # Address space; TensorFlow maps most of 3 GB when it is imported.


def run(kinds: Sequence[str], inputs: int, seed: int, timeout: float = 3600) -> dict[str, object]:
  """Reads `inputs` damaged files of each kind in another process; returns counts and the faults with their seeds."""
  chosen = [f'--kind={kind}' for kind in kinds]
  command = [sys.executable, '-m', 'tests.hostile.fuzz', *chosen, '--inputs', str(inputs), '--seed', str(seed)]
  done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=timeout, check=False)
  lines = [line for line in done.stdout.splitlines() if line.startswith('{')]
  if done.returncode or not lines or 'counts' not in json.loads(lines[-1]):
    last = json.loads(lines[-1]).get('at') if lines else 'the start'
    return {'counts': {}, 'faults': [f'{last}: the process ended with {done.returncode}: {done.stderr[-500:]}']}
  return json.loads(lines[-1])


def _worker(chosen: Sequence[str], inputs: int, first_seed: int) -> None:
  from tests.hostile import kinds

  signal.signal(signal.SIGALRM, _too_long)
  counts, faults = collections.Counter(), []
  for kind in chosen:
    with tempfile.TemporaryDirectory() as root:
      good, directory = pathlib.Path(root, 'good'), pathlib.Path(root, 'damaged')
      good.mkdir()
      directory.mkdir()
      files, _ = kinds.KINDS[kind](good)
      contents = {path.relative_to(good): path.read_bytes() for path in files}
      shutil.rmtree(good)
      _, read = kinds.KINDS[kind](directory)
      read()  # Good files are accepted, and what readers import is imported.
      resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
      for seed in range(first_seed, first_seed + inputs):
        print(json.dumps({'at': f'{kind}, seed {seed}'}), flush=True)
        result, text = _read_damaged(kind, seed, directory, contents, read)
        counts[result] += 1
        faults += [f'{kind}, seed {seed}: {text}'] * (result == 'fault')
  print(json.dumps({'counts': counts, 'faults': faults[:20]}))


def _read_damaged(
  kind: str, seed: int, directory: pathlib.Path, contents: Mapping[pathlib.Path, bytes], read: Callable[[], object]
) -> tuple[str, str]:
  """Damages one of the files and reads them; returns 'accepted', 'refused' or 'fault', and the error."""
  from nasfpn_tf import failure
  from tests.hostile import mutations

  rng = random.Random(f'{kind} {seed}')
  chosen = rng.randrange(len(contents))
  for index, (name, content) in enumerate(contents.items()):
    (directory / name).write_bytes(mutations.mutate(content, rng) if index == chosen else content)
  for leftover in directory.glob('*-wal'):
    leftover.unlink()
  signal.alarm(SECONDS)
  try:
    read()
    return 'accepted', ''
  except Exception as error:
    text = str(error)
    named = any(name.stem in text for name in contents) or str(directory) in text or kind == 'override'
    if failure.is_expected(error) and not isinstance(error, RecursionError | MemoryError) and named:
      return 'refused', text
    return 'fault', f'{type(error).__name__}: {text[:300]}'
  finally:
    signal.alarm(0)


def _too_long(unused_number, unused_frame) -> None:
  raise AssertionError(f'longer than {SECONDS} seconds')


def main() -> None:
  """Runs every kind, or one, and prints a table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--inputs', type=int, default=20000, help='damaged inputs in all')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--kind', action='append', help='only this kind, in this process; may be repeated')
  options = parser.parse_args()
  if options.kind:
    _worker(options.kind, options.inputs, options.seed)
    return
  from tests.hostile import kinds

  each = -(-options.inputs // len(kinds.KINDS))
  total, faults = collections.Counter(), []
  print(f'{"kind":22}{"inputs":>8}{"accepted":>10}{"refused":>9}{"faults":>8}', flush=True)
  for kind in kinds.KINDS:
    found = run([kind], each, options.seed)
    counts = collections.Counter(found['counts'])
    total += counts
    faults += found['faults']
    print(f'{kind:22}{each:>8}{counts["accepted"]:>10}{counts["refused"]:>9}{len(found["faults"]):>8}', flush=True)
  print(f'{"all":22}{total.total():>8}{total["accepted"]:>10}{total["refused"]:>9}{len(faults):>8}')
  sys.exit('\n'.join(faults) or None)


if __name__ == '__main__':
  main()
