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

r"""Finds objects in images and videos with a checkpoint, a SavedModel or a .tflite: docs/predict.md.

predict.py --model=my_detector --images=photos --output_dir=found

predict.py --model=exported/anytime --images=camera:0 --output_dir=found --deadline_ms=40

Writes an annotated JPEG per image and detections.json for all, and per video an annotated .mp4 and a .jsonl with a line
a frame. Exits with 1 if an image could not be read, with 130 after Ctrl-C; what was found until then is kept.
"""

import os
import signal
import sys
from collections.abc import Mapping

from absl import app, flags

from nasfpn_tf import startup

FLAGS = flags.FLAGS
flags.DEFINE_string('model', None, 'model_dir of a training, a SavedModel or the directory of its versions, a .tflite.')
flags.DEFINE_string(
  'checkpoint_path', None, 'Checkpoint of a model_dir, or a directory of checkpoints; unset: the best.'
)
flags.DEFINE_enum(
  'dtype',
  'float32',
  ['auto', 'float32', 'bfloat16'],
  'Precision of the network of a model_dir; auto: the faster one on this machine.',
)
flags.DEFINE_multi_string(
  'images',
  [],
  'Images and videos: files, directories, patterns, camera:0, or a .txt with one per line; also arguments without a'
  ' flag.',
)
flags.DEFINE_bool('recursive', False, 'Search subdirectories, too.')
flags.DEFINE_bool('trust', False, 'Also load a SavedModel whose graph could read or write files.')
flags.DEFINE_string('output_dir', None, 'Directory for the results; not the one of the images.')
flags.DEFINE_float('score_threshold', 0.3, 'Lowest score of a detection.', lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_integer('max_frames', None, 'Maximum number of frames of each video.', lower_bound=1)
flags.DEFINE_integer('exit_stage', None, 'Exit of an anytime detector to run; unset: the last.')
flags.DEFINE_float(
  'deadline_ms',
  None,
  'Time limit of an anytime detector per image, in milliseconds; it stops refining in time.',
)
_NAMED = 10  # More are counted only.


def main(argv):
  references = [*FLAGS.images, *argv[1:]]
  if not references:
    raise app.UsageError('give images with --images.')
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure
  from nasfpn_tf.predict import stopping

  with stopping.ends('predict'), failure.told('predict'):
    unreadable = _predict(references)
  if unreadable:
    sys.exit(1)


def _predict(references: list[str]) -> bool:
  """Predicts everything; returns whether something could not be read."""
  from nasfpn_tf import predict
  from nasfpn_tf.predict import detector, results

  found = predict.find_inputs(references, FLAGS.recursive, FLAGS.output_dir)
  _tell('files are skipped', found.skipped)
  # Before the model is loaded, which takes a while.
  videos = results.name_targets(found.videos, FLAGS.output_dir, '.mp4')
  predictor = detector.choose_exit(
    predict.load_predictor(FLAGS.model, FLAGS.checkpoint_path, FLAGS.trust, FLAGS.dtype),
    FLAGS.exit_stage,
    FLAGS.deadline_ms,
  )
  failures, done = dict(found.missing), []
  if found.images:
    outcome = predict.predict_files(predictor, found.images, FLAGS.output_dir, FLAGS.score_threshold)
    failures.update(outcome.failures)
    done.append(f'{outcome.num_done} images')
    _tell(
      'images are animated or have several pages; the first one was used',
      {k: f'{n}' for k, n in outcome.animated.items()},
    )
  for video, target in videos.items():
    try:
      count = predict.predict_video(predictor, video, FLAGS.output_dir, FLAGS.score_threshold, target, FLAGS.max_frames)
      done.append(f'{count} frames of {video}')
    except ValueError as error:
      failures[video] = str(error).removeprefix(f'{video}: ')
  print(f'{", ".join(done) or "nothing"}: {os.path.abspath(FLAGS.output_dir)}')
  if FLAGS.deadline_ms is not None:
    print(predictor.summary())
  num_inputs = len(found.images) + len(found.videos) + len(found.missing)
  _tell(f'of {num_inputs} inputs could not be read', failures, named=len(failures))
  return bool(failures)


def _tell(what: str, paths: Mapping[str, str], named: int = _NAMED) -> None:
  """Says on stderr how many paths are `what`, and names them with the reason."""
  if paths:
    lines = [f'{path}: {reason}' for path, reason in list(paths.items())[:named]]
    more = [f'and {len(paths) - named} more'] if len(paths) > named else []
    print('\n  '.join([f'predict: {len(paths)} {what}:', *lines, *more]), file=sys.stderr)


def run():
  startup.end_at_signals('predict', 128 + signal.SIGTERM, 128 + signal.SIGINT, 'there are no results yet.')
  flags.mark_flags_as_required(['model', 'output_dir'])
  app.run(main)


if __name__ == '__main__':
  run()
