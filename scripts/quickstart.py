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

"""Trains, evaluates, exports and measures a detector on the embedded data set: README.md.

quickstart.sh makes the environment first and then calls this. A second run goes on where the first one stopped.
"""

import pathlib
import signal

from absl import app, flags

from nasfpn_tf import failure, startup
from nasfpn_tf.quickstart import chain
from nasfpn_tf.quickstart import run as quickstart_run

FLAGS = flags.FLAGS


def define_flags():
  """Defines the flags, not on import: processes that run a step import this module and have the flags of the step."""
  flags.DEFINE_string('output_dir', None, 'Output directory; unset: quickstart/ in the project.')
  flags.DEFINE_bool('smoke', False, 'Run every step briefly on a few images, to check that it works.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)  # As Ctrl-C: the step that runs is ended in order.
  default = chain.PROJECT / ('quickstart/smoke' if FLAGS.smoke else 'quickstart')
  output_dir = pathlib.Path(FLAGS.output_dir).resolve() if FLAGS.output_dir else default
  with failure.told('quickstart', 'stopped; run it again to resume.', lines=True):
    quickstart_run.run(chain.Quickstart(output_dir, chain.SMOKE if FLAGS.smoke else chain.FULL))


def run():
  startup.end_at_signals('quickstart', terminated=1, remedy='run it again to resume.')
  define_flags()
  app.run(main)


if __name__ == '__main__':
  run()
