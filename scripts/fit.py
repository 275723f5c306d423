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
"""Trains, exports and measures a detector on a directory of annotated images: docs/fit.md.

fit.py my_images --minutes=30 --output_dir=my_detector

A second run goes on where the first one stopped.
"""

import pathlib
import signal

from absl import app, flags

from nasfpn_tf import failure, startup
from nasfpn_tf.data.sources import formats

FLAGS = flags.FLAGS


def define_flags():
  """Defines the flags, not on import: processes that run a step import this module and have the flags of the step."""
  flags.DEFINE_string('output_dir', None, 'Directory of the detector, its exports and its report.')
  flags.DEFINE_float('minutes', 30.0, 'Time limit in minutes, from the images to the report.')
  flags.DEFINE_enum('format', None, list(formats.FORMATS), 'Format of the annotations; unset: detected.')
  flags.DEFINE_string(
    'backbone_weights',
    None,
    "Weights to start from: Keras' file of MobileNetV2 without the top, imagenet, blood_cells (it comes with the"
    ' package) or none; unset: imagenet if available, else blood_cells.',
  )
  flags.DEFINE_float(
    'target_latency_ms',
    None,
    'Maximum milliseconds per image as a float .tflite on one core of this machine, without NMS.',
  )
  flags.DEFINE_enum('device', 'auto', ['auto', 'cpu', 'gpu', 'tpu'], 'Device to train on.')
  flags.DEFINE_integer('seed', 0, 'Seed for the choice of validation images.')
  flags.DEFINE_float('images_per_second', None, 'Training throughput at 256 x 256 px; unset: measured.')


def main(argv):
  if len(argv) != 2:
    raise app.UsageError('give one directory of images and annotations: fit.sh my_images --output_dir=my_detector')
  from nasfpn_tf.fit import chain
  from nasfpn_tf.fit import run as fit_run
  from nasfpn_tf.fit.plan import rules, start

  for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)  # As Ctrl-C: the step that runs is ended in order.
  weights = FLAGS.backbone_weights
  with failure.told('fit', 'stopped; run it again to resume.', lines=True):
    rules.check_minutes(FLAGS.minutes)
    rules.check_positive(target_latency_ms=FLAGS.target_latency_ms, images_per_second=FLAGS.images_per_second)
    if weights:
      weights = start.find_weights(weights) or 'none'
    request = chain.Request(
      pathlib.Path(argv[1]).resolve(),
      FLAGS.minutes,
      FLAGS.format,
      weights,
      FLAGS.device,
      FLAGS.seed,
      FLAGS.images_per_second,
      FLAGS.target_latency_ms,
    )
    fit_run.run(chain.Fit(request, pathlib.Path(FLAGS.output_dir).resolve()))


def run():
  """Runs the command."""
  startup.end_at_signals('fit', terminated=1, remedy='run it again to resume.')
  define_flags()
  flags.mark_flag_as_required('output_dir')
  app.run(main)


if __name__ == '__main__':
  run()
