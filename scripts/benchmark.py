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

r"""Measures one model in one format and appends a record to a file: docs/frontier.md.

benchmark.py --model=cells_int8.tflite --input_path='records/test-*' --records=records.jsonl
benchmark.py --model=cells_int8.tflite --records=records.jsonl --adb --adb_binary=android_aarch64_benchmark_model

A .tflite, a SavedModel, the model_dir of a training or an .onnx: parameters, multiply-adds, size, milliseconds of one
image and of the parts of the network, memory, and with --input_path COCO's metrics.
"""

import sys

from absl import app, flags

FLAGS = flags.FLAGS


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('model', None, 'A .tflite, a SavedModel, the model_dir of a training, or an .onnx.')
  flags.DEFINE_string('checkpoint_path', None, 'With a model_dir: checkpoint to use instead of the best one.')
  flags.DEFINE_enum(
    'dtype',
    'float32',
    ['auto', 'float32', 'bfloat16'],
    'With a model_dir: precision of the network; auto: the faster one on this machine.',
  )
  flags.DEFINE_integer('exit_stage', None, 'Exit of an anytime detector to measure; unset: the last.', lower_bound=1)
  flags.DEFINE_string('input_path', None, 'TFRecords to evaluate on; their first image is timed. Unset: no AP.')
  flags.DEFINE_string(
    'annotations',
    None,
    'COCO JSON with the same image ids; unset: the one beside the records, or else the boxes in them.',
  )
  flags.DEFINE_string('records', None, 'File to append the record to (.jsonl).')
  flags.DEFINE_string('name', None, 'Name of the model in reports; unset: derived from its path.')
  flags.DEFINE_string('family', '', 'Family of the model; all models of a family have the same color in reports.')
  flags.DEFINE_list('facts', [], 'Further facts to store, such as train_steps=600: key=value, separated by commas.')
  flags.DEFINE_integer('threads', 1, 'Threads of the runtime.', lower_bound=1)
  flags.DEFINE_integer('runs', 50, 'Number of timed runs.', lower_bound=1)
  flags.DEFINE_bool('trust', False, 'Also load a SavedModel whose graph could read or write files.')
  flags.DEFINE_bool('adb', False, "Time a .tflite on a connected Android device, by LiteRT's benchmark_model.")
  flags.DEFINE_string('adb_serial', None, 'Serial number of the device; unset: the only one.')
  flags.DEFINE_string('adb_binary', None, 'benchmark_model binary to copy to the device; unset: it is there already.')
  flags.DEFINE_multi_string('adb_flag', [], 'Additional flag of benchmark_model, such as --adb_flag=--use_gpu=true.')
  flags.mark_flags_as_required(['model', 'records'])


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure, whole_file
  from nasfpn_tf.frontier import adb, benchmark, record

  with failure.told('benchmark'):
    if not FLAGS.records.endswith('.jsonl'):
      raise ValueError(f'--records={FLAGS.records}: the file name must end in .jsonl.')
    whole_file.check_place(FLAGS.records)  # Before the measurement, which takes a while.
    mended = record.mend(FLAGS.records)
    if mended:
      print(f'benchmark: {mended}', file=sys.stderr)
    device = adb.connect(FLAGS.adb_serial, FLAGS.adb_binary, FLAGS.adb_flag) if FLAGS.adb else None
    options = benchmark.Options(
      model=FLAGS.model,
      checkpoint=FLAGS.checkpoint_path,
      exit_stage=FLAGS.exit_stage,
      dtype=FLAGS.dtype,
      input_path=FLAGS.input_path,
      annotations=FLAGS.annotations,
      threads=FLAGS.threads,
      runs=FLAGS.runs,
      name=FLAGS.name,
      family=FLAGS.family,
      facts=record.parse_facts(FLAGS.facts),
      trust=FLAGS.trust,
      device=device,
    )
    found = benchmark.measure(options)
    record.append(FLAGS.records, found)
  print(record.describe(found))


def run():
  define_flags()
  app.run(main)


if __name__ == '__main__':
  run()
