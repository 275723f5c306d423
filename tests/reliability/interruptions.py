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

"""Interrupts real processes at random moments, lets each go on, and compares with a run in one go.

python -m tests.reliability.interruptions --signal=KILL --count=50 --seed=1
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

from tests.reliability import cases, processes

# Case and how often it is interrupted in relation to the others.
CASES = {
  cases.Records: 3,
  cases.Training: 3,
  cases.Evaluation: 1,
  cases.SavedModel: 1,
  cases.TFLite: 1,
  cases.Search: 3,
  cases.Frontier: 1,
  cases.Quickstart: 1,
}


def interrupt_case(case: cases.Case, base: pathlib.Path, number: int, count: int, rng: random.Random) -> list[dict]:
  """Interrupts one case `count` times; an AssertionError where a promise is broken."""
  straight = base / 'straight'
  _prepare(case, straight)
  seconds = processes.run(case.command(straight), str(straight / 'log'))
  expected = processes.call(case.result, straight)
  outcomes, directory, log = [], base / 'interrupted', str(base / 'log')
  for index in range(count):
    if not (directory.exists() and case.keeps_progress):
      _prepare(case, directory)
    moment = rng.uniform(0.0, 1.0) * seconds
    started = time.monotonic()
    code = processes.interrupt(case.command(directory), log, number, moment)
    outcomes.append(
      {'case': case.name, 'at': round(moment, 2), 'code': code, 'took': round(time.monotonic() - started, 2)}
    )
    assert code in (-number, 0, *case.codes), f'{case.name}: exit code {code} after signal {number}, see {log}'
    processes.call(case.check, directory)
    if code == 0 or not case.keeps_progress or index == count - 1:
      processes.run(case.command(directory), log)
      actual = processes.call(case.result, directory)
      assert actual == expected, f'{case.name}: differs from a run in one go:\n{_difference(expected, actual)}'
      shutil.rmtree(directory)
  return outcomes


def _prepare(case: cases.Case, directory: pathlib.Path) -> None:
  shutil.rmtree(directory, ignore_errors=True)
  directory.mkdir(parents=True)
  processes.call(case.prepare, directory)


def _difference(expected: object, actual: object) -> str:
  if isinstance(expected, dict):
    return '\n'.join(
      f'{key}: {str(expected.get(key))[:1500]}\n  but {str(actual.get(key))[:1500]}'
      for key in {**expected, **actual}
      if expected.get(key) != actual.get(key)
    )
  return f'{str(expected)[:2000]}\nbut {str(actual)[:2000]}'


def shares(count: int, names: list[str]) -> dict[str, int]:
  """How often each case is interrupted: `count` in all."""
  weights = {case.name: weight for case, weight in CASES.items() if case.name in names}
  given = {name: count * weight // sum(weights.values()) for name, weight in weights.items()}
  for name in names[: count - sum(given.values())]:
    given[name] += 1
  return given


def train_once(directory: pathlib.Path) -> None:
  """A trained model_dir and what has been exported from it, from which evaluation and exports begin."""
  case = cases.Training()
  _prepare(case, directory)
  log = str(directory / 'log')
  processes.run(case.command(directory), log)
  cases.Evaluation._trained = directory
  export = ['export_saved_model.py', f'--model={directory}/run', f'--export_dir={directory}/saved_model']
  processes.run(export, log)
  export = ['export_tflite.py', f'--saved_model_dir={directory}/saved_model']
  processes.run([*export, f'--tflite_path={directory}/old/model.tflite', '--quant_type=fp16'], log)


def main(argv: list[str]) -> int:
  known = {case.name: case for case in CASES}
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--signal', choices=['KILL', 'TERM'], default='KILL')
  parser.add_argument('--count', type=int, default=50)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--case', action='append', choices=list(known), help='again for another one; default: all')
  arguments = parser.parse_args(argv)
  number = signal.Signals[f'SIG{arguments.signal}']
  names = arguments.case or list(known)
  rng = random.Random(arguments.seed)
  base = pathlib.Path(tempfile.mkdtemp(prefix='interruptions_'))
  failed = 0
  if any(issubclass(known[name], cases.Evaluation) for name in names):
    train_once(base / 'trained')
  for name, count in shares(arguments.count, names).items():
    try:
      outcomes = interrupt_case(known[name](), base / name.replace(' ', '_'), number, count, rng)
    except AssertionError as error:
      failed += 1
      print(f'{name}: FAILED\n{error}', flush=True)
      continue
    codes = collections.Counter(outcome['code'] for outcome in outcomes)
    summary = ', '.join(f'{code}: {n}' for code, n in sorted(codes.items()))
    print(
      json.dumps({'case': name, 'signal': arguments.signal, 'interruptions': len(outcomes), 'exit codes': summary}),
      flush=True,
    )
  if not failed:
    shutil.rmtree(base)
  return failed


if __name__ == '__main__':
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import nasfpn_tf.training.trainer  # noqa: F401  (loaded once, before the forks)

  sys.exit(main(sys.argv[1:]))
