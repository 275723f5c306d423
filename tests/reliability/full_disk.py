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

"""Runs the commands that write on a disk without room, then with room, and compares with a run that had it always.

python -m tests.reliability.full_disk

Files that may have no more than some bytes (RLIMIT_FSIZE) are to a program what a full disk is: a write fails half way.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

import yaml

from nasfpn_tf.training import checkpoints
from tests import testing
from tests.fit.dataset import layouts
from tests.reliability import cases, good_files, interruptions, processes
from tests.training import rectangles


class Predict(cases.Evaluation):
  """predict.py writes over the results of an earlier call."""

  name = 'prediction'

  def prepare(self, directory):
    super().prepare(directory)
    (directory / 'images').mkdir()
    for path in sorted((directory / 'set_images').iterdir())[:3]:
      shutil.copy(path, directory / 'images')

  def command(self, directory):
    return [
      'predict.py',
      f'--model={directory}/old/model.tflite',
      f'--images={directory}/images',
      f'--output_dir={directory}/found',
      '--score_threshold=0.01',
    ]

  def check(self, directory):
    assert len(list((directory / 'images').iterdir())) == 3

  def result(self, directory):
    found = (directory / 'found' / 'detections.json').read_text().replace(str(directory), '')
    return found, cases.digests(directory / 'found', '*.jpg')


class Benchmark(cases.Evaluation):
  """benchmark.py adds a record to a file."""

  name = 'measurement'

  def prepare(self, directory):
    super().prepare(directory)
    (directory / 'records.jsonl').write_text('')

  def command(self, directory):
    return [
      'benchmark.py',
      f'--model={directory}/old/model.tflite',
      f'--records={directory}/records.jsonl',
      '--name=m',
      '--runs=2',
    ]

  def check(self, directory):
    assert (directory / 'records.jsonl').exists()

  def result(self, directory):
    return [line['name'] for line in cases._lines(directory / 'records.jsonl') if line]


class Evaluate(cases.Evaluation):
  """evaluate.py writes the metrics of a .tflite."""

  name = 'evaluation of a .tflite'

  def command(self, directory):
    return [
      'evaluate.py',
      f'--model={directory}/old/model.tflite',
      f'--input_path={directory}/set',
      f'--output_dir={directory}/measured',
    ]

  def check(self, directory):
    assert not list(directory.glob('measured/*.json'))

  def result(self, directory):
    value = json.loads((directory / 'measured' / 'evaluation.json').read_text())
    return value['AP'], value['num_images']


class ImportWeights(cases.Case):
  """import_weights.py makes a model directory of a published checkpoint."""

  name = 'import of weights'

  def prepare(self, directory):
    for path in (testing.repo_root() / 'tests/public_weights/data/tpu_r50_nasfpn').glob('model.ckpt-0*'):
      shutil.copy(path, directory)

  def command(self, directory):
    return [
      'import_weights.py',
      '--from=tpu',
      f'--checkpoint={directory}/model.ckpt-0',
      '--image_size=128',
      f'--output_dir={directory}/run',
    ]

  def check(self, directory):
    assert not checkpoints.available(str(directory / 'run')), 'half a checkpoint has a name'

  def result(self, directory):
    return cases._weights(checkpoints.available(str(directory / 'run'))[0])


class Fit(cases.Case):
  """fit.py goes from images to a report; what it has made before the disk was full is not made again."""

  name = 'fit'

  def prepare(self, directory):
    layouts.images(directory / 'data' / 'JPEGImages', range(10))
    layouts.voc(directory / 'data' / 'Annotations', range(10))

  def command(self, directory):
    limits = ('--minutes=3', '--images_per_second=0.1', '--backbone_weights=none')
    return ['fit.py', f'{directory}/data', *limits, f'--output_dir={directory}/out']

  def check(self, directory):
    assert len(cases.digests(directory / 'data', '*/*')) == 20
    assert not (directory / 'out' / 'report.html').exists()

  def result(self, directory):
    out = directory / 'out'
    assert (out / 'report.html').exists()
    evaluated = {path.parent.name: json.loads(path.read_text()) for path in out.glob('evaluation/*/evaluation.json')}
    plan = yaml.safe_load((out / 'plan.yaml').read_text())
    return plan['task']['model'], {name: value['num_images'] for name, value in evaluated.items()}


class SimpleCommand(cases.Case):
  """A command that makes its files in a moment, with the files of `good_files.prepare_texts` and a few images."""

  def __init__(self, *arguments: str):
    """Takes the script and its flags, with {d} for the directory."""
    self.arguments, self.name = arguments, arguments[0]

  def prepare(self, directory):
    good_files.prepare_texts(directory / 'in')
    rectangles.write(directory / 'in', num_images=6)
    good_files.annotate(directory / 'in')

  def command(self, directory):
    return [part.format(d=directory) for part in self.arguments]

  def check(self, directory):
    assert (directory / 'in' / 'records.jsonl').exists()

  def result(self, directory):
    paths = [path for path in (directory / 'out').rglob('*') if path.is_file()]
    return {path.name: path.read_bytes().replace(str(directory).encode(), b'') for path in sorted(paths)}


SIMPLE = (
  SimpleCommand('make_digits.py', '--num_train=3', '--num_val=2', '--output_dir={d}/out'),
  SimpleCommand('split_dataset.py', '--data={d}/in/data', '--output_dir={d}/out/annotations'),
  SimpleCommand('describe.py', '--topology={d}/in/topology.json', '--svg={d}/out/t.svg'),
  SimpleCommand('report_frontier.py', '--records={d}/in/records.jsonl', '--output_dir={d}/out'),
  SimpleCommand('check_dataset.py', '--input_path={d}/in/set', '--output={d}/out/report.html'),
  SimpleCommand('check_dataset.py', '--input_path={d}/in/set', '--augmented={d}/out/augmented.jpg'),
)
# Case and the sizes above which nothing can be written.
CASES = {
  **dict.fromkeys(SIMPLE, (0, 100)),
  cases.Records(): (0, 700, 20_000),
  cases.Training(): (0, 3_000, 200_000),
  cases.SavedModel(): (0, 5_000, 100_000),
  cases.TFLite(): (0, 1_000, 50_000),
  cases.Search(): (0, 3_000),
  Predict(): (0, 1_000),
  Benchmark(): (0, 100),
  Evaluate(): (0, 300),
  ImportWeights(): (0, 5_000, 100_000),
  cases.Frontier(): (0, 3_000, 200_000),
  Fit(): (0, 3_000, 200_000),
}


def run(arguments: list[str], limit: int) -> tuple[int, str]:
  """Runs a script that cannot write a file of more than `limit` bytes; returns its exit code and its output."""
  reading, writing = os.pipe()
  pid = processes.start(arguments, f'/dev/fd/{writing}', limit)
  os.close(writing)
  with os.fdopen(reading, errors='replace') as pipe:
    text = pipe.read()
  return processes.wait(pid), text


def fill(case: cases.Case, base: pathlib.Path, limits: tuple[int, ...]) -> list[str]:
  """Runs a case with each limit, then without; returns the last lines; an AssertionError where a promise is broken."""
  straight = base / 'straight'
  interruptions._prepare(case, straight)
  processes.run(case.command(straight), str(base / 'log'))
  expected, lines = processes.call(case.result, straight), []
  for limit in limits:
    directory = base / f'limit_{limit}'
    interruptions._prepare(case, directory)
    code, text = run(case.command(directory), limit)
    last = (text.strip().splitlines() or ['no output'])[-1]
    lines.append(f'{limit} bytes: {code}: {last}')
    script = case.command(directory)[0].removesuffix('.py')
    assert code == 1 and 'Traceback' not in text, f'{case.name}, {limit} bytes: exit code {code}\n{text[-3000:]}'
    if isinstance(case, cases.Frontier | Fit):  # It tells the end of the log of what it has run, and how to go on.
      assert f'\n{script}: ' in f'\n{text}' and 'Make room' in text, f'{case.name}, {limit} bytes: {text[-3000:]}'
    else:  # The file is one of the results or, in the same place, of the libraries' temporary ones.
      assert last.startswith(f'{script}: {tempfile.gettempdir()}'), f'{case.name}, {limit} bytes: {last}'
    processes.call(case.check, directory)
    processes.run(case.command(directory), str(base / 'log'))
    actual = processes.call(case.result, directory)
    assert actual == expected, f'{case.name}, {limit} bytes: differs from a run that had room'
  return lines


def main(argv: list[str]) -> int:
  """Runs all cases, or some; returns how many fail."""
  known = sorted({case.name for case in CASES})
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--case', action='append', choices=known, help='again for another one; default: all')
  names = parser.parse_args(argv).case or known
  base = pathlib.Path(tempfile.mkdtemp(prefix='full_disk_'))
  failed = 0
  chosen = [case for case in CASES if case.name in names]
  if any(isinstance(case, cases.Evaluation) for case in chosen):
    interruptions.train_once(base / 'trained')
  for index, case in enumerate(chosen):
    directory = base / str(index)
    directory.mkdir()
    try:
      print(case.name, *fill(case, directory, CASES[case]), sep='\n  ', flush=True)
    except AssertionError as error:
      failed += 1
      print(f'{case.name}: FAILED\n{error}', flush=True)
  if not failed:
    shutil.rmtree(base)
  return failed


if __name__ == '__main__':
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import nasfpn_tf.training.trainer  # noqa: F401  (loaded once, before the forks)

  sys.exit(main(sys.argv[1:]))
