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

r"""Makes a frontier: trains FPNLite and NAS-FPNLite detectors of several sizes, exports, measures and reports them.

frontier.sh --data_dir=bccd --output_dir=runs/frontier --points=small

Points and models that are done are skipped; the same command goes on where it was stopped: docs/frontier.md.
"""

import os
import signal

from absl import app, flags

from nasfpn_tf import startup

FLAGS = flags.FLAGS


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('output_dir', None, 'Directory for points/, records/ and frontier.html, .md, .svg.')
  flags.DEFINE_string(
    'data_dir',
    None,
    'Directory with annotations/instances_{train,val,test}.json and images/; trains on train and val.',
  )
  flags.DEFINE_string('train', None, 'Prefixes of training records, separated by commas, instead of --data_dir.')
  flags.DEFINE_string('validation', None, 'Records on which AP is reported, instead of --data_dir.')
  flags.DEFINE_list('points', ['all'], "Names, patterns such as '*_3x64_*', or 'all' or 'small'.")
  flags.DEFINE_list('forms', ['float', 'int8'], 'Formats to export each detector to: float, int8.')
  flags.DEFINE_integer('steps', 600, 'Training steps of each detector; the schedule is scaled.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'Seed of every training.')
  flags.DEFINE_string(
    'config_file',
    'bccd_mobilenetv2_nasfpnlite_3x64_384x512',
    'Configuration of all points, as in train.py.',
  )
  flags.DEFINE_string('params_override', None, 'Further overrides for all points, as in train.py.')
  flags.DEFINE_integer('threads', 1, 'Threads of LiteRT.', lower_bound=1)
  flags.DEFINE_integer('runs', 50, 'Number of timed images.', lower_bound=1)
  flags.DEFINE_bool('measure_again', False, 'Measure finished points again, so that all figures are from one session.')
  flags.DEFINE_bool('list', False, 'Print the chosen points and exit.')
  flags.DEFINE_string('title', 'Accuracy against cost', 'Title of the report.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  from nasfpn_tf import failure
  from nasfpn_tf.frontier import plan

  with failure.told('frontier', 'stopped; the same command resumes.', lines=True):
    points = plan.choose(FLAGS.points)
    if FLAGS.list:
      print('\n'.join(f'{point.name}: {", ".join(point.models(FLAGS.forms))}' for point in points))
      return
    _run(points)


def _run(points):
  from nasfpn_tf import failure
  from nasfpn_tf.data.input import undescribed
  from nasfpn_tf.data.records import manifest
  from nasfpn_tf.frontier import production

  if not FLAGS.output_dir:
    raise ValueError('--output_dir is needed.')
  if bool(FLAGS.data_dir) == bool(FLAGS.train or FLAGS.validation) or bool(FLAGS.train) != bool(FLAGS.validation):
    raise ValueError('give either --data_dir, or --train and --validation.')
  for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)  # As Ctrl-C: what runs is ended in order.
  if FLAGS.data_dir:
    train, validation = production.make_records(FLAGS.data_dir, FLAGS.output_dir)
  else:
    train, validation = (','.join(map(os.path.abspath, text.split(','))) for text in (FLAGS.train, FLAGS.validation))
    for path in (train, validation):  # At once, not for each detector.
      undescribed.check_labels(manifest.match_shards(path))
  settings = production.Settings(
    FLAGS.config_file, FLAGS.params_override, train, validation, steps=FLAGS.steps, seed=FLAGS.seed
  )
  measuring = production.Measuring(FLAGS.forms, threads=FLAGS.threads, runs=FLAGS.runs)
  frontier = production.Production(FLAGS.output_dir, settings, measuring)
  failures = frontier.run(points, FLAGS.measure_again, FLAGS.title)
  if failures:
    raise failure.ExpectedError(
      '\n'.join([f'{len(failures)} failed; run the same command to try them again:', *failures])
    )
  print(f'{frontier.directory}/frontier.html')


def run():
  startup.end_at_signals('frontier', terminated=1, remedy='the same command resumes.')
  define_flags()
  app.run(main)


if __name__ == '__main__':
  run()
