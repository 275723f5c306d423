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

"""Measures the table of docs/benchmarks.md and a recipe on the device of this machine and writes one JSON.

python -m benchmarks.device --output=docs/benchmarks_a100.json
python -m benchmarks.device --output=device.json --quick   # small sizes, to try it: minutes on a CPU

On a GPU, a TPU (with tensorflow-tpu) or a CPU: each row is a command of benchmarks/ with its ratio to a peer, in a
process of its own; the recipe is the quickstart, which makes its data, trains, exports and evaluates. A row that fails
is written with its last lines, and the others go on. The file is written after every row.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from absl import app, flags

from benchmarks import side_by_side
from nasfpn_tf import failure, whole_file
from nasfpn_tf.data import progress

FLAGS = flags.FLAGS

_LITE = ('--num_filters=64', '--separable')
_MOBILE = ('--backbone=mobilenet', *_LITE)
# Name, module and flags, and the flags that replace these with --quick.
_TABLE = (
  ('input_640', 'input_pipeline', ('--image_size=640',), ('--image_size=128', '--num_images=32', '--runs=1')),
  ('input_256', 'input_pipeline', ('--image_size=256',), ('--image_size=256', '--num_images=32', '--runs=1')),
  ('neck_dense', 'neck_forward', (), ('--num_repeats=1', '--num_filters=32', '--image_size=128', '--runs=2')),
  (
    'neck_lite',
    'neck_forward',
    (*_LITE, '--num_repeats=3', '--image_size=384', '--channels=32,96,1280'),
    (*_LITE, '--num_repeats=1', '--image_size=128', '--channels=32,96,1280', '--runs=2'),
  ),
  (
    'step_resnet',
    'training_step',
    (),
    ('--model_id=10', '--num_repeats=1', '--num_filters=32', '--image_size=128', '--steps=1', '--pairs=1'),
  ),
  (
    'step_mobilenet',
    'training_step',
    (*_MOBILE, '--image_size=384'),
    (*_MOBILE, '--num_repeats=1', '--image_size=128', '--steps=1', '--pairs=1'),
  ),
  ('post_processing', 'postprocessing', (), None),
  (
    'serving_resnet',
    'serving',
    (),
    ('--model_id=10', '--num_repeats=1', '--num_filters=32', '--image_size=128', '--runs=2'),
  ),
  (
    'serving_mobilenet',
    'serving',
    (*_MOBILE, '--num_repeats=3', '--image_size=384'),
    (*_MOBILE, '--num_repeats=1', '--image_size=128', '--runs=2'),
  ),
)
_RECIPE = 'quickstart'
_KEPT_LINES = 15  # Of a row that fails.
# Asked in a process of its own: a GPU or TPU that this process held would not be free for the rows.
_DESCRIBE = """
import json
import tensorflow as tf
from nasfpn_tf import processor
from nasfpn_tf.modeling import precision
details = tf.config.experimental.get_device_details
devices = [
  {'name': device.name, **{key: str(value) for key, value in details(device).items()}}
  for kind in ('GPU', 'TPU') for device in tf.config.list_physical_devices(kind)
]
dtype, reason = precision.of_device(any('TPU' in device['name'] for device in devices))
print('DEVICE ' + json.dumps({
  'processor': processor.name(), 'cores': processor.num_cores(), 'devices': devices, 'tensorflow': tf.__version__,
  'precision': dtype, 'precision_reason': reason,
}))
"""


def read_tables(text: str) -> list[list[dict[str, str]]]:
  """Reads the Markdown tables that a benchmark printed, each a list of {column: cell}."""
  tables: list[list[dict[str, str]]] = []
  header: list[str] | None = None
  for line in text.splitlines():
    cells = [cell.strip() for cell in line.strip().strip('|').split('|')] if line.strip().startswith('|') else None
    if cells is None:
      header = None
    elif header is None:
      header = cells
      tables.append([])
    elif not re.fullmatch(r'[|\s:-]+', line):
      # Empty cells at the end may be cut off.
      tables[-1].append(dict(zip(header, cells + [''] * (len(header) - len(cells)), strict=False)))
  return [table for table in tables if table]


def run_row(command: Sequence[str]) -> dict[str, Any]:
  """Runs a command; returns it with its seconds and either its tables and other lines, or its error."""
  started = time.perf_counter()
  done = subprocess.run(
    [sys.executable, '-u', *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace'
  )
  row: dict[str, Any] = {'command': ' '.join(['python', *command]), 'seconds': round(time.perf_counter() - started, 1)}
  if done.returncode:
    return {**row, 'error': f'status {done.returncode}', 'lines': done.stdout.splitlines()[-_KEPT_LINES:]}
  return {**row, 'tables': read_tables(done.stdout)}


def run_recipe(quick: bool) -> dict[str, Any]:
  """Runs the quickstart in a directory of its own; returns its row with the metrics of its detector."""
  script = pathlib.Path(__file__).parent.parent / 'scripts' / 'quickstart.py'
  with tempfile.TemporaryDirectory() as directory:
    command = [os.path.relpath(script), f'--output_dir={directory}', *(['--smoke'] if quick else [])]
    row = run_row(command)
    for path in sorted(pathlib.Path(directory).rglob('eval.json')):
      row['metrics'] = json.loads(path.read_text())
  return row


def describe_device() -> dict[str, Any]:
  """Describes processor, accelerators and versions.

  Raises:
    ValueError: TensorFlow does not start.
  """
  done = subprocess.run([sys.executable, '-c', _DESCRIBE], capture_output=True, text=True, errors='replace')
  found = re.search(r'^DEVICE (.*)$', done.stdout, re.MULTILINE)
  if not found:
    raise ValueError(f'TensorFlow does not start: {" ".join(done.stderr.splitlines()[-2:])}')
  return {**json.loads(found[1]), 'tf_models_official': metadata.version('tf-models-official')}


def measure(output: str, rows: Sequence[str] = (), quick: bool = False) -> dict[str, Any]:
  """Measures rows and writes them, after each, into a JSON file; returns what it holds.

  Args:
    output: the file.
    rows: names of the rows; empty: all.
    quick: small networks and few calls.

  Raises:
    ValueError: a row is unknown, or TensorFlow does not start.
  """
  names = [name for name, *_ in _TABLE] + [_RECIPE]
  unknown = sorted(set(rows) - set(names))
  if unknown:
    raise ValueError(f'--rows: there is no {", ".join(unknown)}; there are {", ".join(names)}.')
  result = {'format': 1, 'kind': 'device', **describe_device(), 'machine': side_by_side.machine()}
  result |= {'quick': quick, 'rows': {}}
  chosen = [name for name in names if name in (rows or names)]
  table = {name: (module, options, reduced) for name, module, options, reduced in _TABLE}
  for name in progress.track(chosen, len(chosen), 'device: rows'):
    if name == _RECIPE:
      result['rows'][name] = run_recipe(quick)
    else:
      module, options, reduced = table[name]
      result['rows'][name] = run_row(
        ['-m', f'benchmarks.{module}', *(reduced if quick and reduced is not None else options)]
      )
    whole_file.write_json(output, result)
  return result


def define_flags() -> None:
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('output', None, 'JSON file to write.', required=True)
  flags.DEFINE_bool(
    'quick', False, 'Use small networks and few calls, to check that everything runs; the ratios mean little.'
  )
  flags.DEFINE_list('rows', [], 'Names of the rows to measure; unset: all.')


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  with failure.told('device'):
    result = measure(FLAGS.output, FLAGS.rows, FLAGS.quick)
  for name, row in result['rows'].items():
    print(f'{name}: {row.get("error") or "measured"}, {row["seconds"]:.0f} s')


if __name__ == '__main__':
  define_flags()
  app.run(main)
