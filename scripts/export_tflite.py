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

r"""Exports a trained detector as TFLite, in float or quantized: docs/deploy.md.

export_tflite.py --saved_model_dir=exported/cells --tflite_path=cells.tflite
export_tflite.py --saved_model_dir=exported/cells --tflite_path=cells_int8.tflite --quant_type=int8 \
  --calibration_tfrecord=records/val

The file is run and compared with the model before it gets its name; its JSON file says how far they are apart.
"""

import functools
import os

from absl import app, flags

from nasfpn_tf.artifacts import signatures

FLAGS = flags.FLAGS
flags.DEFINE_string('saved_model_dir', None, 'A SavedModel of export_saved_model.py, or the directory of its versions.')
flags.DEFINE_string('model', None, 'model_dir of a training, instead of --saved_model_dir.')
flags.DEFINE_string(
  'checkpoint_path', None, 'With --model: a checkpoint or a directory of checkpoints; unset: the best.'
)
flags.DEFINE_string('tflite_path', None, 'File to write.')
flags.DEFINE_enum(
  'quant_type',
  'none',
  ['none', 'fp16', 'dynamic', 'int8', 'int8_float_heads'],
  'Quantization of weights and activations.',
)
flags.DEFINE_string(
  'calibration_tfrecord',
  None,
  'int8: validation records for calibration and verification; further ones, after a comma, are used if these have fewer'
  ' images than --calibration_steps.',
)
flags.DEFINE_integer('calibration_steps', 128, 'int8: number of distinct images for calibration.', lower_bound=1)
flags.DEFINE_enum('input_dtype', 'float32', ['float32', 'uint8'], 'Type of the input; values are 0 to 255 in either.')
flags.DEFINE_enum(
  'output_dtype',
  'float32',
  ['float32', 'uint8'],
  'uint8: with --quant_type=int8 and --nms=none, so that nothing is left in float.',
)
flags.DEFINE_enum(
  'nms',
  'builtin',
  signatures.TFLITE_NMS,
  "NMS in the file: the model's own in builtin operators, TFLite_Detection_PostProcess, or none for raw outputs.",
)
flags.DEFINE_list('input_image_size', None, "Height,width of the network's input; unset: as trained.")
flags.DEFINE_integer('exit_stage', None, 'Export only this exit of an anytime detector; unset: all exits.')
flags.DEFINE_float('tolerance', None, 'Maximum error of a score; unset: 0.001 in float, more when quantized.')
flags.DEFINE_string(
  'evaluation_tfrecord', None, 'Records on which the AP of the file is compared with that of the model.'
)
flags.DEFINE_float('max_ap_drop', 0.02, 'With --evaluation_tfrecord: maximum drop of the AP, from 0 to 1.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  if bool(FLAGS.saved_model_dir) == bool(FLAGS.model):
    raise app.UsageError('give either --saved_model_dir or --model.')
  if FLAGS.quant_type.startswith('int8') and not FLAGS.calibration_tfrecord:
    raise app.UsageError(
      f'--quant_type={FLAGS.quant_type} needs --calibration_tfrecord: the validation records, e.g. records/val.'
    )
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure, predict
  from nasfpn_tf.artifacts import tflite_files
  from nasfpn_tf.data.records import manifest
  from nasfpn_tf.export import calibration, source, tflite

  with failure.told('export_tflite'):
    options = tflite.Options(
      quant_type=FLAGS.quant_type,
      nms=FLAGS.nms,
      input_dtype=FLAGS.input_dtype,
      output_dtype=FLAGS.output_dtype,
      tolerance=FLAGS.tolerance,
    )
    tflite_files.check_place(FLAGS.tflite_path)  # Before the conversion, which takes a while.
    if FLAGS.evaluation_tfrecord:
      manifest.match_shards(FLAGS.evaluation_tfrecord)  # If there are none, it is said before the conversion.
    images = []
    if FLAGS.calibration_tfrecord:
      images = calibration.load_images(FLAGS.calibration_tfrecord, FLAGS.calibration_steps)
    size = source.parse_size(FLAGS.input_image_size)
    reference = FLAGS.saved_model_dir or FLAGS.model
    detector = source.load(reference, FLAGS.checkpoint_path, input_size=size)
    if FLAGS.exit_stage is not None:
      detector = detector.at_exit(FLAGS.exit_stage)
    accept = None
    if FLAGS.evaluation_tfrecord:
      if size:
        raise ValueError('--evaluation_tfrecord compares with the model as trained: leave --input_image_size out.')
      model = predict.load_predictor(reference, FLAGS.checkpoint_path)
      if FLAGS.exit_stage is not None:
        model = predict.AtExit(model, FLAGS.exit_stage)
      accept = functools.partial(predict.compare_ap, model, FLAGS.evaluation_tfrecord, FLAGS.max_ap_drop)
    facts = tflite.export_tflite(detector, FLAGS.tflite_path, options, images, accept)
  errors = ', '.join(f'{name} {error:.2g}' for name, error in facts['max_error'].items())
  print(f'{os.path.abspath(FLAGS.tflite_path)}: {facts["size_bytes"] / 1e6:.2f} MB, largest errors: {errors}')
  print('operators: ' + ', '.join(f'{count} {name}' for name, count in facts['ops'].items()))
  if 'AP' in facts:
    print(f'AP {facts["AP"]:.4f}, of the model {facts["AP_of_model"]:.4f}')


def run():
  flags.mark_flag_as_required('tflite_path')
  app.run(main)


if __name__ == '__main__':
  run()
