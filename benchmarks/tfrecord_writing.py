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

"""Compares writing COCO as TFRecords with Model Garden's `create_coco_tf_record`: time and peak memory.

python -m benchmarks.tfrecord_writing --num_images=20000

Model Garden's is run twice: as it is (a pool of processes, which hands all records to the first before one is written)
and with --num_processes=0. Memory is that of the largest process. Both must write the same images and boxes.
"""

import pathlib
import subprocess
import sys
import tempfile

from absl import app, flags

from benchmarks import side_by_side, synthetic_images

_NUM_IMAGES = flags.DEFINE_integer('num_images', 20000, 'Images of 640x480.', lower_bound=1)
_NUM_SHARDS = flags.DEFINE_integer('num_shards', 8, 'TFRecord files.')
_RUNS = flags.DEFINE_integer('runs', 1, 'Number of timed runs per side.', lower_bound=1)
_CHECKED = flags.DEFINE_integer('checked', 200, 'Records that are compared.')

# Runs a command and says what its largest process needed: only a process of its own knows that of its children.
_WATCH = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def run(command):
  """Runs a command; returns (seconds, peak bytes)."""
  done = subprocess.run([sys.executable, '-c', _WATCH, *command], stdout=subprocess.PIPE, text=True)
  if done.returncode:
    raise SystemExit(f'{" ".join(command)} failed.')
  seconds, peak = done.stdout.split()[-2:]
  return float(seconds), int(peak)


def read(prefix, count):
  """Reads {id: (image, boxes)} of the ids 1 to `count`."""
  import tensorflow as tf

  found = {}
  files = sorted(str(path) for path in pathlib.Path(prefix).parent.glob(f'{pathlib.Path(prefix).name}-*.tfrecord'))
  for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
    features = tf.train.Example.FromString(record).features.feature
    number = int(features['image/source_id'].bytes_list.value[0])
    if number <= count:
      edges = [features[f'image/object/bbox/{edge}'].float_list.value for edge in ('ymin', 'xmin', 'ymax', 'xmax')]
      labels = features['image/object/class/label'].int64_list.value
      found[number] = features['image/encoded'].bytes_list.value[0], sorted(zip(*edges, labels, strict=True))
  return found


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  script = str(pathlib.Path(__file__).parent.parent / 'scripts' / 'create_tfrecord.py')
  with tempfile.TemporaryDirectory() as directory:
    image_dir, annotations = synthetic_images.write_coco(directory, _NUM_IMAGES.value)
    shards = f'--num_shards={_NUM_SHARDS.value}'
    ours = [sys.executable, script, f'--annotations={annotations}', f'--image_dir={image_dir}', shards]
    module = 'official.vision.data.create_coco_tf_record'
    theirs = [sys.executable, '-m', module, f'--object_annotations_file={annotations}', f'--image_dir={image_dir}']
    commands = {
      'ours': [*ours, '--labels=category_id', f'--output_prefix={directory}/ours'],
      'Model Garden': [*theirs, shards, f'--output_file_prefix={directory}/theirs'],
      'Model Garden, --num_processes=0': [
        *theirs,
        shards,
        f'--output_file_prefix={directory}/theirs',
        '--num_processes=0',
      ],
    }
    results = {name: [] for name in commands}
    for _ in range(_RUNS.value):
      for name, command in commands.items():
        results[name].append(run(command))
    written = [read(f'{directory}/{name}', _CHECKED.value) for name in ('ours', 'theirs')]
  side_by_side.require(written[0] and written[0] == written[1], 'the records hold other images or boxes.')
  print(f'{side_by_side.machine()}; {_NUM_IMAGES.value} images, {len(written[0])} compared')
  print('| side | s | peak MiB | ours / this: time | memory |\n|---|---|---|---|---|')
  ours = min(results['ours'])
  for name, measured in results.items():
    seconds, peak = min(measured)
    ratios = '' if name == 'ours' else f'{ours[0] / seconds:.2f} | {ours[1] / peak:.2f}'
    print(f'| {name} | {seconds:.1f} | {peak / 2**20:.0f} | {ratios or " | "} |')


if __name__ == '__main__':
  app.run(main)
