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

r"""Finds objects in images with a checkpoint, a SavedModel or a .tflite: docs/deploy.md.

predict.py --model=runs/cells --images='pictures/*.jpg' --output_dir=found

predict.py --model=exported/anytime --images=pictures --output_dir=found --deadline_ms=40

Writes an annotated JPEG per image and detections.json for all. Exits with 1 if an image could not be read.
"""

import os
import sys

from absl import app, flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_string('model', None, 'model_dir of a training, a SavedModel or the directory of its versions, a .tflite.')
flags.DEFINE_string('checkpoint_path', None, 'Of a model_dir: a checkpoint or a directory of some; unset: the best.')
flags.DEFINE_multi_string(
  'images', [], 'Images: files, directories, patterns, or a .txt with one per line; also arguments without a flag.'
)
flags.DEFINE_bool('trust', False, 'Load a SavedModel whose graph could read or write files, too.')
flags.DEFINE_string('output_dir', None, 'Where annotated images and detections.json go.')
flags.DEFINE_float('score_threshold', 0.3, 'Least score of a detection.', lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_integer('exit_stage', None, 'Of an anytime detector: run this exit; unset: the last.')
flags.DEFINE_float(
  'deadline_ms',
  None,
  'Of an anytime detector: stop refining so that the boxes of an image are there after so many milliseconds.',
)


def main(argv):
  references = [*FLAGS.images, *argv[1:]]
  if not references:
    raise app.UsageError('give pictures with --images.')
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure, predict

  if not FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)
  with failure.told('predict'):
    paths = predict.find_images(references)
    predictor = predict.load_predictor(FLAGS.model, FLAGS.checkpoint_path, FLAGS.trust)
    if FLAGS.deadline_ms is not None and FLAGS.exit_stage is not None:
      raise ValueError('--exit_stage and --deadline_ms are two ways to choose an exit: give one.')
    if FLAGS.exit_stage is not None:
      predictor = predict.AtExit(predictor, FLAGS.exit_stage)
    elif FLAGS.deadline_ms is not None:
      predictor = predict.Deadline(predictor, FLAGS.deadline_ms)
    failures = predict.predict_files(predictor, paths, FLAGS.output_dir, FLAGS.score_threshold)
  print(f'{len(paths) - len(failures)} pictures: {os.path.abspath(FLAGS.output_dir)}')
  if FLAGS.deadline_ms is not None:
    print(predictor.summary())
  if failures:
    lines = [f'{path}: {reason}' for path, reason in failures.items()]
    sys.exit('\n'.join([f'predict: {len(failures)} of {len(paths)} pictures could not be read:', *lines]))


def run():
  flags.mark_flags_as_required(['model', 'output_dir'])
  app.run(main)


if __name__ == '__main__':
  run()
