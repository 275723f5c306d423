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

r"""Exports a trained detector as a SavedModel in TensorFlow Serving's layout: docs/deploy.md.

export_saved_model.py --model=runs/cells --export_dir=exported/cells

The files are loaded again and compared with the model before they get their name; nothing is left where they differ.
A network in bfloat16 is up to twice as fast on processors with instructions for it, and slower on others:

export_saved_model.py --model=runs/cells --export_dir=exported/cells --dtype=bfloat16 --input_path='records/val-*'
"""

import functools
import json
import os

from absl import app, flags

from nasfpn_tf.artifacts import signatures

FLAGS = flags.FLAGS
flags.DEFINE_string('model', None, 'model_dir of a training, or a SavedModel written by this script.')
flags.DEFINE_string('config_file', None, 'YAML file or name in configs/, instead of --model; needs --checkpoint_path.')
flags.DEFINE_string('checkpoint_path', None, 'Checkpoint or directory of checkpoints; unset: the best one of --model.')
flags.DEFINE_string('params_override', None, 'key.of.field=value,... to change the configuration.')
flags.DEFINE_string('export_dir', None, 'Directory of the versions; the export is written to export_dir/<version>.')
flags.DEFINE_integer('version', None, 'Version number; unset: the highest existing one plus 1.')
flags.DEFINE_enum(
  'weights',
  'auto',
  ['auto', 'frozen', 'variable'],
  'Store the weights as constants of the graph (frozen, fast on CPUs) or as variables; auto: frozen unless the'
  ' model is very large.',
)
flags.DEFINE_enum(
  'input_type',
  'image_bytes',
  signatures.INPUT_TYPES,
  'Signature to use as serving_default; all signatures are exported.',
)
flags.DEFINE_enum(
  'dtype',
  'auto',
  ['auto', 'float32', 'bfloat16'],
  'Precision of the network; auto: the faster one on this machine. Inputs, logits and boxes are always float32.',
)
flags.DEFINE_string('input_path', None, 'Records on which the AP of the export is compared with that of the model.')
flags.DEFINE_float('max_ap_drop', 0.2, 'With --input_path: maximum drop of the AP, in points of 100.', lower_bound=0.0)
flags.DEFINE_integer('batch_size', None, 'Number of images per request; unset: any.', lower_bound=1)
flags.DEFINE_list('input_image_size', None, "Height,width of the network's input; unset: as trained.")
flags.DEFINE_integer('exit_stage', None, 'Export only this exit of an anytime detector; unset: all exits.')
flags.DEFINE_multi_string(
  'images', [], 'Images to verify the export with: files, directories, patterns; unset: two photographs.'
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  if bool(FLAGS.model) == bool(FLAGS.config_file):
    raise app.UsageError('give --model, or --config_file with --checkpoint_path.')
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure, predict, whole_file
  from nasfpn_tf.artifacts import layout
  from nasfpn_tf.data.records import manifest
  from nasfpn_tf.export import saved_model, source

  with failure.told('export_saved_model'):
    whole_file.check_place(FLAGS.export_dir, is_directory=True)  # Before the export, which takes a while.
    size = source.parse_size(FLAGS.input_image_size)
    if FLAGS.input_path:
      manifest.match_shards(FLAGS.input_path)  # If there are none, it is said before the export.
      if size or FLAGS.config_file or FLAGS.params_override:
        raise ValueError('--input_path compares with the model as trained: give --model alone.')
    detector = source.load(FLAGS.model or FLAGS.config_file, FLAGS.checkpoint_path, FLAGS.params_override, size)
    if FLAGS.exit_stage is not None:
      detector = detector.at_exit(FLAGS.exit_stage)
    accept = None
    if FLAGS.input_path:
      model = predict.load_predictor(FLAGS.model, FLAGS.checkpoint_path)
      if FLAGS.exit_stage is not None:
        model = predict.AtExit(model, FLAGS.exit_stage)
      accept = functools.partial(predict.compare_ap, model, FLAGS.input_path, FLAGS.max_ap_drop / 100)
    path = saved_model.export_saved_model(
      detector,
      FLAGS.export_dir,
      version=FLAGS.version,
      input_type=FLAGS.input_type,
      weights=FLAGS.weights,
      batch_size=FLAGS.batch_size,
      images=[predict.read_image(file) for file in predict.find_images(FLAGS.images)[:4]],
      dtype=FLAGS.dtype,
      accept=accept,
    )
    with open(os.path.join(path, layout.REPORT), encoding='utf-8') as file:
      report = json.load(file)
  print(f'{os.path.abspath(path)}: detects what the model detects')
  print(f'{report["dtype"]} ({report["dtype_reason"]})')
  if 'AP' in report:
    print(f'AP {report["AP"]:.4f}, of the model {report["AP_of_model"]:.4f}')


def run():
  flags.mark_flag_as_required('export_dir')
  app.run(main)


if __name__ == '__main__':
  run()
