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

"""Evaluates a checkpoint, a SavedModel or a .tflite by running it on TFRecords: docs/deploy.md.

evaluate.py --model=detector.tflite --input_path='records/val-*' --output_dir=evaluation/tflite
"""

import os
import signal
import sys

from absl import app, flags

from nasfpn_tf import startup

FLAGS = flags.FLAGS
flags.DEFINE_string('model', None, 'A .tflite, a SavedModel, or the model_dir of a training.')
flags.DEFINE_string('checkpoint_path', None, 'With a model_dir: checkpoint to evaluate; unset: the best one.')
flags.DEFINE_string('input_path', None, 'TFRecords to evaluate on.')
flags.DEFINE_string(
  'annotations',
  None,
  'COCO JSON with the same image ids; unset: the one beside the records, or else the boxes in them.',
)
flags.DEFINE_integer('exit_stage', None, 'Exit of an anytime detector to evaluate; unset: the last.')
flags.DEFINE_multi_string('images', [], 'Images to annotate too: files, directories, patterns, .txt lists.')
flags.DEFINE_float('score_threshold', 0.3, 'Minimum score of the detections in the annotated images.')
flags.DEFINE_bool('trust', False, 'Also load a SavedModel whose graph could read or write files.')
flags.DEFINE_string(
  'output_dir', None, 'Directory for evaluation.json and, with --images, the annotated images and detections.json.'
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure, predict, whole_file
  from nasfpn_tf.predict import measurement, stopping

  failures = {}
  with stopping.ends('evaluate'), failure.told('evaluate'):
    # Before the evaluation, which takes a while.
    whole_file.check_place(FLAGS.output_dir, is_directory=True)
    paths = predict.find_images(FLAGS.images) if FLAGS.images else []
    predictor = predict.load_predictor(FLAGS.model, FLAGS.checkpoint_path, FLAGS.trust)
    if FLAGS.exit_stage is not None:
      predictor = predict.AtExit(predictor, FLAGS.exit_stage)
    result = measurement.measure(predictor, FLAGS.model, FLAGS.input_path, FLAGS.annotations, FLAGS.checkpoint_path)
    whole_file.write_json(os.path.join(FLAGS.output_dir, measurement.RESULT), result)
    latency = '' if result['latency_ms'] is None else f', {result["latency_ms"]:.1f} ms per image'
    print(f'AP {result["AP"]:.4f}, AP50 {result["AP50"]:.4f} on {result["num_images"]} images{latency}')
    if paths:
      failures = predict.predict_files(predictor, paths, FLAGS.output_dir, FLAGS.score_threshold).failures
  for path, reason in failures.items():
    print(f'evaluate: {path}: {reason}', file=sys.stderr)
  if failures:
    sys.exit(1)


def run():
  startup.end_at_signals('evaluate', 128 + signal.SIGTERM, 128 + signal.SIGINT, 'there are no results yet.')
  flags.mark_flags_as_required(['model', 'input_path', 'output_dir'])
  app.run(main)


if __name__ == '__main__':
  run()
